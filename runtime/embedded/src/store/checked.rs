//! What sled and fjall have in common: keys of our own beside the user's, numbered batches, and an end after a failure.
//!
//! **Numbers.** Each batch carries its number into the store; see `mark.rs` for what that proves at the next start.
//!
//! **Failures.** When a write or a sync fails, nobody knows what of it will be there at the next start: sled shows a batch
//! to readers before it is on disk, fjall may still write the rest of one out when it is closed. So the store answers
//! nothing any more, with the first failure as the reason, until it is opened again. Then it holds every batch that was
//! answered, and the failed one whole or not at all.

use std::any::Any;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use bytes::{BufMut, Bytes, BytesMut};
use tidemill_core::code::{Code, Coded};
use tidemill_core::ports::{Change, Durability, Entry, KeyRange, Store};

use super::engine::{Engine, Failure, Span};
use super::mark::{self, Mark};
use super::{StoreKind, within_limits};

/// The key of the newest batch's number; it sorts before all of the user's.
const NUMBER: &[u8] = &[0];
/// What the user's keys have in front.
const USER: u8 = 1;
/// Where the user's keys end.
const USER_END: &[u8] = &[2];

/// A store on disk.
pub(super) struct Checked<E: Engine> {
    /// Closed before the mark, which holds the directory.
    engine: E,
    mark: Mark,
    /// The number of the newest batch; who holds it writes.
    writer: Mutex<u64>,
    /// Why nothing is answered any more.
    failed: OnceLock<Coded>,
    kind: StoreKind,
    directory: PathBuf,
}

/// Opens a store, and refuses it when something is missing that was synced.
pub(super) fn open<E: Engine>(
    kind: StoreKind,
    directory: &Path,
    engine: impl FnOnce() -> Result<E, Failure>,
) -> Result<Checked<E>, Coded> {
    let (mark, synced) = Mark::open(kind, directory)?;
    let coded = |failure| coded(kind, directory, failure, Code::WRITE_FAILED);
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let engine = engine()?;
        let number = engine.get(NUMBER)?;
        Ok((engine, number))
    }));
    // On damaged files the libraries' own assertions fail too.
    let (engine, number) = opened.unwrap_or_else(|panic| Err(Failure::Damaged(told(&*panic)))).map_err(coded)?;
    let newest = match number {
        None => 0,
        Some(number) => {
            let number: Result<[u8; 8], _> = number.as_ref().try_into();
            let damaged = |_| coded(Failure::Damaged("the number of its newest batch cannot be read".to_owned()));
            u64::from_be_bytes(number.map_err(damaged)?)
        }
    };
    if newest < synced {
        let lost = format!("batch {synced} was synced, and the newest that is there is {newest}");
        return Err(coded(Failure::Damaged(lost)));
    }
    let (writer, failed) = (Mutex::new(newest), OnceLock::new());
    Ok(Checked { engine, mark, writer, failed, kind, directory: directory.to_owned() })
}

impl<E: Engine> Checked<E> {
    /// Asks the engine, unless it has failed before. A panic inside a library ends the store, not the thread.
    fn ask<T>(&self, work: impl FnOnce(&E) -> Result<T, Failure>) -> Result<T, Coded> {
        if let Some(failed) = self.failed.get() {
            return Err(failed.clone());
        }
        match catch_unwind(AssertUnwindSafe(|| work(&self.engine))) {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(failure)) => Err(coded(self.kind, &self.directory, failure, Code::BACKEND_FAILED)),
            Err(panic) => Err(self.fail(Failure::Refused(told(&*panic)), Code::BACKEND_FAILED)),
        }
    }

    /// Ends the store with its first failure.
    fn fail(&self, failure: Failure, code: Code) -> Coded {
        self.failed.get_or_init(|| coded(self.kind, &self.directory, failure, code)).clone()
    }

    /// Lets the engine write; whatever goes wrong ends the store.
    fn write(&self, work: impl FnOnce(&E) -> Result<(), Failure>) -> Result<(), Coded> {
        let mut failure = None;
        self.ask(|engine| {
            failure = work(engine).err();
            Ok(())
        })?;
        failure.map_or(Ok(()), |failure| Err(self.fail(failure, Code::WRITE_FAILED)))
    }

    /// Brings everything up to this batch to the disk, and says so on the mark.
    fn settle(&self, number: u64) -> Result<(), Coded> {
        self.write(|engine| {
            engine.sync()?;
            self.mark.record(number).map_err(|error| Failure::Refused(error.to_string()))
        })
    }
}

impl<E: Engine> Store for Checked<E> {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Coded> {
        self.ask(|engine| engine.get(&inner(key)))
    }

    fn scan(&self, range: &KeyRange, limit: usize) -> Result<Vec<Entry>, Coded> {
        if range.is_empty() || limit == 0 {
            return Ok(Vec::new());
        }
        let (start, end) = bounds(range);
        let entries = self.ask(|engine| engine.scan(span(&start, &end), limit))?;
        Ok(entries.into_iter().map(outer).collect())
    }

    fn last(&self, range: &KeyRange) -> Result<Option<Entry>, Coded> {
        if range.is_empty() {
            return Ok(None);
        }
        let (start, end) = bounds(range);
        Ok(self.ask(|engine| engine.last(span(&start, &end)))?.map(outer))
    }

    fn apply(&self, changes: Vec<Change>, durability: Durability) -> Result<(), Coded> {
        within_limits(&changes)?;
        let mut newest = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let number = *newest + 1;
        let batch = batch(changes, number);
        self.write(|engine| engine.apply(batch))?;
        *newest = number;
        match durability {
            Durability::Synced => self.settle(number),
            Durability::Buffered => Ok(()),
        }
    }

    fn sync(&self) -> Result<(), Coded> {
        let newest = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        self.settle(*newest)
    }
}

impl<E: Engine> Drop for Checked<E> {
    fn drop(&mut self) {
        // A store that cannot sync has said so before, or says so at the next start.
        let _ = self.sync();
    }
}

/// The changes under their inner keys, sorted, the last one of each key, with the batch's number.
fn batch(changes: Vec<Change>, number: u64) -> Vec<Change> {
    let mut batch = Vec::with_capacity(changes.len() + 1);
    batch.push(Change { key: Bytes::from_static(NUMBER), value: Some(number.to_be_bytes().to_vec().into()) });
    batch.extend(changes.into_iter().map(|Change { key, value }| Change { key: inner(&key), value }));
    batch.sort_by(|a, b| a.key.cmp(&b.key));
    // Sorting keeps equal keys in their order; of two neighbours the later one stays, in the place of the earlier one.
    batch.dedup_by(|later, kept| {
        let same = later.key == kept.key;
        if same {
            std::mem::swap(&mut later.value, &mut kept.value);
        }
        same
    });
    batch
}

fn inner(key: &[u8]) -> Bytes {
    let mut inner = BytesMut::with_capacity(key.len() + 1);
    inner.put_u8(USER);
    inner.put_slice(key);
    inner.freeze()
}

fn outer((key, value): Entry) -> Entry {
    (key.slice(1..), value)
}

fn bounds(range: &KeyRange) -> (Bound<Bytes>, Bound<Bytes>) {
    let bound = |bound: &Bound<Bytes>, open| match bound {
        Bound::Unbounded => open,
        given => given.as_ref().map(|key| inner(key)),
    };
    (
        bound(&range.start, Bound::Included(Bytes::from_static(&[USER]))),
        bound(&range.end, Bound::Excluded(Bytes::from_static(USER_END))),
    )
}

fn span<'a>(start: &'a Bound<Bytes>, end: &'a Bound<Bytes>) -> Span<'a> {
    (start.as_ref().map(AsRef::as_ref), end.as_ref().map(AsRef::as_ref))
}

/// The error that an operator meets. `refused` is the code for what the operating system did not do.
fn coded(kind: StoreKind, directory: &Path, failure: Failure, refused: Code) -> Coded {
    let place = directory.display();
    match failure {
        Failure::InUse => mark::in_use(kind, directory),
        Failure::Damaged(cause) => Coded::new(
            Code::DAMAGED,
            format!("the {kind} store in {place} is damaged: {cause}; restore the directory from a backup"),
        ),
        Failure::Refused(cause) => Coded::new(refused, format!("the {kind} store in {place} failed: {cause}")),
    }
}

fn told(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    format!("it panicked: {}", text.unwrap_or("no reason given"))
}

#[cfg(test)]
mod tests;
