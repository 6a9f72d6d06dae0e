//! `dead-letters`, `parked`, `sagas`, `timers` and `inbox`: what became of records, what is to become of those that failed, and what is due later.
//!
//! Lists are read without joining any group. What changes something goes as a command to the shard that holds the record, which
//! obeys it in one commit, whether it runs now or later.

mod act;
mod book;
mod closings;
mod diff;
mod edit;
mod export;
mod known;
mod list;
mod lot;
mod parked;
mod sagas;
mod shown;
mod timers;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use tidemill_core::code::{Coded, Exit};
use tidemill_core::internal::Wish;
use tidemill_core::service::ServiceBuilder;

use crate::command::Output;
use crate::command::filter::{Filter, Misread};
use crate::command::site::{Place, Site};
use act::{Act, Execution};
use book::Wanted;
pub use sagas::Sagas;

/// The body of `dead-letters`: lists letters, shows one, and has their records handled again or given up.
#[derive(Debug, Subcommand)]
pub enum DeadLetters {
    /// List dead letters: the open ones, unless told otherwise.
    List(List),
    /// Show everything that is known of one letter, and its record.
    Show(Show),
    /// Have a letter's record handled again with another value or other headers. Shows first what would change.
    Edit(Edit),
    /// Have the records of letters handled again, in the order of their keys.
    Redrive(Deed),
    /// Close letters: their records will have no effects.
    Discard(Deed),
    /// Write letters to a file, as JSON, one a line.
    Export(Export),
}

/// The body of `parked`: lists the records that wait for a time or an operator, and lets them go on.
#[derive(Debug, Subcommand)]
pub enum Parked {
    /// List parked records, with what they wait for.
    List(Listed),
    /// Show everything that is known of one parked record.
    Show(Show),
    /// Handle the first parked record of its key now.
    Release(Deed),
    /// Give parked records up: they will have no effects.
    Discard(Deed),
}

/// The body of `timers`: what handlers have scheduled.
#[derive(Debug, Subcommand)]
pub enum Timers {
    /// List timers that have not fired, the next first.
    List(Listed),
}

/// The body of `inbox`: what is known of events that had their effects, so that copies have none.
#[derive(Debug, Subcommand)]
pub enum Inbox {
    /// Show where the first record of an event stood, and when it had its effects.
    Show(Asked),
}

/// Options of `inbox show`.
#[derive(Debug, Args)]
pub struct Asked {
    /// The event's id: its `ce_id` header, or the field by which its type names it.
    #[arg(long)]
    id: String,
    /// Who emitted it: its `ce_source` header.
    #[arg(long, default_value = "")]
    source: String,
    #[command(flatten)]
    about: About,
}

/// Options of each of them.
#[derive(Debug, Args)]
struct About {
    #[command(flatten)]
    place: Place,
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

#[derive(Debug, Clone, Args)]
pub(super) struct Which {
    /// Only those of which this holds, such as `code = TM-0501 and handler = pay`.
    #[arg(long = "where", value_name = "EXPR", value_parser = filter)]
    pub(super) filter: Option<Filter>,
}

/// Options of `dead-letters list`.
#[derive(Debug, Args)]
pub struct List {
    #[command(flatten)]
    which: Which,
    /// Only open letters, as without this.
    #[arg(long, conflicts_with = "all")]
    open: bool,
    /// Those too that were applied or discarded.
    #[arg(long)]
    all: bool,
    /// Count letters of one kind instead.
    #[arg(long, value_enum)]
    group_by: Option<Grouping>,
    #[command(flatten)]
    about: About,
}

/// Options of `parked list` and `timers list`, and those of `sagas list` and `sagas count` too.
#[derive(Debug, Args)]
pub struct Listed {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    about: About,
}

/// What letters are counted by.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Grouping {
    /// The kind of the failure.
    Fingerprint,
}

/// Options of `show`.
#[derive(Debug, Args)]
pub struct Show {
    /// Its id, as the list shows it.
    id: String,
    #[command(flatten)]
    about: About,
}

/// Options of `dead-letters edit`.
#[derive(Debug, Args)]
pub struct Edit {
    /// Its id, as the list shows it.
    id: String,
    /// Take the bytes of this file as the value.
    #[arg(long, value_name = "FILE", required_unless_present = "header")]
    value: Option<PathBuf>,
    /// Set a header, in the place of those of its name. May be repeated.
    #[arg(long, value_name = "NAME=VALUE", value_parser = edit::header)]
    header: Vec<(String, String)>,
    #[command(flatten)]
    execution: Execution,
    #[command(flatten)]
    about: About,
}

/// Options of what changes something.
#[derive(Debug, Args)]
pub struct Deed {
    /// Only these, by their ids as the list shows them; of sagas, by their keys.
    ids: Vec<String>,
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    execution: Execution,
    #[command(flatten)]
    about: About,
}

/// Options of `dead-letters export`.
#[derive(Debug, Args)]
pub struct Export {
    #[command(flatten)]
    which: Which,
    /// Those too that were applied or discarded.
    #[arg(long)]
    all: bool,
    /// The file, which is written anew.
    #[arg(long, value_name = "FILE")]
    into: PathBuf,
    #[command(flatten)]
    about: About,
}

fn filter(text: &str) -> Result<Filter, Misread> {
    Filter::parse(text)
}

impl DeadLetters {
    /// Does it for these services, or those among them that `--service` names. Without any, `--service` says whose letters are meant,
    /// and edited values are not checked, as nobody here knows their types. Nothing that matches is an error (TM-0409).
    pub async fn carry_out(self, services: Vec<ServiceBuilder>) -> Result<Exit, Coded> {
        match self {
            Self::List(List { which, all, group_by, about, .. }) => {
                let site = Site::open(&about.place, services)?;
                let letters = book::read(&site, &Wanted { filter: which.filter.as_ref(), ids: &[], all }).await?;
                match group_by {
                    Some(Grouping::Fingerprint) => list::groups(&letters, about.output),
                    None => list::letters(&letters, about.output),
                }
            }
            Self::Show(Show { id, about }) => {
                let site = Site::open(&about.place, services)?;
                let wanted = Wanted { filter: None, ids: std::slice::from_ref(&id), all: true };
                shown::letters(&book::need(&site, &wanted).await?, about.output)
            }
            Self::Edit(edit) => edit::edit(&Site::open(&edit.about.place, services)?, &edit).await,
            Self::Redrive(deed) => {
                let redrive = |letter: &book::Entry| Wish::Redrive { letter: letter.id(), round: letter.letter.round };
                act_on_letters(deed, services, redrive).await
            }
            Self::Discard(deed) => {
                let discard = |letter: &book::Entry| Wish::Discard { letter: letter.id(), round: letter.letter.round };
                act_on_letters(deed, services, discard).await
            }
            Self::Export(Export { which, all, into, about }) => {
                let site = Site::open(&about.place, services)?;
                let letters = book::read(&site, &Wanted { filter: which.filter.as_ref(), ids: &[], all }).await?;
                export::write(&letters, &into, about.output)
            }
        }
    }
}

async fn act_on_letters(
    deed: Deed,
    services: Vec<ServiceBuilder>,
    wish: impl Fn(&book::Entry) -> Wish,
) -> Result<Exit, Coded> {
    let Deed { ids, which, execution, about } = deed;
    let site = Site::open(&about.place, services)?;
    let wanted = Wanted { filter: which.filter.as_ref(), ids: &ids, all: false };
    let letters = book::need(&site, &wanted).await?;
    let acts = letters.iter().map(|letter| Act::on_letter(letter, wish(letter), letter.letter.target())).collect();
    act::carry_out(&site, acts, &execution, (about.output, None)).await
}

impl Timers {
    /// Does it for these services, or those among them that `--service` names; without any, `--service` says whose timers are meant.
    pub async fn carry_out(self, services: Vec<ServiceBuilder>) -> Result<Exit, Coded> {
        let Self::List(Listed { which, about }) = self;
        timers::list(&Site::open(&about.place, services)?, which.filter.as_ref(), about.output).await
    }
}

impl Inbox {
    /// Does it for these services, or those among them that `--service` names. An event of which nobody knows is an error (TM-0409).
    pub async fn carry_out(self, services: Vec<ServiceBuilder>) -> Result<Exit, Coded> {
        let Self::Show(Asked { id, source, about }) = self;
        known::show(&Site::open(&about.place, services)?, (&source, &id), about.output).await
    }
}

impl Parked {
    /// Does it for these services, or those among them that `--service` names; without any, `--service` says whose records are meant.
    /// Nothing that matches is an error (TM-0409).
    pub async fn carry_out(self, services: Vec<ServiceBuilder>) -> Result<Exit, Coded> {
        match self {
            Self::List(Listed { which, about }) => {
                let site = Site::open(&about.place, services)?;
                let waiting = lot::read(&site, which.filter.as_ref(), &[]).await?;
                parked::list(&site, &waiting, about.output)
            }
            Self::Show(Show { id, about }) => {
                let site = Site::open(&about.place, services)?;
                let waiting = lot::need(&site, None, std::slice::from_ref(&id)).await?;
                parked::show(&site, &waiting, about.output)
            }
            Self::Release(Deed { ids, which, execution, about }) => {
                let site = Site::open(&about.place, services)?;
                let waiting = lot::need(&site, which.filter.as_ref(), &ids).await?;
                let acts = parked::releases(waiting, &ids)?;
                act::carry_out(&site, acts, &execution, (about.output, None)).await
            }
            Self::Discard(Deed { ids, which, execution, about }) => {
                let site = Site::open(&about.place, services)?;
                let waiting = lot::need(&site, which.filter.as_ref(), &ids).await?;
                let acts = waiting.into_iter().map(|entry| Act::on_parked(entry, Wish::DiscardParked)).collect();
                act::carry_out(&site, acts, &execution, (about.output, None)).await
            }
        }
    }
}
