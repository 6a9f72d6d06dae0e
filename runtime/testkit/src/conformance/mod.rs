//! One suite for each port. An adapter that passes its suite does what the port says.

mod broker;
mod commit;
mod log;
mod outbox;
mod ownership;
mod peer;
mod relay;
mod scene;
mod sender;
mod store;

pub use broker::broker;
pub use commit::commit;
pub use log::log;
pub use outbox::{AT, Draft, LocalRows, Note, Outboxes, TOPICS, outbox};
pub use ownership::ownership;
pub use relay::{Between, Effort, Fate, LEASE, Watch, WatchedLog, WatchedOutbox, each_once, relay};
pub use scene::Fixture;
pub use sender::sender;
pub use store::{Place, store};
