//! The ports: everything the core needs from outside, as narrow object-safe traits.
//!
//! Each port has one conformance suite in `tidemill-testkit` that every adapter passes.

mod broker;
mod clock;
mod commit;
mod log;
mod observer;
mod outbox;
mod schemas;
mod sender;
mod store;

pub use broker::{Broker, Committing, Lag, Member, OwnTopic, TopicInfo, Topics};
pub use clock::{Blocking, Clock, Heartbeat, Random};
pub use commit::{Answer, BatchCommit, CommitBatch, Done, ShardCommit, UnitCommit, UnitEffects, UnitTransaction};
pub use log::{Generation, Log, LogEvent, Start, Subscription, records_lost};
pub use observer::{Committed, Disposition, NoObserver, Observer, Retrying, UnitEnded};
pub use outbox::{Fill, Lease, Outbox, OutboxRow, Sent, Which};
pub use schemas::Schemas;
pub use sender::Sender;
pub use store::{Change, Durability, Entry, KeyRange, Store};
