//! `replay`: what a service did, done again with this build, and compared with what it emitted then.

mod report;
mod shown;

use std::io::IsTerminal;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::{Args, ValueEnum};
use futures_util::future::{Either, select};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tidemill_core::code::{Code, Coded, Exit};
use tidemill_core::service::ServiceBuilder;

use crate::command::operate::Which;
use crate::command::site::{Place, Site};
use crate::replay::{Edge, Range, Replay as Replayed, Selection, State};
use report::Report;

/// How often the progress bar is drawn.
const TICK: Duration = Duration::from_millis(200);

/// The form of what a replay prints.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Form {
    /// For people.
    #[default]
    Table,
    /// For programs: one object.
    Json,
    /// For programs: one object a line, the summary last.
    Jsonl,
}

/// With which state it begins. Elsewhere `--state` says where state is kept.
const STATES: [(&str, State); 3] = [("as-of", State::AsOf), ("empty", State::Empty), ("current", State::Current)];

/// Options of `replay`.
#[derive(Debug, Args)]
pub struct Replay {
    /// Begin with this: an offset of every partition, a record such as `orders-0@17`, or a time such as `@2026-11-01T10:00`.
    #[arg(long, value_name = "WHERE")]
    from: Option<Edge>,
    /// End before this, in the same forms, or `@+15m` after the beginning.
    #[arg(long, value_name = "WHERE")]
    to: Option<Edge>,
    /// Only the last so many records of each input partition.
    #[arg(long, value_name = "N", conflicts_with = "from")]
    last: Option<u64>,
    /// Only units of this key.
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Only units of events of this type. May be repeated.
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// Only the unit of the event with this id.
    #[arg(long, value_name = "ID")]
    event_id: Option<String>,
    #[command(flatten)]
    which: Which,
    /// Compare what is emitted with what was emitted then. The exit code is 1 where anything differs.
    #[arg(long)]
    diff: bool,
    /// A field that may differ: `key`, `header.NAME` or the path of a field of the value. May be repeated.
    #[arg(long, value_name = "FIELD", requires = "diff")]
    ignore: Vec<String>,
    /// Let handlers call outside where no answer was kept.
    #[arg(long)]
    allow_calls: bool,
    /// Show so many units at the most.
    #[arg(long, value_name = "N", conflicts_with = "diff")]
    limit: Option<u64>,
    #[arg(long = "output", value_enum, default_value_t, id = "form")]
    form: Form,
    #[command(flatten)]
    place: Place,
}

impl Replay {
    /// Replays these services, or those among them that `--service` names.
    /// `--state as-of`, `--state empty` and `--state current` say with which state it begins.
    pub async fn carry_out(mut self, services: Vec<ServiceBuilder>) -> Result<Exit, Coded> {
        let state = STATES.iter().find(|(word, _)| self.place.takes_state(word)).map(|(_, state)| *state);
        let site = Site::open(&self.place, services)?;
        let bar = bar();
        let mut report = Report::new(self.form, self.which.filter.clone(), self.limit);
        for name in &site.names {
            let replay = self.replay(Replayed::of(&site.host, name)?).state(state.unwrap_or_default());
            let (behind, whole) = replay.progress();
            let watch = bar.clone();
            let ticks = async {
                loop {
                    site.host.clock().sleep(TICK).await;
                    watch.set_length(whole.load(Ordering::Relaxed));
                    watch.set_position(behind.load(Ordering::Relaxed));
                }
            };
            let work = async {
                if self.diff {
                    let comparison = replay.diff(&self.ignore).await?;
                    report.compared(name, comparison)
                } else {
                    report.run(name, &replay).await
                }
            };
            match select(pin!(work), pin!(ticks)).await {
                Either::Left((done, _)) => done?,
                Either::Right(((), _)) => unreachable!("it ticks for ever"),
            }
        }
        bar.finish_and_clear();
        if report.is_empty() && self.names_one() {
            let message = "no unit of that event or key is in the range";
            return Err(Coded::new(Code::NOTHING_MATCHES, message));
        }
        report.end()
    }

    /// Whether something is asked for that has to be there.
    fn names_one(&self) -> bool {
        self.event_id.is_some() || self.key.is_some()
    }

    fn replay(&self, replay: Replayed) -> Replayed {
        let range = Range { from: self.from.clone(), to: self.to.clone(), last: self.last };
        let selection = Selection {
            key: self.key.clone().map(String::into_bytes),
            types: self.types.clone(),
            id: self.event_id.clone(),
        };
        replay.range(range).select(selection).allow_calls(self.allow_calls)
    }
}

/// A bar on standard error, where that is a terminal.
fn bar() -> ProgressBar {
    let target =
        if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let style = ProgressStyle::with_template("{human_pos} of {human_len} units, {per_sec}, {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(Some(0), target).with_style(style)
}
