//! Replay: units of a service run again, one at a time, in the order of its journal. Every effect is captured; nothing leaves.
//!
//! A [`Session`] has the state of some shards, each in a store of its own, and no log: whoever has it hands it the records. What a unit did when
//! it ran before decides what it leaves in that state; what its handler does now is told.

mod course;
mod held;
mod join;
mod log;
mod survey;
mod told;

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;

use crate::books::{self, Entered};
use crate::code::Coded;
use crate::journal::{Cause, Noted};
use crate::lane::LaneId;
use crate::ports::{Committing, Entry, Generation, Store, Topics};
use crate::record::{Record, TopicPartition};
use crate::service::Service;
use crate::shard::{is_nobodys, parked_unit, record_unit, timer_unit};
use crate::source::Source;
use crate::state::{Memory, StateId};
use crate::time::Timestamp;
use crate::timers::When;
use crate::unit::{Home, Recorded, Step, Unit, again, fetch_timer};
use crate::worker::{Env, Ports};
use held::Held;

pub(crate) use log::Pages;

pub use course::{Act, Coming, Course, Look, Ran};
pub use join::{Content, Emission, Join, Joined, KEPT_BYTES, SLOWEST};
pub use survey::{Base, Bounds, Span, Survey};
pub use told::{Changed, Needs, TimerChange, Told};

/// Bytes of changes of a shard that are held in memory before they go to its store, and of values that stay there to be read again.
const HELD_BYTES: usize = 16 << 20;

/// What of the units is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wanted {
    /// What each changes in the state of its handler.
    pub changes: bool,
    /// What each needs to run again elsewhere.
    pub needs: bool,
    /// Whether handlers may call outside where no answer was kept.
    pub calls: bool,
}

/// What is known of a unit that ran before.
#[derive(Debug, Clone)]
pub struct Before<'n> {
    /// The time that it saw.
    pub at: Timestamp,
    /// The topic of its record, where it handled one of the log.
    pub topic: &'n str,
    /// What the journal notes.
    pub noted: &'n Noted,
}

/// One shard of a replay.
struct Replayed {
    home: Home,
    /// The inputs, for what a record of each is.
    sources: BTreeMap<Arc<str>, Source>,
    /// The lanes whose records were parked, by their names in state.
    parked: HashMap<Bytes, LaneId>,
}

/// Units of one service that run again on this thread.
pub struct Session {
    env: Rc<Env>,
    held: Rc<Held>,
    shards: BTreeMap<u32, Replayed>,
}

impl Session {
    /// Begins a replay of a service. `topics` tells how many partitions its topics have, and what their ids are.
    pub async fn open(service: Arc<Service>, topics: Arc<dyn Topics>, ports: Ports) -> Result<Self, Coded> {
        let held = Rc::new(Held::default());
        let commits = Committing::Batch(Rc::clone(&held) as Rc<_>);
        let env = Rc::new(Env::open(service, commits, topics, ports).await?);
        Ok(Self { env, held, shards: BTreeMap::new() })
    }

    /// The service.
    pub fn service(&self) -> &Arc<Service> {
        &self.env.service
    }

    /// Begins with a shard, whose state lies in this store. A value of the runtime's own that cannot be read is an error (TM-0505).
    pub async fn begin(&mut self, shard: u32, store: Arc<dyn Store>) -> Result<(), Coded> {
        self.held.stores.borrow_mut().insert(shard, store);
        let mut found = books::read(&self.env, shard, Generation(0)).await?;
        // The journal says which units only caught up.
        found.books.handover = None;
        let parked = found.books.parking.names().map(|(lane, name)| (name.clone(), lane.clone())).collect();
        let home = Home {
            env: Rc::clone(&self.env),
            memory: Rc::new(Memory::default().into()),
            books: Rc::new(found.books.into()),
            shard,
            generation: Generation(0),
        };
        let inputs = self.env.service.input_topics().cloned().enumerate();
        let sources = inputs
            .map(|(input, topic)| (Arc::clone(&topic), Source::new(TopicPartition::new(topic, shard), input, None)));
        self.shards.insert(shard, Replayed { home, sources: sources.collect(), parked });
        Ok(())
    }

    /// The key of a unit, where that can be told without its record: the record of one that was parked or is a timer lies in the state.
    /// `None` where the state does not hold it.
    pub async fn key_of(&self, shard: u32, cause: &Cause) -> Result<Option<Bytes>, Coded> {
        let replayed = self.shard(shard);
        Ok(match cause {
            Cause::Record(..) => None,
            Cause::Parked(name) => match replayed.parked.get(name.as_slice()) {
                Some(LaneId::Key(StateId { key, .. })) => Some(key.clone()),
                _ => None,
            },
            Cause::Timer(when) => {
                let Some(when) = When::from_bytes(when) else { return Ok(None) };
                let found = fetch_timer(&replayed.home, when).await?;
                found.map(|timer| timer.key.into())
            }
        })
    }

    /// Runs a unit again. `record` is the one that it handled, where that was one of the log. `None` where the state does not hold what it
    /// handled, because its record was parked, or its timer scheduled, before the state begins.
    pub async fn run(
        &mut self,
        shard: u32,
        before: &Before<'_>,
        record: Option<Record>,
        wanted: Wanted,
    ) -> Result<Option<Told>, Coded> {
        self.env.see_time(before.at);
        let read = record.clone().filter(|_| wanted.needs);
        let Some((mut unit, step)) = self.shard(shard).made(before, record).await? else { return Ok(None) };
        let answers = before.noted.answers.clone().into();
        unit.recorded = Some(Recorded { answers, may_call: wanted.calls });
        let needs = if wanted.needs {
            let state = self.found(&unit, &before.noted.cause)?;
            Some(Needs { shard, topic: before.topic.to_owned(), record: read, state })
        } else {
            None
        };
        let replayed = self.shards.get_mut(&shard).expect("the shard has begun");
        let ended = again(&mut unit, step, &before.noted.ended, before.noted.attempt).await?;
        let told = Told::of(&mut unit, ended, before, wanted).map(|told| Told { needs, ..told });
        for entered in unit.entered.drain(..) {
            replayed.enter(entered);
        }
        told::keep(&mut unit);
        if replayed.home.memory.borrow().dirty_bytes() > HELD_BYTES {
            self.flush(shard)?;
        }
        told.map(Some)
    }

    /// The state that a unit finds.
    fn found(&self, unit: &Unit, cause: &Cause) -> Result<Vec<Entry>, Coded> {
        self.flush(unit.home.shard)?;
        let lane = if let Cause::Parked(lane) = cause { Some(lane.as_slice()) } else { None };
        let handler = unit.state.as_ref().map(|state| (&*unit.registered().name, &*state.key));
        self.held.of_unit(unit.home.shard, handler, lane)
    }

    /// Whether this build takes a record for nobody's concern.
    fn is_nobodys(&self, shard: u32, topic: &str, record: &Record) -> bool {
        self.shard(shard).sources.get(topic).is_some_and(|source| is_nobodys(&self.env, source, record))
    }

    /// Brings what a shard's units changed into its store.
    pub fn flush(&self, shard: u32) -> Result<(), Coded> {
        let home = &self.shard(shard).home;
        let changes = home.memory.borrow_mut().freeze(|place| self.env.service.scope_name(place));
        self.held.apply(shard, changes)?;
        home.memory.borrow_mut().committed(HELD_BYTES);
        Ok(())
    }

    fn shard(&self, shard: u32) -> &Replayed {
        self.shards.get(&shard).expect("the shard has begun")
    }
}

impl Replayed {
    fn enter(&mut self, entered: Entered) {
        if let Entered::Parked { lane, slot, .. } = &entered {
            self.parked.insert(slot.lane.clone(), lane.clone());
        }
        // The next timers are not watched: the journal says which fire.
        if !matches!(entered, Entered::Scheduled { .. } | Entered::Cancelled { .. } | Entered::Fired) {
            self.home.books.borrow_mut().enter(entered);
        }
    }

    /// The unit that ran before, and what is to be done with it.
    async fn made(&self, before: &Before<'_>, record: Option<Record>) -> Result<Option<(Box<Unit>, Step)>, Coded> {
        match &before.noted.cause {
            Cause::Record(..) => {
                let record = record.expect("a unit of a record is handed it");
                let (topic, source) = match self.sources.get_key_value(before.topic) {
                    Some((topic, source)) => (Arc::clone(topic), Some(source)),
                    // An input of the build before.
                    None => (before.topic.into(), None),
                };
                Ok(Some(record_unit(&self.home, source, TopicPartition::new(topic, self.home.shard), record)))
            }
            Cause::Parked(name) => {
                let Some(lane) = self.parked.get(name.as_slice()) else { return Ok(None) };
                let slot = self.home.books.borrow().parking.first(lane).cloned();
                let Some(slot) = slot else { return Ok(None) };
                parked_unit(self.home.clone(), lane.clone(), slot).await.map(Some)
            }
            Cause::Timer(when) => {
                let Some(when) = When::from_bytes(when) else { return Ok(None) };
                timer_unit(self.home.clone(), when).await
            }
        }
    }
}
