//! Processes that are killed, and processes whose disk is full: what was answered is there afterwards.

use std::env;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tidemill_core::code::Code;
use tidemill_core::ports::Durability;
use tidemill_embedded::store::StoreKind;

use super::batches::{batch, newest};
use super::open;

/// Set for the child process: store, durability, bytes of a chunk, directory.
const CHILD: &str = "TIDEMILL_STORE_CHILD";
/// How long a child may take to meet its full disk and end.
const PATIENCE: Duration = Duration::from_mins(2);
/// The longest file that a child with a full disk can write, in blocks of 512 bytes: 70 MiB. fjall makes its journal 64 MiB
/// long from the start.
const FILE_BLOCKS: u32 = 70 * 2048;

/// Runs in a process of its own: writes batches, tells each one that was answered, and stops at the first that was not.
#[test]
#[ignore = "the other tests start it as a process"]
fn child() {
    let Ok(work) = env::var(CHILD) else { return };
    let [kind, durability, chunk_bytes, directory] = work.splitn(4, ' ').collect::<Vec<_>>().try_into().unwrap();
    let durability = if durability == "synced" { Durability::Synced } else { Durability::Buffered };
    let chunk_bytes: usize = chunk_bytes.parse().unwrap();
    let store = open(kind.parse().unwrap(), Path::new(directory));
    let mut number = newest(&*store);
    let failed = loop {
        number += 1;
        match store.apply(batch(number, chunk_bytes), durability) {
            Ok(()) => tell(&format!("answered {number}")),
            Err(error) => break error,
        }
    };
    assert_eq!(failed.code, Code::WRITE_FAILED, "{failed}");
    assert!(failed.message.contains(directory) && failed.message.contains(kind), "{failed}");
    // It does not go on as if nothing had happened.
    assert_eq!(store.apply(batch(number, 10), durability).unwrap_err(), failed);
    assert_eq!(store.sync().unwrap_err(), failed);
    assert_eq!(store.get(b"pnewest").unwrap_err(), failed);
    drop(store);
    tell("closed");
}

fn tell(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

fn start(
    mut command: Command,
    kind: StoreKind,
    durability: &str,
    chunk_bytes: usize,
    directory: &Path,
    out: Stdio,
) -> Child {
    let work = format!("{kind} {durability} {chunk_bytes} {}", directory.display());
    command.args(["--exact", "stores::crash::child", "--ignored", "--nocapture", "--quiet"]);
    command.env(CHILD, work).stdout(out).spawn().unwrap()
}

fn answered(line: &str) -> Option<u64> {
    line.rsplit_once("answered ").and_then(|(_, number)| number.parse().ok())
}

/// Kills a process right after an answer, five times, at another answer each time.
fn killed(kind: StoreKind, durability: &str) {
    let directory = tempfile::tempdir().unwrap();
    let mut before = 0;
    for answers in [1, 30, 7, 55, 3] {
        let command = Command::new(env::current_exe().unwrap());
        let mut child = start(command, kind, durability, 9_000, directory.path(), Stdio::piped());
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let last = lines.map_while(Result::ok).filter_map(|line| answered(&line)).nth(answers - 1);
        child.kill().unwrap();
        child.wait().unwrap();
        let last = last.expect("the child wrote as many batches");
        let found = newest(&*open(kind, directory.path()));
        assert!(found >= last && last > before, "batch {last} was answered, and {found} is there");
        before = found;
    }
}

#[test]
fn sled_keeps_buffered_batches_when_it_is_killed() {
    killed(StoreKind::Sled, "buffered");
}

#[test]
fn sled_keeps_synced_batches_when_it_is_killed() {
    killed(StoreKind::Sled, "synced");
}

#[test]
fn fjall_keeps_buffered_batches_when_it_is_killed() {
    killed(StoreKind::Fjall, "buffered");
}

#[test]
fn fjall_keeps_synced_batches_when_it_is_killed() {
    killed(StoreKind::Fjall, "synced");
}

/// Lets a process write until a file may not grow any more.
fn filled_up(kind: StoreKind) {
    let directory = tempfile::tempdir().unwrap();
    let told = tempfile::NamedTempFile::new().unwrap();
    let mut command = Command::new("sh");
    // The signal that comes with the limit is ignored, so that the write fails as on a full disk.
    command.args(["-c", &format!("trap '' XFSZ; ulimit -f {FILE_BLOCKS}; exec \"$0\" \"$@\"")]);
    command.arg(env::current_exe().unwrap());
    let out = Stdio::from(File::create(told.path()).unwrap());
    let mut child = start(command, kind, "buffered", 5_000_000, directory.path(), out);
    let end = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > end {
            child.kill().unwrap();
            panic!("the child hangs; it told: {}", fs::read_to_string(told.path()).unwrap());
        }
        thread::sleep(Duration::from_millis(20));
    };
    let told = fs::read_to_string(told.path()).unwrap();
    assert!(status.success() && told.contains("closed"), "{told}");
    let last = told.lines().filter_map(answered).next_back().expect("some batches had room");
    let store = open(kind, directory.path());
    let found = newest(&*store);
    assert!((last..=last + 1).contains(&found), "batch {last} was answered, and {found} is there");
    // There is room again, and it goes on.
    store.apply(batch(found + 1, 100), Durability::Synced).unwrap();
    assert_eq!(newest(&*store), found + 1);
}

#[test]
fn sled_loses_nothing_on_a_full_disk() {
    filled_up(StoreKind::Sled);
}

#[test]
fn fjall_loses_nothing_on_a_full_disk() {
    filled_up(StoreKind::Fjall);
}
