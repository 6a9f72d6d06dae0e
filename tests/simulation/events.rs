//! The events of the workloads.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use tidemill_core::codec::Json;
use tidemill_core::event::Event;

macro_rules! events {
    ($($(#[$doc:meta])* $type:ident, $name:literal, $topic:literal, key $key:ident { $($field:ident: $of:ty),* };)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        pub(crate) struct $type { $(pub(crate) $field: $of),* }

        impl Event for $type {
            const NAME: &'static str = $name;
            const VERSION: u32 = 1;
            const TOPIC: &'static str = $topic;
            type Codec = Json;

            fn key(&self) -> Option<Cow<'_, [u8]>> {
                Some(self.$key.as_bytes().into())
            }
        }
    )*};
}

events! {
    /// Something to count.
    Tick, "sim.tick", "ticks", key key { key: String, n: u64 };
    /// The same from another topic.
    Tock, "sim.tock", "tocks", key key { key: String, n: u64 };
    /// What a count came to.
    Counted, "sim.counted", "counted", key key { key: String, n: u64, count: u64 };
    /// The beginning of a chain, by customer.
    Bought, "sim.bought", "bought", key customer { customer: String, n: u64 };
    /// Its middle, by item.
    Picked, "sim.picked", "picked", key item { item: String, n: u64 };
    /// Its end, by shelf.
    Emptied, "sim.emptied", "emptied", key shelf { shelf: String, n: u64 };
}
