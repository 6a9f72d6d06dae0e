//! The events of the workloads.

use tidemill::prelude::*;

/// Something to count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Event)]
#[event(name = "sim.tick", version = 1, topic = "ticks", key = key, codec = json)]
pub(crate) struct Tick {
    pub(crate) key: String,
    pub(crate) n: u64,
}

/// What says it is a tick and cannot be read as one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Event)]
#[event(name = "sim.tick", version = 1, topic = "ticks", key = key, codec = json)]
pub(crate) struct Garbage {
    pub(crate) key: String,
    pub(crate) n: String,
}

/// What nobody expects among ticks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Event)]
#[event(name = "sim.stranger", version = 1, topic = "ticks", key = key, codec = json)]
pub(crate) struct Stranger {
    pub(crate) key: String,
}

/// What a timer says when it rings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Event)]
#[event(name = "sim.ring", version = 1, codec = json)]
pub(crate) struct Ring {
    pub(crate) n: u64,
}

/// The same from another topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Event)]
#[event(name = "sim.tock", version = 1, topic = "tocks", key = key, codec = json)]
pub(crate) struct Tock {
    pub(crate) key: String,
    pub(crate) n: u64,
}

/// What a count came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Event)]
#[event(name = "sim.counted", version = 1, topic = "counted", key = key, codec = json)]
pub(crate) struct Counted {
    pub(crate) key: String,
    pub(crate) n: u64,
    pub(crate) count: u64,
}

/// The beginning of a chain, by customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Event)]
#[event(name = "sim.bought", version = 1, topic = "bought", key = customer, codec = json)]
pub(crate) struct Bought {
    pub(crate) customer: String,
    pub(crate) n: u64,
}

/// Its middle, by item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Event)]
#[event(name = "sim.picked", version = 1, topic = "picked", key = item, codec = json)]
pub(crate) struct Picked {
    pub(crate) item: String,
    pub(crate) n: u64,
}

/// Its end, by shelf.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Event)]
#[event(name = "sim.emptied", version = 1, topic = "emptied", key = shelf, codec = json)]
pub(crate) struct Emptied {
    pub(crate) shelf: String,
    pub(crate) n: u64,
}
