//! What an operator wants done: shown first, and sent to the shards when it is meant.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tidemill_core::code::{Coded, Exit};
use tidemill_core::internal::{self, Became, Command, Operation, Wish};
use tidemill_core::outputs::{Address, Outputs};
use tidemill_core::parking::Parked;
use tidemill_core::time::Timestamp;

use super::closings::{Closings, State};
use super::{book, lot};
use crate::command::decision::Decision;
use crate::command::site::Site;
use crate::command::{Output, print, print_json, report, table};
use crate::config::duration;

/// The most commands that are published at a time.
const MOST_AT_ONCE: u32 = 500;
/// How often a second commands are published, where the rate allows it.
const TURNS_A_SECOND: u32 = 10;
/// How long a look at what was closed meanwhile is good for, and how often it is asked for answers.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How something is carried out.
#[derive(Debug, clap::Args)]
pub(super) struct Execution {
    #[command(flatten)]
    decision: Decision,
    /// How many commands are sent, at most.
    #[arg(long, value_name = "N/s", value_parser = rate, default_value = "1000/s")]
    rate: NonZeroU32,
    /// Wait for so long until the service has answered, such as `30s`. It has to run meanwhile.
    #[arg(long, value_name = "TIME", value_parser = time, requires = "execute")]
    wait: Option<Duration>,
}

fn rate(text: &str) -> Result<NonZeroU32, String> {
    let number = text.strip_suffix("/s").and_then(|number| number.parse().ok());
    number.ok_or_else(|| "it has to be a number a second, such as 100/s".to_owned())
}

pub(super) fn time(text: &str) -> Result<Duration, String> {
    duration(text).ok_or_else(|| "it has to be a time such as 30s".to_owned())
}

/// One thing that is to be done to one record.
pub(super) struct Act {
    service: Arc<str>,
    shard: u32,
    /// The id by which lists show it.
    id: String,
    /// Of a letter, how often it was opened: it must not have been closed so often.
    openings: Option<u32>,
    wish: Wish,
    target: Parked,
}

impl Act {
    pub(super) fn on_letter(entry: &book::Entry, wish: Wish, target: Parked) -> Self {
        let (service, shard) = (Arc::clone(&entry.service), entry.shard);
        Self { service, shard, id: entry.id(), openings: Some(entry.openings), wish, target }
    }

    pub(super) fn on_instance(service: Arc<str>, shard: u32, id: String, (wish, target): (Wish, Parked)) -> Self {
        Self { service, shard, id, openings: None, wish, target }
    }

    pub(super) fn on_parked(entry: lot::Entry, wish: Wish) -> Self {
        let lot::Entry { service, shard, id, parked, .. } = entry;
        Self { service, shard, id, openings: None, wish, target: parked }
    }
}

/// What became of an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Stage {
    /// It would be sent.
    Planned,
    /// It was not sent, as something failed before.
    NotSent,
    /// It was not sent, as its letter was closed meanwhile.
    Closed,
    /// It was sent, and nobody has answered.
    Sent,
    /// What the service made of it.
    #[serde(untagged)]
    Answered(Became),
}

impl Stage {
    const fn name(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::NotSent => "not-sent",
            Self::Closed => "closed",
            Self::Sent => "sent",
            Self::Answered(Became::Done) => "done",
            Self::Answered(Became::Applied) => "applied",
            Self::Answered(Became::FailedAgain) => "failed-again",
            Self::Answered(Became::Refused) => "refused",
        }
    }
}

#[derive(Serialize)]
struct Item {
    id: String,
    service: String,
    handler: String,
    key: Option<String>,
    stage: Stage,
}

/// All of it, as it is printed.
#[derive(Serialize)]
struct Summary {
    act: &'static str,
    executed: bool,
    count: usize,
    keys: usize,
    sent: usize,
    /// What an edit changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<Vec<String>>,
    items: Vec<Item>,
}

/// Shows what is to be done, or does it. All acts are of one kind, those of a key in the order in which they are to be done.
pub(super) async fn carry_out(
    site: &Site,
    acts: Vec<Act>,
    how: &Execution,
    (output, changes): (Output, Option<Vec<String>>),
) -> Result<Exit, Coded> {
    let mut stages = vec![Stage::Planned; acts.len()];
    let mut exit = Exit::Done;
    if how.decision.execute {
        stages.fill(Stage::NotSent);
        let mut sending = Sending::new(site, &acts, how, stages);
        exit = sending.carry_out().await?;
        stages = sending.stages;
    }
    let keys: BTreeSet<_> =
        acts.iter().map(|act| (&act.service, &act.target.handler, act.target.record().key)).collect();
    let item = |(act, stage): (&'_ Act, Stage)| Item {
        id: act.id.clone(),
        service: act.service.to_string(),
        handler: act.target.handler.clone(),
        key: act.target.record().key.and_then(|key| String::from_utf8(key.to_vec()).ok()),
        stage,
    };
    let sent = stages.iter().filter(|stage| matches!(stage, Stage::Sent | Stage::Answered(_))).count();
    let summary = Summary {
        act: acts.first().map_or("", |act| act.wish.name()),
        executed: how.decision.execute,
        count: acts.len(),
        keys: keys.len(),
        sent,
        changes,
        items: acts.iter().zip(stages).map(item).collect(),
    };
    match output {
        Output::Json => print_json(&summary)?,
        Output::Table => print(text(&summary))?,
    }
    Ok(exit)
}

fn text(summary: &Summary) -> String {
    let mut parts = Vec::new();
    if let Some(changes) = &summary.changes {
        parts.push(if changes.is_empty() { "nothing is edited".to_owned() } else { changes.join("\n") });
    }
    let row = |item: &Item| {
        let Item { id, service, handler, key, stage } = item;
        let key = key.as_deref().unwrap_or("-");
        [id, &**service, handler, key, stage.name()].map(str::to_owned)
    };
    let rows: Vec<_> = summary.items.iter().map(row).collect();
    parts.push(table::lay_out(["id", "service", "handler", "key", "stage"], &rows));
    let Summary { act, executed, count, keys, sent, .. } = summary;
    parts.push(if *executed {
        format!("{act}: {sent} of {count} sent, of {keys} keys")
    } else {
        format!("{act}: {count} would be sent, of {keys} keys; nothing was changed, --execute --reason TEXT does it")
    });
    parts.join("\n\n")
}

/// Commands on their way.
struct Sending<'a> {
    site: &'a Site,
    acts: &'a [Act],
    how: &'a Execution,
    stages: Vec<Stage>,
    /// The commands that were sent, by their ids: which act each is.
    orders: BTreeMap<String, usize>,
    /// What was closed in each service that the acts are about, as of `looked`.
    closings: BTreeMap<Arc<str>, Closings>,
    looked: Option<Timestamp>,
}

impl<'a> Sending<'a> {
    fn new(site: &'a Site, acts: &'a [Act], how: &'a Execution, stages: Vec<Stage>) -> Self {
        let closings = acts.iter().map(|act| (Arc::clone(&act.service), Closings::default())).collect();
        Self { site, acts, how, stages, orders: BTreeMap::new(), closings, looked: None }
    }

    /// Sends all of them, no faster than is allowed, and waits for answers where that is wanted. When something fails after a part was
    /// sent, the failure is told, and the answer is [`Exit::Partly`].
    async fn carry_out(&mut self) -> Result<Exit, Coded> {
        let done = match self.send().await {
            Ok(()) => self.answers().await,
            Err(cause) => Err(cause),
        };
        match done {
            Ok(exit) => Ok(exit),
            Err(cause) if self.orders.is_empty() => Err(cause),
            Err(cause) => {
                report(&cause);
                Ok(Exit::Partly)
            }
        }
    }

    async fn send(&mut self) -> Result<(), Coded> {
        let rate = self.how.rate.get();
        let turn = (rate / TURNS_A_SECOND).clamp(1, MOST_AT_ONCE);
        let pause = Duration::from_secs(1) * turn / rate;
        let clock = Arc::clone(self.site.host.clock());
        for first in (0..self.acts.len()).step_by(turn as usize) {
            if first > 0 {
                clock.sleep(pause).await;
            }
            if self.looked.is_none_or(|looked| clock.now().since(looked) >= LOOK_EVERY) {
                self.look().await?;
            }
            let last = self.acts.len().min(first + turn as usize);
            self.send_some(first..last, clock.now()).await?;
        }
        Ok(())
    }

    /// Sends some in one act, those whose letters are open. What follows in a partition lies behind it there.
    async fn send_some(&mut self, places: Range<usize>, now: Timestamp) -> Result<(), Coded> {
        let services: Vec<Arc<str>> = self.closings.keys().cloned().collect();
        let topics: Vec<Arc<str>> = services.iter().map(|service| internal::internal(service).into()).collect();
        let mut outputs = Outputs::new(topics.into());
        let mut sent = Vec::new();
        for place in places {
            let act = &self.acts[place];
            let is_open = |openings| self.closings[&act.service].state(&act.id, openings) == State::Open;
            if !act.openings.is_none_or(is_open) {
                self.stages[place] = Stage::Closed;
                continue;
            }
            let order = self.how.decision.order(now);
            let id = order.id.clone();
            let command = Command { order, wish: act.wish.clone(), target: act.target.clone() };
            let (value, headers) = command.to_record();
            let topic = services.iter().position(|service| *service == act.service).unwrap_or_default();
            let topic = u16::try_from(topic).expect("a process has few services");
            let address = Address { topic, partition: act.shard, timestamp: now };
            outputs.push_raw(address, act.target.record().key.as_deref(), &headers, Some(&value));
            sent.push((id, place));
        }
        if outputs.is_empty() {
            return Ok(());
        }
        self.site.broker().publish(outputs).await?;
        for (id, place) in sent {
            self.stages[place] = Stage::Sent;
            self.orders.insert(id, place);
        }
        Ok(())
    }

    /// Looks at what the services have done since the last look.
    async fn look(&mut self) -> Result<(), Coded> {
        let (orders, stages) = (&self.orders, &mut self.stages);
        for (service, closings) in &mut self.closings {
            let answered = |operation: &Operation| {
                if let Some(place) = orders.get(&operation.id) {
                    stages[*place] = Stage::Answered(operation.became);
                }
            };
            closings.refresh(self.site, service, answered).await?;
        }
        self.looked = Some(self.site.host.clock().now());
        Ok(())
    }

    /// Waits until everything that was sent is answered, if that is wanted; tells what has come of it all.
    async fn answers(&mut self) -> Result<Exit, Coded> {
        if let Some(patience) = self.how.wait {
            let clock = Arc::clone(self.site.host.clock());
            let end = clock.now() + patience;
            self.look().await?;
            while self.stages.contains(&Stage::Sent) && clock.now() < end {
                clock.sleep(LOOK_EVERY).await;
                self.look().await?;
            }
        }
        let is_problem = |stage: &Stage| matches!(stage, Stage::Answered(Became::FailedAgain | Became::Refused));
        let is_unanswered = |stage: &Stage| *stage == Stage::Sent && self.how.wait.is_some();
        Ok(if self.stages.iter().any(is_problem) {
            Exit::Problems
        } else if self.stages.iter().any(|stage| *stage == Stage::Closed || is_unanswered(stage)) {
            Exit::Partly
        } else {
            Exit::Done
        })
    }
}
