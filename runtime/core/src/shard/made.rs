//! Units as they are made of what comes, in a live run and in a replay.

use std::sync::Arc;

use crate::code::Coded;
use crate::handover::Part;
use crate::internal::Command;
use crate::lane::LaneId;
use crate::parking::Slot;
use crate::planted::{Bug, is_planted};
use crate::record::{Record, TopicPartition};
use crate::service::Way;
use crate::shard::incoming::{Incoming, Waiting, look_at, step_of};
use crate::source::Source;
use crate::timers::When;
use crate::unit::{Home, Made, Settles, Step, Unit, fetch, fetch_timer};
use crate::worker::Env;

impl Waiting {
    /// A record that was taken; `None` for one that is nobody's concern.
    pub(super) fn of(source: usize, incoming: Incoming, record: Record) -> Option<Self> {
        let offset = record.offset;
        Some(match incoming {
            Incoming::Ignored => return None,
            Incoming::Event(way) => Self { source, offset, way, record, command: None },
            Incoming::Command(command, record, way) => Self { source, offset, way, record, command: Some(command) },
        })
    }

    /// What is to be done with it. `is_parked`: its lane is.
    pub(super) fn step(&self, home: &Home, partition: &TopicPartition, is_parked: bool) -> Step {
        match &self.command {
            Some(command) => Step::Command(command.clone()),
            None if self.part(home, partition) == Part::Passed => Step::Pass,
            None if is_parked => Step::Queue,
            None => step_of(&home.env, self.way, partition, &self.record),
        }
    }

    /// Its unit. `since` is the oldest offset that was read of its partition.
    pub(super) fn into_unit(self, home: Home, partition: TopicPartition, since: u64) -> Box<Unit> {
        let muted = match self.part(&home, &partition) {
            Part::Muted { calls } => Some(calls),
            Part::Live | Part::Passed => None,
        };
        let Self { offset, way, record, command, .. } = self;
        let origin = command.as_ref().map_or_else(|| partition.clone(), |command| command.target.origin());
        let settles = Settles::Record { source: partition, offset, since };
        let mut unit = Unit::new(home, Made { origin, settles, record, way, muted });
        unit.own_id = command.and_then(|command: Box<Command>| command.target.named());
        unit
    }
}

/// Whether a record of an input is nobody's concern.
pub(crate) fn is_nobodys(env: &Env, source: &Source, record: &Record) -> bool {
    matches!(look_at(env, source, record), Incoming::Ignored)
}

/// The unit of a record of an input, if it is one, and what is to be done with it.
pub(crate) fn record_unit(
    home: &Home,
    source: Option<&Source>,
    partition: TopicPartition,
    record: Record,
) -> (Box<Unit>, Step) {
    let incoming = source.map_or(Incoming::Ignored, |source| look_at(&home.env, source, &record));
    let nobodys =
        |record: Record| Waiting { source: 0, offset: record.offset, way: Way::NOWHERE, record, command: None };
    let waiting = match incoming {
        Incoming::Ignored => nobodys(record),
        known => Waiting::of(0, known, record).expect("it is somebody's concern"),
    };
    let step = waiting.step(home, &partition, false);
    (waiting.into_unit(home.clone(), partition, 0), step)
}

/// The unit of a parked record, and what is to be done with it.
pub(crate) async fn parked_unit(home: Home, lane: LaneId, slot: Slot) -> Result<(Box<Unit>, Step), Coded> {
    let parked = fetch(&home, &slot).await?;
    let (record, origin) = (parked.record(), parked.origin());
    let way = home.env.service.way_from(&origin.topic, &record.headers, &parked.handler);
    let step = step_of(&home.env, way, &origin, &record);
    let made = Made { origin, settles: Settles::Parked(slot), record, way, muted: parked.muted };
    let mut unit = Unit::new(home, made);
    unit.own_id = parked.named();
    let past = parked.past.filter(|_| !is_planted(Bug::PastForgotten));
    (unit.past, unit.redriven, unit.parked_in) = (past, parked.redriven, Some(lane));
    Ok((unit, step))
}

/// The unit of a timer, and what is to be done with it; `None` where there is none any more: it was cancelled.
pub(crate) async fn timer_unit(home: Home, when: When) -> Result<Option<(Box<Unit>, Step)>, Coded> {
    let Some(found) = fetch_timer(&home, when).await? else { return Ok(None) };
    let source = TopicPartition::new(Arc::clone(&home.env.service.timers.topic), home.shard);
    let (name, handler) = (found.name.clone(), found.handler.clone());
    let record = found.into_record(when, when.position(&source).offset);
    let way = home.env.service.way_from(&source.topic, &record.headers, &handler);
    let step = step_of(&home.env, way, &source, &record);
    let muted = home.books.borrow().handover.as_ref().filter(|handover| handover.mutes(&handler)).map(|it| it.calls);
    let settles = Settles::Timer { when, name, handler };
    Ok(Some((Unit::new(home, Made { origin: source, settles, record, way, muted }), step)))
}
