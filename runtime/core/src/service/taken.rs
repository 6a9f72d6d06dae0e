//! What a record of a service's inputs is to it, told from the record alone.

use std::sync::Arc;

use bytes::Bytes;

use crate::headers;
use crate::id::{EventId, IdBase};
use crate::parking::lane_key;
use crate::record::{Position, Record};
use crate::service::{Service, Way, source};

/// How many timers of one unit are looked for.
const MOST_TIMERS: u32 = 64;

/// What a record is to its service: whose, and how it is found again in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The name of its handler; empty where none takes it.
    pub handler: Arc<str>,
    /// The name of its lane, as the journal has it where the record was parked.
    pub lane: Bytes,
    /// The ids of the timers that its unit may have scheduled.
    pub timers: Vec<EventId>,
}

impl Service {
    /// What a record is to this service that came from this position. `handler` is the one that is known to have it; empty where none is.
    pub fn taken(&self, position: &Position, record: &Record, own_id: &str, handler: &str) -> Taken {
        let way = self.way_from(&position.source.topic, &record.headers, handler);
        let place = self.handler_of(way);
        let registered = self.registered(place);
        let lane = self.lane(place, record, position);
        let base = self.named_base(way, record).unwrap_or_else(|| {
            let [source, id] = record.headers.get_all([headers::SOURCE, headers::ID]);
            registered.ids.derived(source, id, || own_id.to_owned())
        });
        Taken { handler: Arc::clone(&registered.name), lane: lane_key(&lane, &registered.name), timers: timers(base) }
    }

    /// What the ids of a unit's outputs follow from, where its event itself names its id.
    pub(crate) fn named_base(&self, way: Way, record: &Record) -> Option<IdBase> {
        let route = self.routed(way)?;
        let id = route.route.reader().names(record.value.as_ref()?)?;
        Some(self.registered(route.handler).ids.named(route.event, &id))
    }

    /// The ids of the timers that the unit of such a timer of a handler may have scheduled.
    pub fn timers_of(&self, handler: &str, timer: EventId) -> Vec<EventId> {
        let registered = self.place_of(handler).map(|place| self.registered(place));
        let base = registered
            .map(|registered| registered.ids.signed(source(&self.name).as_bytes(), timer.to_string().as_bytes()));
        base.map(timers).unwrap_or_default()
    }
}

fn timers(base: IdBase) -> Vec<EventId> {
    (0..MOST_TIMERS).map(|index| EventId::timer(base, index)).collect()
}
