//! The body of `sagas`: processes, how they stand, and what a person does where one of them needs one.

mod found;

use std::time::Duration;

use clap::{Args, Subcommand};
use tidemill_core::code::{Code, Coded, Exit};
use tidemill_core::internal::{Help, Wish};
use tidemill_core::service::ServiceBuilder;

use super::{About, Deed, act};
use crate::command::site::Site;
use crate::command::{Output, print, print_json};
use found::{Found, Wanted};

/// The body of `sagas`: processes, and how they stand.
#[derive(Debug, Subcommand)]
pub enum Sagas {
    /// List instances, those that changed last at the end.
    List(Instances),
    /// Count instances that stand alike, with the age of the oldest.
    Count(Instances),
    /// Show how the instance of a key stands.
    Show(Keyed),
    /// Show what happened to the instance of a key: the last 64 things.
    History(Keyed),
    /// Draw states and where events lead, as a Mermaid state diagram. It needs no broker.
    Graph(Drawn),
    /// Try again to undo what could not be undone.
    Retry(Deed),
    /// Give up what could not be undone, and undo what was done before it.
    Skip(Deed),
    /// End instances of which something could not be undone; nothing more of them is.
    Finish(Finished),
}

/// Options of `sagas list` and `sagas count`.
#[derive(Debug, Args)]
pub struct Instances {
    #[command(flatten)]
    listed: super::Listed,
    /// Only those that began so long ago, or longer, such as `1h`.
    #[arg(long, value_name = "TIME", value_parser = act::time)]
    older_than: Option<Duration>,
}

/// Options of `sagas show` and `sagas history`.
#[derive(Debug, Args)]
pub struct Keyed {
    /// The key whose instance is meant.
    key: String,
    #[command(flatten)]
    about: About,
}

/// Options of `sagas graph`.
#[derive(Debug, Args)]
pub struct Drawn {
    /// Only this saga.
    saga: Option<String>,
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// Options of `sagas finish`.
#[derive(Debug, Args)]
pub struct Finished {
    /// How they ended.
    #[arg(long, value_name = "TEXT", default_value = "finished by a person")]
    outcome: String,
    #[command(flatten)]
    deed: Deed,
}

impl Instances {
    /// Reads the instances that are meant, and has them shown.
    async fn read(
        self,
        services: Vec<ServiceBuilder>,
        show: fn(&Site, &[Found], Output) -> Result<Exit, Coded>,
    ) -> Result<Exit, Coded> {
        let Self { listed: super::Listed { which, about }, older_than } = self;
        let site = Site::open(&about.place, services)?;
        let wanted = Wanted { filter: which.filter.as_ref(), key: None, older_than };
        show(&site, &found::read(&site, &wanted).await?, about.output)
    }
}

impl Sagas {
    /// Does it for these services, or those among them that `--service` names; without any, `--service` says whose sagas are meant. A key
    /// that has no instance is an error (TM-0409), and so is nothing to help.
    pub async fn carry_out(self, services: Vec<ServiceBuilder>) -> Result<Exit, Coded> {
        match self {
            Self::List(listed) => listed.read(services, found::list).await,
            Self::Count(listed) => listed.read(services, found::count).await,
            Self::Show(Keyed { key, about }) => {
                let site = Site::open(&about.place, services)?;
                found::show(&site, &found::need(&site, &key).await?, about.output)
            }
            Self::History(Keyed { key, about }) => {
                let site = Site::open(&about.place, services)?;
                found::history(&found::need(&site, &key).await?, about.output)
            }
            Self::Graph(drawn) => graph(&drawn, services),
            Self::Retry(deed) => help(deed, Help::Retry, services).await,
            Self::Skip(deed) => help(deed, Help::Skip, services).await,
            Self::Finish(Finished { outcome, deed }) => help(deed, Help::Finish { outcome }, services).await,
        }
    }
}

/// Sends what is wanted to each instance that is meant.
async fn help(deed: Deed, help: Help, services: Vec<ServiceBuilder>) -> Result<Exit, Coded> {
    let Deed { ids: keys, which, execution, about } = deed;
    let site = Site::open(&about.place, services)?;
    let found = found::in_need(&site, which.filter.as_ref(), &keys).await?;
    act::carry_out(&site, found::acts(found, &Wish::Saga(help)), &execution, (about.output, None)).await
}

/// Draws the sagas of services.
fn graph(drawn: &Drawn, services: Vec<ServiceBuilder>) -> Result<Exit, Coded> {
    let mut graphs = Vec::new();
    for builder in services {
        let service = builder.build()?;
        graphs.extend(service.sagas().map(|(saga, graph)| (saga.to_string(), graph.to_string())));
    }
    let known: Vec<String> = graphs.iter().map(|(saga, _)| saga.clone()).collect();
    graphs.retain(|(saga, _)| drawn.saga.as_ref().is_none_or(|wanted| wanted == saga));
    if graphs.is_empty() {
        let message = match &drawn.saga {
            Some(saga) if !known.is_empty() => format!("there is no saga {saga} here; there are {}", known.join(", ")),
            _ => "there is no saga here".to_owned(),
        };
        return Err(Coded::new(Code::UNKNOWN_NAME, message));
    }
    match drawn.output {
        Output::Json => print_json(&graphs.into_iter().collect::<std::collections::BTreeMap<_, _>>())?,
        Output::Table => graphs.into_iter().try_for_each(|(_, graph)| print(graph))?,
    }
    Ok(Exit::Done)
}
