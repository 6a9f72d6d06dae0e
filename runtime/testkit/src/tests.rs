//! The worker over the fakes: both commit shapes, every answer, every end.

/// Events in JSON: each type with its name, its topic and its key.
macro_rules! events {
    ($($type:ty, $name:expr, $topic:expr, $key:expr;)*) => {$(
        impl ::tidemill_core::event::Event for $type {
            const NAME: &'static str = $name;
            const VERSION: u32 = 1;
            const TOPIC: &'static str = $topic;
            type Codec = ::tidemill_core::codec::Json;

            fn key(&self) -> Option<::std::borrow::Cow<'_, [u8]>> {
                let key: fn(&Self) -> Option<::std::borrow::Cow<'_, [u8]>> = $key;
                key(self)
            }
        }
    )*};
}

mod answers;
mod backfill;
mod crash;
mod culprits;
mod failures;
mod fakes;
mod inbox;
mod letters;
mod limits;
mod order;
mod ownership;
mod parking;
mod pauses;
mod positions;
mod relay;
mod replays;
mod sagas;
mod schemas;
mod snapshots;
mod stage;
mod state;
mod timers;
mod units;
mod work;
