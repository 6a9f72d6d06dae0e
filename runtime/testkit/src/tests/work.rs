//! A handler whose records say what their handling does.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tidemill_core::context::Context;
use tidemill_core::handler::{Handler, HandlerError};
use tidemill_core::ports::Clock;
use tidemill_core::state::{Cell, Map};

use super::stage::{IN, OUT};
use crate::fakes::VirtualClock;

/// What handling a record does beside noting it.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(crate) struct Task {
    /// The record's own number.
    pub(crate) n: u64,
    /// How long the handler waits between what it reads and what it writes; 0: not at all.
    pub(crate) wait: u64,
    /// How many results it emits.
    pub(crate) emits: u32,
    /// Whether it keeps an entry for each record too, and drops every third.
    pub(crate) keeps: bool,
    /// Up to which attempt it fails.
    pub(crate) fails: u32,
    /// How it fails.
    pub(crate) how: How,
    /// After how many milliseconds a timer of it rings; 0: none does.
    pub(crate) winds: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum How {
    #[default]
    Transient,
    Permanent,
    Panic,
    /// Never ends.
    Hang,
    /// Never ends, and panics when it is dropped.
    HangAndPanic,
    /// Emits something that nobody declared, and says that all is well.
    Undeclared,
    /// Reads state, and goes on without it where it cannot be read.
    Ignore,
    /// Needs the bank.
    Bank,
}

/// What some handlings need.
pub(crate) const BANK: &str = "bank";

/// What a task came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) key: String,
    pub(crate) n: u64,
    pub(crate) count: u64,
    pub(crate) index: u32,
    pub(crate) draw: u64,
}

/// An event that the service does not declare.
#[derive(Serialize, Deserialize)]
pub(crate) struct Stray;

/// A second type for the handler, from a second topic.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Other(pub(crate) Task);

/// What a timer of a task says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ring(pub(crate) u64);

events! {
    Ring, "test.ring", "", |_| None;
    Task, "test.task", IN, |_| None;
    Other, "test.other", "others", |_| None;
    Stray, "test.stray", "strays", |_| None;
    Outcome, "test.result", OUT, |outcome| Some(outcome.key.as_bytes().into());
}

pub(crate) const COUNT: Cell<u64> = Cell::named("count");
pub(crate) const HISTORY: Cell<Vec<u64>> = Cell::named("history");
pub(crate) const KEPT: Map<u64, u64> = Map::named("kept");
/// How often the timer of each task rang.
pub(crate) const RANG: Map<u64, u64> = Map::named("rang");

/// What the handler saw: each attempt's begin and, unless it was dropped, its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Note {
    Begun { key: String, n: u64, attempt: u32, count: u64 },
    Ended { key: String, n: u64 },
}

pub(crate) struct Work {
    pub(crate) clock: Arc<VirtualClock>,
    pub(crate) notes: Arc<Mutex<Vec<Note>>>,
    /// Whether the bank is away.
    pub(crate) away: Arc<AtomicBool>,
}

/// Panics when it is dropped, unless a panic is under way.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "dropped on the way");
    }
}

impl Work {
    async fn fail(&self, how: How, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        match how {
            How::Transient => Err(HandlerError::transient("not now")),
            How::Permanent => Err(HandlerError::permanent("not ever")),
            How::Panic => panic!("out of order"),
            How::Hang => std::future::pending().await,
            How::HangAndPanic => {
                let _bomb = Bomb;
                std::future::pending().await
            }
            How::Undeclared => {
                cx.emit(Stray);
                Ok(())
            }
            How::Ignore => {
                let _ = cx.get(HISTORY).await;
                Ok(())
            }
            How::Bank => unreachable!("it is asked before"),
        }
    }

    pub(super) async fn work(&self, task: &Task, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let key = cx.metadata().key().map(|key| String::from_utf8_lossy(key).into_owned()).unwrap_or_default();
        if task.how == How::Bank && self.away.load(Ordering::SeqCst) {
            self.note(Note::Begun { key, n: task.n, attempt: cx.attempt(), count: 0 });
            return Err(HandlerError::unavailable(BANK, "nobody answers"));
        }
        if cx.attempt() <= task.fails {
            self.note(Note::Begun { key: key.clone(), n: task.n, attempt: cx.attempt(), count: 0 });
            // What a failed attempt did must not be seen anywhere.
            cx.emit(Outcome { key, n: u64::MAX, count: 0, index: 0, draw: 0 });
            cx.set(COUNT, u64::MAX);
            cx.map(KEPT).insert(&u64::MAX, &0);
            return self.fail(task.how, cx).await;
        }
        let mut history = cx.get(HISTORY).await?.unwrap_or_default();
        let count = cx.get(COUNT).await?.unwrap_or(0);
        self.note(Note::Begun { key: key.clone(), n: task.n, attempt: cx.attempt(), count });
        if task.wait > 0 {
            self.clock.sleep(Duration::from_millis(task.wait)).await;
        }
        if task.keeps {
            cx.map(KEPT).insert(&task.n, &count);
            let kept = cx.map(KEPT).range(..).await?;
            if kept.len() == 3 {
                cx.map(KEPT).remove(&kept[0].0);
            }
        }
        if task.winds > 0 {
            let name = format!("ring-{}", task.n);
            cx.schedule(&name, Duration::from_millis(task.winds), Ring(task.n)).await?;
        }
        for index in 0..task.emits {
            let draw = cx.random();
            cx.emit(Outcome { key: key.clone(), n: task.n, count: count + 1, index, draw });
        }
        history.push(task.n);
        cx.set(HISTORY, history);
        cx.set(COUNT, count + 1);
        self.note(Note::Ended { key, n: task.n });
        Ok(())
    }

    fn note(&self, note: Note) {
        self.notes.lock().expect("no test panics here").push(note);
    }
}

#[async_trait(?Send)]
impl Handler<Task> for Work {
    async fn handle(&self, task: &Task, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        self.work(task, cx).await
    }
}

#[async_trait(?Send)]
impl Handler<Ring> for Work {
    async fn handle(&self, Ring(n): &Ring, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let times = cx.map(RANG).get(n).await?.unwrap_or(0) + 1;
        cx.map(RANG).insert(n, &times);
        Ok(())
    }
}

#[async_trait(?Send)]
impl Handler<Other> for Work {
    async fn handle(&self, other: &Other, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        self.work(&other.0, cx).await
    }
}
