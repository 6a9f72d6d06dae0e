//! The pure heart of tidemill.
//!
//! Nothing in this crate knows a broker, a file, a socket, a wall clock or a thread. What it needs from the outside
//! comes through the [`ports`]; what it decides, it decides the same way every time it is given the same input.
//!
//! A record enters through [`ports::Log`], the [`worker`] hands it to a shard, the shard runs it as one unit of work
//! through one [`handler`], and the unit leaves through a commit port: state changes, emitted records and
//! progress in one atomic act.

pub mod code;
pub mod codec;
pub mod context;
pub mod envelopes;
pub mod event;
pub mod failure;
pub mod handler;
pub mod handover;
pub mod headers;
pub mod id;
pub mod inbox;
pub mod internal;
pub mod journal;
pub mod journey;
pub mod layer;
pub mod letters;
pub mod limits;
pub mod outputs;
pub mod parking;
pub mod partitioner;
pub mod planted;
pub mod ports;
pub mod progress;
pub mod publisher;
pub mod reader;
pub mod record;
pub mod relay;
pub mod replay;
pub mod retry;
pub mod saga;
pub mod service;
pub mod state;
pub mod time;
pub mod timers;
pub mod worker;

mod books;
mod emitted;
mod gathered;
mod guard;
mod lane;
mod shard;
mod source;
mod unit;
