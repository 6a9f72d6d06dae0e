//! The embedded log: topics, groups, state and progress in one process, over memory, sled or fjall.
//!
//! A record enters through [`Embedded`]'s `publish`, or as an output of a commit (`commits.rs`); both go through the
//! `ledger`, which alone writes: it gives offsets out and applies chunks, state and progress as one batch of the store.
//! A record leaves through a member's log (`member.rs`), which reads chunks and is woken by the ledger. Who may read and
//! commit what is decided in `groups.rs`.

mod away;
mod broker;
mod chunk;
mod commits;
mod directory;
mod groups;
mod layout;
mod ledger;
mod local;
mod lock;
mod member;
mod sender;
mod settings;
pub mod store;
mod topics;

pub use broker::Embedded;
pub use local::{Local, Transaction};
pub use settings::{Retention, Settings, Sync};
