//! The context: all that a handler may touch.

mod calls;
mod emit;
mod entries;
mod replies;
mod timers;

use std::ops::Bound;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::books::scan;
use crate::code::{Code, Coded};
use crate::handler::HandlerError;
use crate::headers::{self, Headers};
use crate::limits::KEY_LIMIT;
use crate::planted::{Bug, is_planted};
use crate::ports::{Committing, Entry, KeyRange, Random};
use crate::record::Position;
use crate::retry::Retry;
use crate::state::{Cell, Unreadable, decode, own};
use crate::time::Timestamp;
use crate::unit::{Settles, Unit, open};

pub use entries::Entries;

/// What a handler may touch: state of the record's key, emissions, time, chance and ids, and what is known of the record.
///
/// Everything done through it happens once, if and only if the unit commits. Time is the same for all units of a commit.
pub struct Context<'a> {
    unit: &'a mut Unit,
}

/// What is known of the record being handled beside its event.
#[derive(Debug, Clone, Copy)]
pub struct Metadata<'a> {
    unit: &'a Unit,
}

impl<'a> Metadata<'a> {
    /// Where the record stands.
    pub fn position(&self) -> Position {
        self.unit.position()
    }

    /// The name of the handler that takes it.
    pub fn handler(&self) -> &'a str {
        &self.unit.registered().name
    }

    /// The record's own timestamp.
    pub fn timestamp(&self) -> Timestamp {
        self.unit.record.timestamp
    }

    /// The record's key.
    pub fn key(&self) -> Option<&'a [u8]> {
        self.unit.record.key.as_deref()
    }

    /// All headers.
    pub fn headers(&self) -> &'a Headers {
        &self.unit.record.headers
    }

    /// The event's id, if its headers name one.
    pub fn id(&self) -> Option<&'a str> {
        self.unit.record.headers.text(headers::ID)
    }

    /// Who emitted the event, if its headers say so.
    pub fn source(&self) -> Option<&'a str> {
        self.unit.record.headers.text(headers::SOURCE)
    }

    /// The id of the event that began the whole process; the event's own where it began one.
    pub fn correlation_id(&self) -> Option<&'a str> {
        self.unit.record.headers.text(headers::CORRELATION_ID).or_else(|| self.id())
    }
}

impl std::fmt::Debug for Unit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Unit({})", self.position())
    }
}

impl<'a> Context<'a> {
    pub(crate) fn new(unit: &'a mut Unit) -> Self {
        Self { unit }
    }

    /// What is known of the record.
    pub fn metadata(&self) -> Metadata<'_> {
        Metadata { unit: self.unit }
    }

    /// The time of this unit: a replay sees the same.
    pub fn now(&self) -> Timestamp {
        self.unit.now
    }

    /// 64 random bits. They derive from the unit, so that every attempt and every replay draws the same ones.
    pub fn random(&mut self) -> u64 {
        self.unit.draw()
    }

    /// The number of this attempt, from 1.
    pub fn attempt(&self) -> u32 {
        self.unit.attempt
    }

    /// A key that is the same for every attempt and every replay of this unit, for calls to the outside that accept one.
    pub fn idempotency_key(&mut self) -> String {
        self.unit.id(u32::MAX).to_string()
    }

    /// Runs work that blocks on a thread of its own and waits for its result. The work may run more than once.
    pub async fn blocking<T, F>(&self, work: F) -> Result<T, HandlerError>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let (send, receive) = futures_channel::oneshot::channel();
        self.unit.home.env.blocking.run(Box::new(move || {
            // Nobody waits any more when the unit was interrupted; the result is of no use then.
            let _ = send.send(work());
        }));
        receive.await.map_err(|_| HandlerError::transient("the blocking work panicked or was abandoned"))
    }

    /// The value of a cell of this key; `None` if it was never set.
    pub async fn get<T: DeserializeOwned>(&mut self, cell: Cell<T>) -> Result<Option<T>, HandlerError> {
        self.read(cell.name(), self.unit.home.env.cell(cell.name())).await
    }

    /// Sets a cell of this key.
    pub fn set<T: Serialize>(&mut self, cell: Cell<T>, value: T) {
        match self.unit.home.env.encoded(&value) {
            Ok(bytes) => self.write(self.unit.home.env.cell(cell.name()), Some(bytes)),
            Err(error) => {
                let message = format!("the value for cell {} cannot be written: {error}", cell.name());
                self.fail(HandlerError::permanent(message));
            }
        }
    }

    /// Removes a cell of this key.
    pub fn clear<T>(&mut self, cell: Cell<T>) {
        self.write(self.unit.home.env.cell(cell.name()), None);
    }

    /// Nothing of what the attempt did so far stays, nor of what it did in a transaction of its own.
    pub(crate) async fn forget(&mut self) -> Result<(), HandlerError> {
        // What broke beneath the handler is no fault of the handler's, whatever it answers: the unit runs again.
        if let Some(cause) = self.unit.transaction.as_ref().and_then(|transaction| transaction.broken()) {
            return Err(HandlerError::transient(cause.message));
        }
        self.unit.forget();
        if self.unit.transaction.take().is_some() {
            let opened = open(self.unit).await;
            self.grounded(opened)?;
        }
        Ok(())
    }

    /// What went wrong in a call that does not answer with an error, if anything did.
    pub(crate) fn fault(&mut self) -> Option<HandlerError> {
        self.unit.fault.take()
    }

    /// Whether the record has been here before: it fired as a timer, or was parked.
    pub(crate) fn comes_again(&self) -> bool {
        matches!(self.unit.settles, Settles::Timer { .. } | Settles::Parked(_))
    }

    /// The types of the events that were emitted so far, each once.
    pub(crate) fn emitted_types(&self) -> Vec<String> {
        let mut types = Vec::<String>::new();
        for output in self.unit.outputs.iter() {
            let named = headers::find(output.headers, headers::TYPE);
            let event = named.and_then(|value| std::str::from_utf8(value).ok()).unwrap_or(output.topic);
            if !types.iter().any(|known| known == event) {
                types.push(event.to_owned());
            }
        }
        types
    }

    /// The delay before another try, by chance that a replay draws again.
    pub(crate) fn retry_delay(&mut self, retry: &Retry, tries: u32) -> Duration {
        struct Drawn(u64);
        impl Random for Drawn {
            fn next(&self) -> u64 {
                self.0
            }
        }
        retry.delay(tries, &Drawn(self.random()))
    }

    /// What it means that something of this key cannot be read.
    pub(crate) fn cannot_read(&self, what: &str, error: &Unreadable) -> Coded {
        let handler = &self.unit.registered().name;
        let position = self.unit.position();
        Coded::new(
            Code::STATE_UNREADABLE,
            format!("{what} of handler {handler} cannot be read for {position}: {error}"),
        )
    }

    /// Something went wrong in a call that answers nothing: the attempt cannot succeed any more.
    fn fail(&mut self, error: HandlerError) {
        self.unit.fault.get_or_insert(error);
    }

    fn write(&mut self, suffix: Bytes, value: Option<Bytes>) {
        match self.check_key(&suffix) {
            Ok(()) => self.unit.writes.insert(suffix, value),
            Err(error) => self.fail(error),
        }
    }

    /// Refuses state that could not be kept: without a key, or under one that is too long for a store. A commit would find the
    /// second too late to tell whose it is.
    fn check_key(&self, suffix: &[u8]) -> Result<(), HandlerError> {
        let Some(state) = &self.unit.state else {
            let position = self.unit.position();
            return Err(HandlerError::permanent(format!("{position} has no key, and only a key has state")));
        };
        let length = state.key.len() + suffix.len();
        if length <= KEY_LIMIT {
            return Ok(());
        }
        Err(HandlerError::permanent(format!(
            "state is used under a key of {length} bytes, and {KEY_LIMIT} is the limit for the record's key, the name and \
             the entry's key together"
        )))
    }

    /// The unit's own transaction, for those who know the adapter that opened it; none where units commit in batches, or elsewhere.
    pub fn transaction<T: 'static>(&mut self) -> Option<&mut T> {
        self.unit.transaction.as_mut()?.as_any().downcast_mut()
    }

    /// The newest value of the cell or map entry that `suffix` names, which belongs to `name`.
    async fn read<T: DeserializeOwned>(&mut self, name: &str, suffix: Bytes) -> Result<Option<T>, HandlerError> {
        self.check_key(&suffix)?;
        let found = match self.held(&suffix) {
            Some(found) => found,
            None => self.fetch(suffix).await?.as_deref().map(decode),
        };
        found.map(|value| self.readable(name, value)).transpose()
    }

    /// The newest value where memory knows it, decoded where it lies: written by this attempt, or by a completed unit of this
    /// key, or read before. `Some(None)` is known to be absent.
    #[expect(clippy::option_option, reason = "whether it is known, and what is known, are two questions")]
    fn held<T: DeserializeOwned>(&self, suffix: &[u8]) -> Option<Option<Result<T, Unreadable>>> {
        let Unit { home, writes, state, transaction, .. } = &*self.unit;
        if let Some(value) = writes.get(suffix) {
            return Some(value.as_deref().map(decode));
        }
        if transaction.is_some() || is_planted(Bug::OverlayIgnored) {
            return None;
        }
        let mut memory = home.memory.borrow_mut();
        memory.get(state.as_ref()?, suffix).map(|value| value.map(|value| decode(value)))
    }

    /// The committed value, which memory does not know.
    async fn fetch(&mut self, suffix: Bytes) -> Result<Option<Bytes>, HandlerError> {
        let key = self.unit.state_key(&suffix).expect("it was checked");
        if let Some(transaction) = &mut self.unit.transaction {
            let value = transaction.get(&key).await;
            return self.grounded(value);
        }
        let (home, id) = (&self.unit.home, self.unit.state.as_ref().expect("it was checked"));
        let Committing::Batch(commits) = &home.env.commits else {
            unreachable!("units that commit have a transaction")
        };
        let shard = if is_planted(Bug::OtherShardsState) { home.shard ^ 1 } else { home.shard };
        match commits.get(shard, &key) {
            Ok(value) => {
                home.memory.borrow_mut().remember(id, suffix, value.as_ref().map(own));
                Ok(value)
            }
            failed => self.grounded(failed),
        }
    }

    /// The first `limit` entries whose suffix lies in `range`, newest values, in order.
    async fn read_range(&mut self, range: KeyRange, limit: usize) -> Result<Vec<Entry>, HandlerError> {
        self.check_key(&[])?;
        let prefix = self.unit.state_key(&[]).expect("it was checked");
        if range.is_empty() {
            return Ok(Vec::new());
        }
        let full = |bound: &Bound<Bytes>| match bound {
            Bound::Included(suffix) => Bound::Included([&prefix, &suffix[..]].concat().into()),
            Bound::Excluded(suffix) => Bound::Excluded([&prefix, &suffix[..]].concat().into()),
            Bound::Unbounded => unreachable!("ranges lie inside one map"),
        };
        let full_range = KeyRange { start: full(&range.start), end: full(&range.end) };
        let mut newer = std::collections::BTreeMap::new();
        if self.unit.transaction.is_none() {
            let id = self.unit.state.as_ref().expect("a state key was made of it");
            newer.extend(self.unit.home.memory.borrow().range(id, &range));
        }
        newer.extend(self.unit.writes.range(&range).map(|(suffix, value)| (suffix.clone(), value.clone())));
        // Each newer entry can hide at most one committed one.
        let wanted = limit.saturating_add(newer.len());
        let Unit { home, transaction, .. } = &mut *self.unit;
        let committed = scan(&home.env, home.shard, transaction.as_mut(), &full_range, wanted).await;
        for (key, value) in self.grounded(committed)? {
            newer.entry(key.slice(prefix.len()..)).or_insert(Some(value));
        }
        Ok(newer.into_iter().filter_map(|(suffix, value)| Some((suffix, value?))).take(limit).collect())
    }

    /// What the ground under the runtime answered. Where it failed, the attempt cannot succeed any more, even if the handler
    /// goes on without an answer.
    fn grounded<T>(&mut self, answer: Result<T, Coded>) -> Result<T, HandlerError> {
        answer.map_err(|cause| {
            let fatal = HandlerError::fatal(cause);
            self.fail(fatal.clone());
            fatal
        })
    }

    /// A stored value that cannot be read stops the shard: going on would overwrite it. The record tells which key it is; the
    /// key itself may be somebody's name, and the error goes to the log.
    fn readable<T>(&mut self, name: &str, value: Result<T, Unreadable>) -> Result<T, HandlerError> {
        let value = value.map_err(|error| self.cannot_read(name, &error));
        self.grounded(value)
    }
}
