//! Damaged files are refused, or they do not matter; a write that was torn is no damage.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::thread;

use bytes::Bytes;
use tempfile::TempDir;
use tidemill_core::code::{Code, Coded};
use tidemill_core::ports::{Durability, Entry, KeyRange};
use tidemill_embedded::store::{self, StoreKind};

use super::batches::{batch, newest};
use super::{CACHE_BYTES, open};

/// The files below a folder, relative to it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = PathBuf::from(path.file_name().unwrap());
        if path.is_dir() {
            found.extend(files(&path).into_iter().map(|below| name.join(below)));
        } else {
            found.push(name);
        }
    }
    found.sort();
    found
}

/// Copies a folder; what is empty in a file stays empty.
fn copy(from: &Path) -> TempDir {
    let to = tempfile::tempdir().unwrap();
    copy_below(from, to.path());
    to
}

fn copy_below(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir(&to).unwrap();
            copy_below(&entry.path(), &to);
            continue;
        }
        let mut source = File::open(entry.path()).unwrap();
        let mut target = File::create(to).unwrap();
        let mut block = vec![0; 64 * 1024];
        loop {
            match source.read(&mut block).unwrap() {
                0 => break,
                length if block[..length].iter().all(|byte| *byte == 0) => {
                    target.seek(SeekFrom::Current(i64::try_from(length).unwrap())).unwrap();
                }
                length => target.write_all(&block[..length]).unwrap(),
            }
        }
        target.set_len(source.metadata().unwrap().len()).unwrap();
    }
}

/// From where to where two files differ, by blocks; what one of them lacks is empty.
fn difference(new: &[u8], old: &[u8]) -> Option<(usize, usize)> {
    const BLOCK: usize = 4096;
    let empty = [0; BLOCK];
    let differs = |at: &usize| {
        let length = BLOCK.min(new.len() - at);
        let old = old.get(*at..at + length).unwrap_or(&empty[..length]);
        new[*at..at + length] != *old
    };
    let mut blocks = (0..new.len()).step_by(BLOCK);
    let first = blocks.find(differs)?;
    let last = blocks.rfind(differs).unwrap_or(first);
    Some((first, new.len().min(last + BLOCK)))
}

/// What one can do to a file.
#[derive(Debug, Clone, Copy)]
enum Harm {
    /// Turns the bits of the byte at this many thousandths of what is written in it.
    Flip(u64),
    Halve,
    Remove,
}

const HARMS: [Harm; 6] = [Harm::Flip(0), Harm::Flip(250), Harm::Flip(600), Harm::Flip(999), Harm::Halve, Harm::Remove];

fn harm(path: &Path, harm: Harm) {
    let bytes = fs::read(path).unwrap();
    let length = difference(&bytes, &[]).map_or(0, |(_, end)| end as u64);
    let file = OpenOptions::new().write(true).open(path).unwrap();
    match harm {
        Harm::Flip(_) if length == 0 => {}
        Harm::Flip(thousandths) => {
            let at = length * thousandths / 1000;
            file.write_all_at(&[!bytes[usize::try_from(at).unwrap()]], at).unwrap();
        }
        Harm::Halve => file.set_len(length / 2).unwrap(),
        Harm::Remove => fs::remove_file(path).unwrap(),
    }
}

fn everything(kind: StoreKind, directory: &Path) -> Result<Vec<Entry>, Coded> {
    store::open(kind, directory, CACHE_BYTES)?.scan(&KeyRange::prefix(Bytes::new()), usize::MAX)
}

/// Harms every file in every way: the store is refused as damaged, or holds everything.
fn harmed(kind: StoreKind) {
    let directory = tempfile::tempdir().unwrap();
    let whole = {
        // Enough that fjall writes tables out, and twice opened, so that sled has a snapshot.
        for numbers in [1..=150, 151..=200] {
            let store = open(kind, directory.path());
            for number in numbers {
                store.apply(batch(number, 150_000), Durability::Synced).unwrap();
            }
        }
        everything(kind, directory.path()).unwrap()
    };
    let (mut wrong, mut refused) = (Vec::new(), BTreeSet::new());
    for file in files(directory.path()) {
        for way in HARMS {
            let copy = copy(directory.path());
            harm(&copy.path().join(&file), way);
            let open = || catch_unwind(AssertUnwindSafe(|| everything(kind, copy.path())));
            let mut answer = open();
            let was_refused = matches!(answer, Ok(Err(_)));
            if was_refused {
                // Refused once is refused for ever: opening has repaired nothing.
                refused.insert(file.clone());
                answer = open();
            }
            match answer {
                Ok(Err(error)) if error.code == Code::DAMAGED => {}
                Ok(Ok(found)) if found == whole && !was_refused => {}
                other => wrong.push(format!("{way:?} of {}: {}", file.display(), told(other))),
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(refused.len() >= 4, "harm is found in {refused:?}");
}

fn told(answer: thread::Result<Result<Vec<Entry>, Coded>>) -> String {
    match answer {
        Ok(Ok(found)) => format!("opened, with {} entries", found.len()),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "a panic".to_owned(),
    }
}

#[test]
fn sled_refuses_damaged_files() {
    harmed(StoreKind::Sled);
}

#[test]
fn fjall_refuses_damaged_files() {
    harmed(StoreKind::Fjall);
}

/// Cuts what was written after the last sync, as a crash of the machine does: what is left are whole batches.
fn torn(kind: StoreKind) {
    const SYNCED: u64 = 10;
    const WRITTEN: u64 = 20;
    let directory = tempfile::tempdir().unwrap();
    let store = open(kind, directory.path());
    let apply = |numbers, durability| {
        for number in numbers {
            store.apply(batch(number, 20_000), durability).unwrap();
        }
    };
    apply(1..=SYNCED, Durability::Synced);
    let synced = copy(directory.path());
    apply(SYNCED + 1..=WRITTEN, Durability::Buffered);
    let written = copy(directory.path());
    assert_eq!(newest(&*open(kind, copy(written.path()).path())), WRITTEN, "nothing is cut");
    let changed = |file: PathBuf| {
        let new = fs::read(written.path().join(&file)).unwrap();
        let mut old = fs::read(synced.path().join(&file)).unwrap_or_default();
        let (start, end) = difference(&new, &old)?;
        old.resize(new.len(), 0);
        Some((file, start, old[start..end].to_vec()))
    };
    let changed: Vec<_> = files(written.path()).into_iter().filter_map(changed).collect();
    let mut found = BTreeSet::new();
    for thousandths in (0..1000).step_by(83) {
        let torn = copy(written.path());
        for (file, start, old) in &changed {
            let cut = old.len() * thousandths / 1000;
            let file = OpenOptions::new().write(true).open(torn.path().join(file)).unwrap();
            file.write_all_at(&old[cut..], (start + cut) as u64).unwrap();
        }
        let store = open(kind, torn.path());
        let number = newest(&*store);
        assert!((SYNCED..=WRITTEN).contains(&number), "cut at {thousandths}: {number}");
        store.apply(batch(number + 1, 20_000), Durability::Synced).unwrap();
        drop(store);
        assert_eq!(newest(&*open(kind, torn.path())), number + 1);
        found.insert(number);
    }
    assert!(found.len() > 3, "the cuts leave different batches: {found:?}");
}

#[test]
fn sled_takes_a_torn_write_for_no_damage() {
    torn(StoreKind::Sled);
}

#[test]
fn fjall_takes_a_torn_write_for_no_damage() {
    torn(StoreKind::Fjall);
}

#[test]
fn one_store_holds_a_directory() {
    for kind in StoreKind::ALL {
        let directory = tempfile::tempdir().unwrap();
        let store = open(kind, directory.path());
        let second = store::open(kind, directory.path(), CACHE_BYTES).err().unwrap();
        assert_eq!(second.code, Code::DIRECTORY_IN_USE, "{second}");
        drop(store);
        open(kind, directory.path());
    }
}
