//! In-memory fakes of all ports, under the control of a test: time moves when the test says so, a broker's ownership and
//! answers are scripted, chance is seeded. A run over them repeats exactly.

mod chance;
mod clock;
mod executor;
mod inline;
mod recorder;
mod scripted;
mod switch;
mod worker;

pub use chance::Seeded;
pub use clock::VirtualClock;
pub use executor::{Crash, Executor, Stalled, block_on};
pub use inline::Inline;
pub use recorder::{Recorder, Seen};
pub use scripted::{Plan, Ruling, Scripted, Shape};
pub use switch::Switch;
pub use worker::{ports, work};
