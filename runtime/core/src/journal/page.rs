//! A page of the journal, as it lies in its topic.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::state::{Unreadable, decode, encode};
use crate::time::Timestamp;

/// What one commit did in one shard: its units, in the order in which they completed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// Its number among those of the shard, from 1. It begins again where the shard's state was dropped, or the journal was off for a while.
    #[serde(rename = "n")]
    pub number: u64,
    /// Whether this page and those before it, from number 1, hold every unit that the shard's state is made of.
    #[serde(rename = "c")]
    pub is_complete: bool,
    /// The time that its first unit saw, in milliseconds since the epoch.
    #[serde(rename = "at")]
    pub at: i64,
    /// The topics that its steps name by their places.
    #[serde(rename = "t")]
    pub topics: Vec<String>,
    /// Its units.
    #[serde(rename = "s")]
    pub steps: Vec<Step>,
}

/// One unit, or many that are alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// Records that were done with their first attempts: the topic's place, the first offset, how many offsets, and by how many milliseconds
    /// their time is later than the page's.
    #[serde(rename = "r")]
    Run(u16, u64, u64, i64),
    /// A unit with more to say of it.
    #[serde(rename = "u")]
    Unit(Noted),
}

/// What is noted of one unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Noted {
    /// What it handled.
    #[serde(rename = "c")]
    pub cause: Cause,
    /// By how many milliseconds its time is later than the page's.
    #[serde(rename = "at")]
    pub later: i64,
    /// How it ended.
    #[serde(rename = "e")]
    pub ended: Ending,
    /// The number of its last attempt.
    #[serde(rename = "n", default = "one", skip_serializing_if = "is_one")]
    pub attempt: u32,
    /// What it was answered from outside in that attempt, in its order.
    #[serde(rename = "a", default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<Answered>,
}

/// What a unit handled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// A record: its topic's place, and its offset.
    #[serde(rename = "r")]
    Record(u16, u64),
    /// The first parked record of a lane, by the name that the lane has in state.
    #[serde(rename = "p", with = "serde_bytes")]
    Parked(Vec<u8>),
    /// A timer, by what names it among those of its shard.
    #[serde(rename = "t", with = "serde_bytes")]
    Timer(Vec<u8>),
}

/// How a unit ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// It had its effects.
    #[serde(rename = "d")]
    Done,
    /// Its event had had its effects before.
    #[serde(rename = "c")]
    Copy,
    /// It was parked behind others of its lane.
    #[serde(rename = "q")]
    Queued,
    /// It failed, and was parked until then, in milliseconds since the epoch.
    #[serde(rename = "p")]
    Parked(i64),
    /// It failed with this code and became a dead letter.
    #[serde(rename = "l")]
    Letter(String),
    /// The same, and its lane was held.
    #[serde(rename = "h")]
    LetterHeld(String),
    /// It failed with this code, its dead letter was not taken, and its lane was held.
    #[serde(rename = "b")]
    Held(String),
    /// It was redriven, and its letter was not open any more.
    #[serde(rename = "x")]
    Refused,
    /// It had its effects, but for what it emitted: it only caught up.
    #[serde(rename = "m")]
    Muted,
    /// It had its effects before a backfill, which is another handler's.
    #[serde(rename = "s")]
    Passed,
    /// An operator's command was carried out.
    #[serde(rename = "o")]
    Commanded,
}

impl Ending {
    /// Its name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Muted => "backfilled",
            Self::Passed => "passed",
            Self::Copy => "copy",
            Self::Queued => "queued",
            Self::Parked(_) => "parked",
            Self::Letter(_) => "dead-lettered",
            Self::LetterHeld(_) | Self::Held(_) => "held",
            Self::Refused => "refused",
            Self::Commanded => "commanded",
        }
    }

    /// The code with which it failed for good.
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Letter(code) | Self::LetterHeld(code) | Self::Held(code) => Some(code),
            _ => None,
        }
    }

    /// Whether it had its effects, all of them or but for what it emitted.
    pub const fn is_done(&self) -> bool {
        matches!(self, Self::Done | Self::Muted)
    }

    /// Whether its record waits in its lane from then on.
    pub(crate) const fn waits(&self) -> bool {
        matches!(self, Self::Parked(_) | Self::Queued | Self::LetterHeld(_) | Self::Held(_))
    }
}

/// An answer from outside, or the error that came instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// The name of the call.
    #[serde(rename = "n")]
    pub name: String,
    /// The answer, encoded as state is; nothing where it was too large to be kept.
    #[serde(rename = "v", default, with = "serde_bytes", skip_serializing_if = "Option::is_none")]
    pub value: Option<Vec<u8>>,
    /// What the handler was told instead: whether that was for good, and why.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    pub error: Option<(bool, String)>,
}

const fn one() -> u32 {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
const fn is_one(number: &u32) -> bool {
    *number == 1
}

impl Answered {
    /// About how many bytes it takes.
    pub(super) fn bytes(&self) -> usize {
        let said = self.error.as_ref().map_or(0, |(_, said)| said.len());
        self.name.len() + self.value.as_ref().map_or(0, Vec::len) + said
    }
}

impl Page {
    pub(crate) fn to_bytes(&self) -> Bytes {
        encode(self).expect("a struct of plain parts can be written").into()
    }

    /// Reads the value of a record of a journal.
    pub fn read(value: &[u8]) -> Result<Self, Unreadable> {
        decode(value)
    }

    /// A time that is so many milliseconds later than the page's.
    pub fn time(&self, later: i64) -> Timestamp {
        Timestamp::from_millis(self.at.saturating_add(later))
    }

    /// The name of one of its topics.
    pub fn topic(&self, place: u16) -> &str {
        self.topics.get(usize::from(place)).map_or("", String::as_str)
    }

    /// How many units it holds.
    pub fn units(&self) -> u64 {
        let of = |step: &Step| match step {
            Step::Run(_, _, count, _) => *count,
            Step::Unit(_) => 1,
        };
        self.steps.iter().map(of).sum()
    }

    /// The topic and the cause of a step that is one unit. Its cause names the topic by the first place, so that it is the same in every page.
    pub(crate) fn unit(&self, step: &Step) -> (String, Cause) {
        match step {
            Step::Run(place, offset, ..) | Step::Unit(Noted { cause: Cause::Record(place, offset), .. }) => {
                (self.topic(*place).to_owned(), Cause::Record(0, *offset))
            }
            Step::Unit(noted) => (String::new(), noted.cause.clone()),
        }
    }

    /// The place of a topic, which it gets if it has none.
    pub(super) fn place(&mut self, topic: &str) -> u16 {
        let known = self.topics.iter().position(|known| known == topic);
        let place = known.unwrap_or_else(|| {
            self.topics.push(topic.to_owned());
            self.topics.len() - 1
        });
        u16::try_from(place).expect("a service has fewer topics")
    }
}
