use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, Ordering};

use super::*;

const WORKS: u8 = 0;
const REFUSES: u8 = 1;
const PANICS: u8 = 2;

/// An engine that can be told what to do.
#[derive(Default)]
struct Told {
    entries: Mutex<BTreeMap<Bytes, Bytes>>,
    mood: AtomicU8,
}

impl Engine for &Told {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, Failure> {
        Ok(self.entries.lock().unwrap().get(key).cloned())
    }

    fn scan(&self, span: Span<'_>, limit: usize) -> Result<Vec<Entry>, Failure> {
        let entries = self.entries.lock().unwrap();
        Ok(entries.range::<[u8], _>(span).take(limit).map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn last(&self, span: Span<'_>) -> Result<Option<Entry>, Failure> {
        Ok(self.scan(span, usize::MAX)?.pop())
    }

    fn apply(&self, changes: Vec<Change>) -> Result<(), Failure> {
        assert!(changes.is_sorted_by(|a, b| a.key < b.key), "sorted, and no key twice");
        for Change { key, value } in changes {
            let mut entries = self.entries.lock().unwrap();
            match value {
                Some(value) => entries.insert(key, value),
                None => entries.remove(&key),
            };
        }
        self.sync()
    }

    fn sync(&self) -> Result<(), Failure> {
        match self.mood.load(Ordering::Relaxed) {
            WORKS => Ok(()),
            REFUSES => Err(Failure::Refused("no space left".to_owned())),
            _ => panic!("a bug"),
        }
    }
}

fn opened<'a>(told: &'a Told, directory: &Path) -> Result<Checked<&'a Told>, Coded> {
    open(StoreKind::Sled, directory, || Ok(told))
}

fn put(key: &'static str, value: &'static str) -> Change {
    Change { key: Bytes::from_static(key.as_bytes()), value: Some(Bytes::from_static(value.as_bytes())) }
}

#[test]
fn a_store_that_lost_a_synced_batch_is_refused_for_ever() {
    let directory = tempfile::tempdir().unwrap();
    let told = Told::default();
    let store = opened(&told, directory.path()).unwrap();
    store.apply(vec![put("a", "1")], Durability::Synced).unwrap();
    let older = Told { entries: Mutex::new(told.entries.lock().unwrap().clone()), ..Told::default() };
    store.apply(vec![put("a", "2")], Durability::Synced).unwrap();
    drop(store);
    for _ in 0..2 {
        let error = opened(&older, directory.path()).err().unwrap();
        assert_eq!(error.code, Code::DAMAGED);
        assert!(error.message.contains("batch 2 was synced") && error.message.contains("is 1"), "{error}");
    }
    let error = opened(&Told::default(), directory.path()).err().unwrap();
    assert_eq!(error.code, Code::DAMAGED, "an empty store in the place of a full one");
    assert_eq!(opened(&told, directory.path()).unwrap().get(b"a").unwrap().unwrap(), "2");
}

#[test]
fn a_store_that_lost_buffered_batches_opens() {
    let directory = tempfile::tempdir().unwrap();
    let told = Told::default();
    let store = opened(&told, directory.path()).unwrap();
    store.apply(vec![put("a", "1")], Durability::Synced).unwrap();
    let older = Told { entries: Mutex::new(told.entries.lock().unwrap().clone()), ..Told::default() };
    store.apply(vec![put("a", "2")], Durability::Buffered).unwrap();
    // As a crash: nothing is synced when it goes.
    told.mood.store(REFUSES, Ordering::Relaxed);
    drop(store);
    assert_eq!(opened(&older, directory.path()).unwrap().get(b"a").unwrap().unwrap(), "1");
}

#[test]
fn a_mark_that_is_gone_or_another_one_is_damage() {
    let directory = tempfile::tempdir().unwrap();
    let told = Told::default();
    drop(opened(&told, directory.path()).unwrap());
    let mark = directory.path().join("synced");
    std::fs::write(directory.path().join("db"), "").unwrap();
    for bytes in [&b""[..], b"0123456789abcdef", &[0; 16]] {
        std::fs::write(&mark, bytes).unwrap();
        assert_eq!(opened(&told, directory.path()).err().unwrap().code, Code::DAMAGED);
    }
    std::fs::remove_file(&mark).unwrap();
    assert_eq!(opened(&told, directory.path()).err().unwrap().code, Code::DAMAGED);
}

#[test]
fn nothing_is_answered_after_a_failed_write() {
    for (mood, code, cause) in [(REFUSES, Code::WRITE_FAILED, "no space left"), (PANICS, Code::BACKEND_FAILED, "a bug")]
    {
        let directory = tempfile::tempdir().unwrap();
        let told = Told::default();
        let store = opened(&told, directory.path()).unwrap();
        store.apply(vec![put("a", "1")], Durability::Synced).unwrap();
        told.mood.store(mood, Ordering::Relaxed);
        let failed = store.apply(vec![put("a", "2")], Durability::Buffered).unwrap_err();
        assert_eq!(failed.code, code);
        assert!(failed.message.contains("sled") && failed.message.contains(cause), "{failed}");
        told.mood.store(WORKS, Ordering::Relaxed);
        let everything = KeyRange::all();
        assert_eq!(store.get(b"a").unwrap_err(), failed);
        assert_eq!(store.scan(&everything, 1).unwrap_err(), failed);
        assert_eq!(store.last(&everything).unwrap_err(), failed);
        assert_eq!(store.apply(Vec::new(), Durability::Buffered).unwrap_err(), failed);
        assert_eq!(store.sync().unwrap_err(), failed);
    }
}
