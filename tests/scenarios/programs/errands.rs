//! A process that cannot be undone while a file is missing, so that it needs a person. It takes the commands of every service, and `send`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tidemill::code::{Coded, Exit};
use tidemill::command::{Options, execute};
use tidemill::config::Configuration;
use tidemill::host::Host;
use tidemill::prelude::*;
use tidemill::publisher::Publication;
use tidemill::saga::{Begin, Compensation, Leads, Missing, Next, State, Step, Undo};
use tidemill::time::Timestamp;

macro_rules! events {
    ($($(#[$doc:meta])* $type:ident, $name:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Serialize, Deserialize, Event)]
        #[event(name = $name, version = 1, topic = "errands", key = key, codec = json)]
        struct $type {
            key: String,
            /// The file that has to be there when it is undone.
            file: String,
        }
    )*};
}

events! {
    /// Somebody is sent.
    Sent, "tests.sent";
    /// He is called back.
    CalledBack, "tests.called-back";
}

/// He is under way.
#[derive(Serialize, Deserialize)]
struct UnderWay {
    file: String,
}

impl State for UnderWay {
    const NAME: &'static str = "under-way";
}

/// Fetches him.
#[derive(Serialize, Deserialize)]
struct Fetch {
    file: String,
}

impl Compensation for Fetch {
    const NAME: &'static str = "fetch";
}

struct Errand;

#[async_trait(?Send)]
impl Begin<Sent> for Errand {
    async fn begin(&self, sent: &Sent, _: &mut Context<'_>) -> Result<Next, HandlerError> {
        let file = sent.file.clone();
        Ok(Next::to(UnderWay { file: file.clone() }).undo_with(Fetch { file }))
    }
}

#[async_trait(?Send)]
impl Step<UnderWay, CalledBack> for Errand {
    async fn step(&self, _: UnderWay, _: &CalledBack, _: &mut Context<'_>) -> Result<Next, HandlerError> {
        Ok(Next::abort("called back"))
    }
}

#[async_trait(?Send)]
impl Undo<Fetch> for Errand {
    async fn undo(&self, fetch: Fetch, _: &mut Context<'_>) -> Result<(), HandlerError> {
        if std::path::Path::new(&fetch.file).exists() {
            Ok(())
        } else {
            Err(HandlerError::permanent("nobody is there to fetch him"))
        }
    }
}

fn service() -> ServiceBuilder {
    Service::builder("errands").saga("errand", Errand, |saga| {
        saga.begins_with::<Sent>([Leads::to::<UnderWay>()])
            .state::<UnderWay>(|state| state.on::<CalledBack>([Leads::abort()]).ignore::<Sent>())
            .missing::<CalledBack>(Missing::DeadLetter)
            .undo::<Fetch>()
    })
}

#[derive(Debug, Parser)]
struct Errands {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Sends somebody for each key, and calls him back.
    Send {
        keys: Vec<String>,
        /// The file that has to be there when he is fetched.
        #[arg(long)]
        file: String,
        #[command(flatten)]
        common: Options,
    },
}

async fn work(errands: Errands) -> Result<Exit, Coded> {
    let Command::Send { keys, file, common } = errands.command;
    let mut host = Host::open(Configuration::load(&common)?)?;
    host.add(service())?;
    host.create_topics(host.topics()).await?;
    let mut publisher = host.publisher("/tests/errands");
    publisher.declare::<Sent>().await?;
    publisher.declare::<CalledBack>().await?;
    for key in keys {
        let (sent, called_back) = (format!("{key} sent"), format!("{key} called back"));
        let (time, event) = (Timestamp::default(), Sent { key: key.clone(), file: file.clone() });
        publisher.publish(Publication { event: &event, id: &sent, time })?;
        let event = CalledBack { key, file: file.clone() };
        publisher.publish(Publication { event: &event, id: &called_back, time })?;
    }
    publisher.flush().await?;
    Ok(Exit::Done)
}

fn main() -> ExitCode {
    let is_own = std::env::args().nth(1).is_some_and(|command| command == "send");
    if is_own { execute(work) } else { tidemill::main(service()) }
}
