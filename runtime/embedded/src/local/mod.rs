//! Rows and events of a program that is no service, in a directory of its own: what a transaction writes and the events that it adds
//! commit together. A relay sends the events to the log.
//!
//! | key | value |
//! |---|---|
//! | `r`, the row's key | the row |
//! | `o`, id (8 bytes) | an event, see `row.rs` |
//! | `d`, id of an event (8), time in milliseconds (8) | what an operator did with it that was parked, and why |
//! | `m`, `i` | the greatest id of an event that was deleted (8) |
//! | `m`, `p`, the relay's name | the number of the last publish whose events were deleted (8) |
//!
//! Numbers are big-endian, so that keys sort as they do.

mod outbox;
mod row;
mod turns;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex as SyncMutex};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use tidemill_core::code::{Code, Coded};
use tidemill_core::envelopes::Envelopes;
use tidemill_core::event::Event;
use tidemill_core::headers::Headers;
use tidemill_core::ports::{Blocking, Change, Clock, Durability, Entry, KeyRange, Outbox, OutboxRow, Store};
use tidemill_core::publisher::Publication;

use crate::away::Away;
use crate::directory::{Directory, Holds, fresh_id};
use crate::settings::Settings;
use crate::store;
use outbox::{Held, LocalOutbox};
use turns::{Turn, Turns};

const ROW: u8 = b'r';
const EVENT: u8 = b'o';
const PUBLISHES: &[u8] = b"mp";
const DEED: u8 = b'd';

/// What everything of one directory shares.
struct Shared {
    store: Arc<dyn Store>,
    away: Away,
    clock: Arc<dyn Clock>,
    /// What the ids of its events begin with, so that no other directory has one of them.
    id: Arc<str>,
    /// Of transactions, one at a time.
    turns: Arc<Turns>,
    /// The id of the next event, which changes in a turn only.
    next: AtomicU64,
    /// How often something came that a relay may wait for.
    news: AtomicU64,
    relay: AtomicWaker,
    held: SyncMutex<Option<Held>>,
    /// Held while events are changed that are there.
    changes: SyncMutex<()>,
    /// Held for as long as the store is open.
    _directory: Option<Directory>,
}

impl Shared {
    fn tell(&self) {
        self.news.fetch_add(1, Ordering::Release);
        self.relay.wake();
    }
}

/// Rows and events of a program, in a directory that one process owns.
///
/// A commit that was answered is on the disk.
#[derive(Clone)]
pub struct Local(Arc<Shared>);

fn event_key(id: u64) -> Bytes {
    [&[EVENT][..], &id.to_be_bytes()].concat().into()
}

fn row_key(key: &[u8]) -> Bytes {
    [&[ROW], key].concat().into()
}

impl Local {
    /// Rows in memory, which end with the process. So each is an outbox of its own, and no relay goes on where another's ended.
    pub fn memory(clock: Arc<dyn Clock>) -> Result<Self, Coded> {
        Self::of(store::memory(), fresh_id().into(), Away(None), clock, None)
    }

    /// Opens a directory, or makes one. What is not ours, damaged, of another format or in use is refused. Of the settings, those of
    /// the store count.
    pub fn open(
        path: &Path,
        settings: &Settings,
        clock: Arc<dyn Clock>,
        blocking: Arc<dyn Blocking>,
    ) -> Result<Self, Coded> {
        let (directory, store) = Directory::open(path, Holds::Rows, settings)?;
        let id = directory.id().into();
        Self::of(store, id, Away(Some(blocking)), clock, Some(directory))
    }

    fn of(
        store: Arc<dyn Store>,
        id: Arc<str>,
        away: Away,
        clock: Arc<dyn Clock>,
        directory: Option<Directory>,
    ) -> Result<Self, Coded> {
        // The id after the last is free: an event that was deleted had one, and none that is there has a greater one.
        let last = store.last(&KeyRange::prefix(Bytes::from_static(&[EVENT])))?;
        let sent = store.get(row::LAST_ID)?;
        let id_of = |bytes: &[u8]| bytes.try_into().map(u64::from_be_bytes).ok();
        let last = last.and_then(|(key, _)| id_of(&key[1..])).max(sent.and_then(|id| id_of(&id)));
        let next = AtomicU64::new(last.map_or(1, |last| last + 1));
        let (turns, news, relay, held, changes) = Default::default();
        let shared = Shared { store, away, clock, id, turns, next, news, relay, held, changes, _directory: directory };
        Ok(Self(Arc::new(shared)))
    }

    /// Begins a transaction, when the one before it has ended: one is open at a time.
    pub async fn begin(&self) -> Transaction {
        let turn = self.0.turns.take().await;
        Transaction { shared: Arc::clone(&self.0), turn, rows: BTreeMap::new(), events: Vec::new() }
    }

    /// A committed row.
    pub async fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Coded> {
        read(&self.0, key).await
    }

    /// The first `limit` committed rows of a range of keys, in key order.
    pub async fn scan(&self, prefix: &[u8], limit: usize) -> Result<Vec<Entry>, Coded> {
        let (shared, range) = (Arc::clone(&self.0), KeyRange::prefix(row_key(prefix)));
        let found = self.0.away.run(move || shared.store.scan(&range, limit)).await??;
        Ok(found.into_iter().map(|(key, value)| (key.slice(1..), value)).collect())
    }

    /// The events, as a relay and operators see them.
    pub fn outbox(&self) -> Box<dyn Outbox> {
        Box::new(LocalOutbox::new(Arc::clone(&self.0)))
    }
}

async fn read(shared: &Arc<Shared>, key: &[u8]) -> Result<Option<Bytes>, Coded> {
    let (of, key) = (Arc::clone(shared), row_key(key));
    shared.away.run(move || of.store.get(&key)).await?
}

/// A transaction: rows and events that commit together. Dropping it undoes everything.
pub struct Transaction {
    shared: Arc<Shared>,
    turn: Turn,
    rows: BTreeMap<Bytes, Option<Bytes>>,
    events: Vec<OutboxRow>,
}

impl Transaction {
    /// A row, as this transaction sees it.
    pub async fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Coded> {
        match self.rows.get(&row_key(key)) {
            Some(own) => Ok(own.clone()),
            None => read(&self.shared, key).await,
        }
    }

    /// Writes a row.
    pub fn put(&mut self, key: &[u8], value: impl Into<Bytes>) {
        self.rows.insert(row_key(key), Some(value.into()));
    }

    /// Removes a row.
    pub fn remove(&mut self, key: &[u8]) {
        self.rows.insert(row_key(key), None);
    }

    /// Adds an event, which is sent when the transaction has committed, and never if it does not. Its type was declared at `envelopes`,
    /// which sign it. Events are sent in the order in which they are added, as one transaction follows another.
    pub fn add<E: Event>(&mut self, envelopes: &Envelopes, publication: &Publication<'_, E>) -> Result<(), Coded> {
        for output in envelopes.wrap(publication)?.iter() {
            let id = self.shared.next.load(Ordering::Relaxed) + self.events.len() as u64;
            let copied = |bytes: Option<&[u8]>| bytes.map(Bytes::copy_from_slice);
            self.events.push(OutboxRow {
                id,
                event: row::event(&self.shared.id, id),
                topic: Arc::clone(output.topic),
                partition: None,
                at: output.timestamp,
                key: copied(output.key),
                headers: Headers::from_bytes(Bytes::copy_from_slice(output.headers)),
                value: copied(output.value),
                parked: None,
            });
        }
        Ok(())
    }

    /// Makes all of it durable, or none of it.
    pub async fn commit(mut self) -> Result<(), Coded> {
        let mut changes: Vec<Change> =
            std::mem::take(&mut self.rows).into_iter().map(|(key, value)| Change { key, value }).collect();
        for event in &self.events {
            changes.push(Change { key: event_key(event.id), value: Some(row::encode(event)) });
        }
        self.shared.next.fetch_add(self.events.len() as u64, Ordering::Relaxed);
        let (shared, is_told) = (Arc::clone(&self.shared), !self.events.is_empty());
        let away = Arc::clone(&shared);
        let written = shared.away.run(move || {
            away.store.apply(changes, Durability::Buffered)?;
            if is_told {
                away.tell();
            }
            // The next transaction may begin: what it writes is durable behind this.
            drop(self.turn);
            away.store.sync()
        });
        written.await?.map_err(|cause| Coded::new(Code::WRITE_FAILED, cause.message))
    }
}

#[cfg(test)]
mod tests;
