//! The outbox of a directory of rows.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::ops::Bound;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::task::Poll;

use async_trait::async_trait;
use bytes::Bytes;
use tidemill_core::code::{Code, Coded};
use tidemill_core::ports::{Change, Durability, Entry, Fill, KeyRange, Lease, Outbox, OutboxRow, Sent, Which};
use tidemill_core::time::Timestamp;

use super::{DEED, EVENT, PUBLISHES, Shared, event_key, row};

/// Events that are read at a time.
const PAGE: usize = 1_000;

/// Who relays, and until when.
pub(super) struct Held {
    holder: Arc<str>,
    until: Timestamp,
}

/// The events of a directory.
pub(super) struct LocalOutbox {
    shared: Arc<Shared>,
    /// How much news there was when the relay looked last.
    seen: u64,
}

fn publishes_key(name: &str) -> Bytes {
    [PUBLISHES, name.as_bytes()].concat().into()
}

fn number(bytes: &Bytes) -> Option<u64> {
    Some(u64::from_be_bytes(bytes[..].try_into().ok()?))
}

fn numbered(key: Bytes, number: u64) -> Change {
    Change { key, value: Some(Bytes::copy_from_slice(&number.to_be_bytes())) }
}

fn of_entry((key, value): &Entry) -> Result<OutboxRow, Coded> {
    let row = number(&key.slice(1..)).and_then(|id| row::read(id, value));
    row.ok_or_else(|| Coded::new(Code::DAMAGED, "the outbox holds what nobody of ours has written"))
}

impl Shared {
    fn held(&self) -> MutexGuard<'_, Option<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whoever changes what it has read is alone until it has written that.
    fn alone(&self) -> MutexGuard<'_, ()> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number that is kept; 0 before there is one.
    fn kept(&self, key: &[u8]) -> Result<u64, Coded> {
        Ok(self.store.get(key)?.as_ref().and_then(number).unwrap_or_default())
    }

    /// The removal of events, which keeps that their ids were given out.
    fn removals(&self, ids: &[u64]) -> Result<Vec<Change>, Coded> {
        let last = ids.iter().copied().fold(self.kept(row::LAST_ID)?, u64::max);
        let gone = ids.iter().map(|id| Change { key: event_key(*id), value: None });
        Ok(gone.chain([numbered(Bytes::from_static(row::LAST_ID), last)]).collect())
    }

    fn row(&self, id: u64) -> Result<Option<OutboxRow>, Coded> {
        let key = event_key(id);
        let found = self.store.get(&key)?;
        found.map(|value| of_entry(&(key, value))).transpose()
    }

    /// Hands over every event behind `after`, until `each` says that it has enough.
    fn rows(&self, after: Option<u64>, mut each: impl FnMut(OutboxRow) -> bool) -> Result<(), Coded> {
        let mut range = KeyRange::prefix(Bytes::from_static(&[EVENT]));
        if let Some(after) = after {
            range.start = Bound::Excluded(event_key(after));
        }
        loop {
            let page = self.store.scan(&range, PAGE)?;
            for entry in &page {
                if !each(of_entry(entry)?) {
                    return Ok(());
                }
            }
            match page.into_iter().nth(PAGE - 1) {
                Some((last, _)) => range.start = Bound::Excluded(last),
                None => return Ok(()),
            }
        }
    }

    /// Hands over every event, and whether it stands: parked, or behind one of its lane that is.
    fn standing(&self, mut each: impl FnMut(OutboxRow, bool) -> bool) -> Result<(), Coded> {
        let mut parked = BTreeSet::new();
        self.rows(None, |row| {
            let lane = row.lane();
            let stands = row.parked.is_some() || lane.as_ref().is_some_and(|lane| parked.contains(lane));
            if row.parked.is_some() {
                parked.extend(lane);
            }
            each(row, stands)
        })
    }

    fn next(&self, rows: usize, bytes: usize) -> Result<Vec<OutboxRow>, Coded> {
        let (mut next, mut held) = (Vec::new(), 0);
        self.standing(|row, stands| {
            if !stands {
                held += row.value.as_ref().map_or(0, Bytes::len);
                next.push(row);
            }
            next.len() < rows && held < bytes
        })?;
        if !next.is_empty() {
            // What is sent has to be durable here first: a transaction is seen before its commit is answered.
            self.store.sync()?;
        }
        Ok(next)
    }

    fn delete(&self, sent: &[Sent], name: &str, publish: u64) -> Result<(), Coded> {
        let _alone = self.alone();
        let mut there = Vec::new();
        for (id, event) in sent {
            if self.row(*id)?.is_some_and(|row| row.event == *event) {
                there.push(*id);
            }
        }
        let key = publishes_key(name);
        let publish = publish.max(self.kept(&key)?);
        let mut changes = self.removals(&there)?;
        changes.push(numbered(key, publish));
        self.store.apply(changes, Durability::Synced)
    }

    /// Changes an event that is there, and keeps why an operator wants that.
    fn change(
        &self,
        id: u64,
        deed: Option<String>,
        to: impl FnOnce(OutboxRow) -> Option<Option<OutboxRow>>,
    ) -> Result<bool, Coded> {
        let _alone = self.alone();
        let Some(becomes) = self.row(id)?.and_then(to) else { return Ok(false) };
        let mut changes = match becomes {
            Some(row) => vec![Change { key: event_key(id), value: Some(row::encode(&row)) }],
            None => self.removals(&[id])?,
        };
        if let Some(deed) = deed {
            let now = self.clock.now().as_millis().to_be_bytes();
            let key = [&[DEED][..], &id.to_be_bytes(), &now].concat();
            changes.push(Change { key: key.into(), value: Some(deed.into()) });
        }
        self.store.apply(changes, Durability::Synced)?;
        self.tell();
        Ok(true)
    }
}

impl LocalOutbox {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, seen: 0 }
    }

    async fn away<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Shared) -> Result<T, Coded> + Send + 'static,
    ) -> Result<T, Coded> {
        let shared = Arc::clone(&self.shared);
        self.shared.away.run(move || job(&shared)).await?
    }
}

#[async_trait]
impl Outbox for LocalOutbox {
    async fn open(&mut self) -> Result<String, Coded> {
        Ok(self.shared.id.to_string())
    }

    async fn hold(&mut self, lease: &Lease, _sleeps: bool) -> Result<bool, Coded> {
        let now = self.shared.clock.now();
        let mut held = self.shared.held();
        if held.as_ref().is_some_and(|held| held.holder != lease.holder && now < held.until) {
            return Ok(false);
        }
        *held = Some(Held { holder: Arc::clone(&lease.holder), until: now + lease.time });
        Ok(true)
    }

    async fn release(&mut self, lease: &Lease) -> Result<(), Coded> {
        self.shared.held().take_if(|held| held.holder == lease.holder);
        Ok(())
    }

    async fn next(&mut self, rows: usize, bytes: usize) -> Result<Vec<OutboxRow>, Coded> {
        // Read before the events are: what comes meanwhile is news.
        self.seen = self.shared.news.load(Ordering::Acquire);
        self.away(move |shared| shared.next(rows, bytes)).await
    }

    async fn publishes(&mut self, name: &str) -> Result<u64, Coded> {
        let key = publishes_key(name);
        self.away(move |shared| shared.kept(&key)).await
    }

    async fn delete(&mut self, sent: &[Sent], name: &str, publish: u64) -> Result<(), Coded> {
        let (sent, name) = (sent.to_vec(), name.to_owned());
        self.away(move |shared| shared.delete(&sent, &name, publish)).await
    }

    async fn park(&mut self, id: u64, why: &str) -> Result<(), Coded> {
        let parked = Some(why.to_owned());
        self.away(move |shared| shared.change(id, None, |row| Some(Some(OutboxRow { parked, ..row })))).await.map(drop)
    }

    async fn woken(&mut self) {
        let (shared, seen) = (&self.shared, self.seen);
        poll_fn(|cx| {
            shared.relay.register(cx.waker());
            if shared.news.load(Ordering::Acquire) == seen { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }

    async fn fill(&mut self) -> Result<Fill, Coded> {
        self.away(|shared| {
            let mut fill = Fill::default();
            shared.standing(|_, stands| {
                *if stands { &mut fill.parked } else { &mut fill.waiting } += 1;
                true
            })?;
            Ok(fill)
        })
        .await
    }

    async fn list(&mut self, which: Which, after: Option<u64>, limit: usize) -> Result<Vec<OutboxRow>, Coded> {
        self.away(move |shared| {
            let mut listed = Vec::new();
            shared.rows(after, |row| {
                if which == Which::All || row.parked.is_some() {
                    listed.push(row);
                }
                listed.len() < limit
            })?;
            Ok(listed)
        })
        .await
    }

    async fn retry(&mut self, id: u64, reason: &str) -> Result<bool, Coded> {
        let deed = Some(format!("retry: {reason}"));
        let free = |row: OutboxRow| row.parked.is_some().then_some(Some(OutboxRow { parked: None, ..row }));
        self.away(move |shared| shared.change(id, deed, free)).await
    }

    async fn discard(&mut self, id: u64, reason: &str) -> Result<bool, Coded> {
        let deed = Some(format!("discard: {reason}"));
        self.away(move |shared| shared.change(id, deed, |row| row.parked.is_some().then_some(None))).await
    }
}
