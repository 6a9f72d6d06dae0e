//! Kafka as a broker: records, groups, state and commits over librdkafka.
//!
//! A record enters through `reader.rs`, which reads each partition from a queue of its own; what the group says about
//! ownership comes through `member.rs`. It leaves through `commits.rs`: outputs, the changelog and the group's offsets in one
//! transaction (`transaction.rs`). State lies in a local store that `restore.rs` brings to the changelog's end when a shard
//! comes. This is the only crate that knows librdkafka, and `native/` the only place that calls it without a safe wrapper.

mod access;
mod broker;
mod changelog;
mod checks;
mod client;
mod commits;
mod configs;
mod context;
mod failure;
mod lookup;
mod member;
mod names;
mod native;
mod offsets;
mod operations;
mod ownership;
pub mod raw;
mod reader;
mod records;
mod report;
mod restore;
mod sender;
mod settings;
mod states;
mod times;
mod token;
mod topics;
mod transaction;

pub use broker::{Kafka, OpenStore};
pub use settings::{GroupProtocol, Settings};
