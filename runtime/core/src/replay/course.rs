//! A shard's units, one after the other, as its journal has them.

use std::collections::BTreeMap;
use std::ops::{AddAssign, ControlFlow};
use std::sync::Arc;

use crate::code::Coded;
use crate::journal::{Cause, Ending, Noted, Page, Step};
use crate::ports::{Store, Topics};
use crate::record::{Record, TopicPartition};
use crate::replay::log::{Pages, Records};
use crate::replay::survey::{Bounds, Span};
use crate::replay::{Before, Session, Told, Wanted};
use crate::time::Timestamp;

/// A unit that is about to run.
#[derive(Debug, Clone, Copy)]
pub struct Coming<'c> {
    /// Whether it is in the range.
    pub is_meant: bool,
    /// The topic of its record and the record, where it handled one of the log.
    pub record: Option<(&'c str, &'c Record)>,
    /// The key, where the record has one and is known.
    pub key: Option<&'c [u8]>,
}

/// What becomes of a unit in a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// It does not run.
    Skip,
    /// It runs for what it leaves in the state.
    Run,
    /// It runs and is told.
    Tell(Wanted),
}

/// Who looks on.
pub trait Look {
    /// Whether a unit runs and is told.
    fn wants(&mut self, coming: &Coming<'_>) -> Act;

    /// Whether it depends on the key. That of a parked record or a timer has to be read before.
    fn by_key(&self) -> bool {
        false
    }

    /// A unit ran that is told. `Break` ends the replay of the shard.
    fn see(&mut self, told: Told) -> Result<ControlFlow<()>, Coded>;

    /// So many units more are behind.
    fn passed(&mut self, _units: u64) {}
}

/// What a replay of a shard came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ran {
    /// Units that ran.
    pub units: u64,
    /// Units of the range that could not, because the state did not hold what they handled, which was parked or scheduled before, or held what
    /// they did.
    pub unknown: u64,
}

impl AddAssign for Ran {
    fn add_assign(&mut self, other: Self) {
        self.units += other.units;
        self.unknown += other.unknown;
    }
}

/// A replay of one shard.
pub struct Course<'c> {
    session: &'c mut Session,
    topics: Arc<dyn Topics>,
    shard: u32,
    bounds: Bounds,
    records: BTreeMap<String, Records>,
    /// Units that the state holds already, each as often as it does.
    held: Vec<(String, Cause)>,
    ran: Ran,
}

impl<'c> Course<'c> {
    /// Of a shard that the session has begun with.
    pub fn new(session: &'c mut Session, topics: Arc<dyn Topics>, shard: u32, bounds: Bounds) -> Self {
        Self { session, topics, shard, bounds, records: BTreeMap::new(), held: Vec::new(), ran: Ran::default() }
    }

    /// Of a state that holds these units already: each of them is passed over once.
    #[must_use]
    pub fn passing(mut self, held: Vec<(String, Cause)>) -> Self {
        self.held = held;
        self
    }

    /// Runs what this part of the journal has. Where the shard's state was dropped in between, `fresh` makes the store of the next one.
    pub async fn run(
        mut self,
        journal: TopicPartition,
        span: Span,
        fresh: &dyn Fn() -> Arc<dyn Store>,
        look: &mut dyn Look,
    ) -> Result<Ran, Coded> {
        let Span { from, first, last } = span;
        let mut pages = Pages::new(Arc::clone(&self.topics), journal, from);
        let mut is_first = true;
        while let Some((at, page)) = pages.next().await? {
            if at > last {
                break;
            }
            if page.number == 1 && !is_first {
                self.session.begin(self.shard, fresh()).await?;
                self.held.clear();
            }
            is_first = false;
            if self.page(&page, at >= first, look).await?.is_break() {
                break;
            }
        }
        self.session.flush(self.shard)?;
        Ok(self.ran)
    }

    async fn page(&mut self, page: &Page, is_meant: bool, look: &mut dyn Look) -> Result<ControlFlow<()>, Coded> {
        for step in &page.steps {
            let went_on = match step {
                Step::Run(place, first, count, later) => {
                    let (mut noted, at) = (plain(*place, *later), page.time(*later));
                    for offset in *first..*first + *count {
                        noted.cause = Cause::Record(*place, offset);
                        if self.unit(page, &noted, at, is_meant, look).await?.is_break() {
                            return Ok(ControlFlow::Break(()));
                        }
                    }
                    look.passed(*count);
                    ControlFlow::Continue(())
                }
                Step::Unit(noted) => {
                    let went_on = self.unit(page, noted, page.time(noted.later), is_meant, look).await?;
                    look.passed(1);
                    went_on
                }
            };
            if went_on.is_break() {
                return Ok(went_on);
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    async fn unit(
        &mut self,
        page: &Page,
        noted: &Noted,
        at: Timestamp,
        mut is_meant: bool,
        look: &mut dyn Look,
    ) -> Result<ControlFlow<()>, Coded> {
        if self.is_held(page, noted) {
            let is_meant = match noted.cause {
                Cause::Record(place, offset) => self.bounds.hold(page.topic(place), offset),
                _ => is_meant,
            };
            self.ran.unknown += u64::from(is_meant);
            return Ok(ControlFlow::Continue(()));
        }
        let (mut topic, mut record, mut key) = ("", None, None);
        if let Cause::Record(place, offset) = noted.cause {
            topic = page.topic(place);
            is_meant = self.bounds.hold(topic, offset);
            let found = self.record(topic, offset).await?;
            key.clone_from(&found.key);
            record = Some(found);
        } else if look.by_key() {
            key = self.session.key_of(self.shard, &noted.cause).await?;
        }
        let coming = Coming { is_meant, record: record.as_ref().map(|record| (topic, record)), key: key.as_deref() };
        let act = look.wants(&coming);
        let wanted = match act {
            Act::Skip => return Ok(ControlFlow::Continue(())),
            Act::Run => Wanted::default(),
            Act::Tell(wanted) => wanted,
        };
        let before = Before { at, topic, noted };
        let told = self.session.run(self.shard, &before, record, wanted).await?;
        match (told, act) {
            (None, _) => {
                self.ran.unknown += u64::from(is_meant);
                Ok(ControlFlow::Continue(()))
            }
            (Some(told), Act::Tell(_)) => {
                self.ran.units += 1;
                look.see(told)
            }
            (Some(_), _) => {
                self.ran.units += 1;
                Ok(ControlFlow::Continue(()))
            }
        }
    }

    fn is_held(&mut self, page: &Page, noted: &Noted) -> bool {
        if self.held.is_empty() {
            return false;
        }
        let unit = page.unit(&Step::Unit(noted.clone()));
        let place = self.held.iter().position(|held| *held == unit);
        place.map(|place| self.held.swap_remove(place)).is_some()
    }

    async fn record(&mut self, topic: &str, offset: u64) -> Result<Record, Coded> {
        let (session, shard) = (&*self.session, self.shard);
        if !self.records.contains_key(topic) {
            // Units end in another order than they begin in, by so many records at the most.
            let from = offset.saturating_sub(session.service().limits().undone as u64);
            let records = Records::new(Arc::clone(&self.topics), TopicPartition::new(topic, shard), from);
            self.records.insert(topic.to_owned(), records);
        }
        let records = self.records.get_mut(topic).expect("it was put there");
        records.take(offset, |record| session.is_nobodys(shard, topic, record)).await
    }
}

/// What is noted of a record that was done as most are.
const fn plain(place: u16, later: i64) -> Noted {
    Noted { cause: Cause::Record(place, 0), later, ended: Ending::Done, attempt: 1, answers: Vec::new() }
}
