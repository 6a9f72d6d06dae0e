//! Every adapter passes the suite of its port.

#![allow(clippy::unwrap_used, reason = "a test stops at the first thing that is wrong")]

mod brokers;
mod kafka;
mod outboxes;
mod postgres;
mod retention;
mod stores;
