//! Snapshots: the state of a service's shards, each as of a page of its journal, in files that replays begin from.
//!
//! A folder holds one for each service and time: `SERVICE/TIME/SHARD.snapshot`. The first line of a file says what it is, in JSON; entries of
//! state follow, key and value each behind its length.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tidemill_core::code::{Code, Coded};
use tidemill_core::internal;
use tidemill_core::journal::{self, Cause};
use tidemill_core::ports::{Broker, Change, Durability, Entry, KeyRange, Store};
use tidemill_core::record::TopicPartition;
use tidemill_core::replay::{Bounds, Survey};
use tidemill_core::time::Timestamp;
use tidemill_embedded::store;

use crate::files::not_written;

/// The form of the files that this build writes and reads.
const FORMAT: u32 = 1;
/// What the names of files end with.
const SUFFIX: &str = "snapshot";
/// Changes that are made at a time.
const BATCH: usize = 1_000;

/// What a file says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    format: u32,
    service: String,
    shard: u32,
    /// The journal's own id: another one where the topic was made again.
    journal: String,
    /// The last page of the journal that it holds, and the offset at which that stands.
    page: u64,
    offset: u64,
    /// Units of later pages that it holds.
    beyond: Vec<(String, Cause)>,
    entries: u64,
}

/// What a snapshot holds of one shard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Taken {
    /// The shard.
    pub shard: u32,
    /// The number of the last page of its journal that the snapshot holds.
    pub page: u64,
    /// Entries of state.
    pub entries: u64,
}

/// Writes the state that a service has now. Shards that have no journal yet are left out. A service that keeps none is an error (TM-0901), and so
/// is a folder that cannot be written (TM-0203).
///
/// Each shard is read at once, and held in memory for that long. The service may run.
pub async fn create(
    broker: &Arc<dyn Broker>,
    service: &str,
    at: Timestamp,
    folder: &Path,
) -> Result<(PathBuf, Vec<Taken>), Coded> {
    let (topics, journal) = (broker.topics(), internal::journal(service));
    let Some(info) = topics.describe(&journal).await? else {
        let message = format!("service {service} has no journal here, so no replay could begin with its state");
        return Err(Coded::new(Code::JOURNAL_INCOMPLETE, message));
    };
    let named = at.to_string().replace(':', "-");
    let (made, unfinished) = (folder.join(service).join(&named), folder.join(service).join(format!(".{named}")));
    let written = |path: &Path, done: io::Result<()>| done.map_err(|error| not_written(path, &error));
    written(&unfinished, fs::create_dir_all(&unfinished))?;
    let mut all = Vec::new();
    for shard in 0..broker.shards(service).await? {
        let entries = broker.state(service, shard, &KeyRange::all(), usize::MAX).await?;
        let Some(reach) = journal::reach(&entries) else { continue };
        if reach.number == 0 {
            // Its first page is not written yet: a replay begins with the journal.
            continue;
        }
        let partition = TopicPartition::new(journal.as_str(), shard);
        let survey = Survey::of(&topics, partition, &Bounds::default()).await?;
        let Some(offset) = survey.offset_of(reach.number) else {
            let message = format!(
                "page {} of {journal}-{shard}, as of which the state is, is not in the topic: it may be on its way there; \
                 create the snapshot again",
                reach.number
            );
            return Err(Coded::new(Code::JOURNAL_INCOMPLETE, message));
        };
        let head = Head {
            format: FORMAT,
            service: service.to_owned(),
            shard,
            journal: info.id.to_string(),
            page: reach.number,
            offset,
            beyond: reach.beyond,
            entries: entries.len() as u64,
        };
        let path = unfinished.join(format!("{shard}.{SUFFIX}"));
        written(&path, write(&path, &head, &entries))?;
        all.push(Taken { shard, page: head.page, entries: head.entries });
    }
    written(&made, fs::rename(&unfinished, &made))?;
    Ok((made, all))
}

fn write(path: &Path, head: &Head, entries: &[Entry]) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    serde_json::to_writer(&mut file, head)?;
    file.write_all(b"\n")?;
    for part in entries.iter().flat_map(|(key, value)| [key, value]) {
        let length = u32::try_from(part.len()).map_err(io::Error::other)?;
        file.write_all(&length.to_le_bytes())?;
        file.write_all(part)?;
    }
    file.into_inner()?.sync_all()
}

/// A state to begin with, and the units of later pages that it holds.
pub(super) type Begins = (Arc<dyn Store>, Vec<(String, Cause)>);

/// A snapshot of one shard.
pub(super) struct Snapshot {
    path: PathBuf,
    head: Head,
}

impl Snapshot {
    /// Those of a shard that lie in a folder, the oldest first. What is of another journal is left out; a file that cannot be read is an error
    /// (TM-0904).
    pub(super) fn all(folder: &Path, service: &str, shard: u32, journal: &str) -> Result<Vec<Self>, Coded> {
        let mut found = Vec::new();
        let Ok(times) = fs::read_dir(folder.join(service)) else { return Ok(found) };
        let mut times: Vec<PathBuf> = times.filter_map(|time| Some(time.ok()?.path())).collect();
        times.sort();
        let is_whole = |path: &PathBuf| path.file_name().is_some_and(|name| !name.to_string_lossy().starts_with('.'));
        for time in times.into_iter().filter(is_whole) {
            let path = time.join(format!("{shard}.{SUFFIX}"));
            if !path.exists() {
                continue;
            }
            let (head, _) = open(&path).map_err(|error| unusable(&path, &error))?;
            if head.service == service && head.shard == shard && head.journal == journal {
                found.push(Self { path, head });
            }
        }
        Ok(found)
    }

    /// The last page that it holds, and the offset at which that stands.
    pub(super) const fn reach(&self) -> (u64, u64) {
        (self.head.page, self.head.offset)
    }

    /// Its state in a store, and the units of later pages that are in that already.
    pub(super) fn load(self) -> Result<Begins, Coded> {
        let held = store::memory();
        let (_, mut file) = open(&self.path).map_err(|error| unusable(&self.path, &error))?;
        let mut batch = Vec::new();
        for _ in 0..self.head.entries {
            let mut part = || part(&mut file).map_err(|error| unusable(&self.path, &error));
            batch.push(Change { key: part()?.into(), value: Some(part()?.into()) });
            if batch.len() == BATCH {
                held.apply(std::mem::take(&mut batch), Durability::Buffered)?;
            }
        }
        held.apply(batch, Durability::Buffered)?;
        Ok((held, self.head.beyond))
    }
}

fn unusable(path: &Path, error: &io::Error) -> Coded {
    Coded::new(Code::UNUSABLE_CASE, format!("snapshot {} cannot be used: {error}", path.display()))
}

fn open(path: &Path) -> io::Result<(Head, BufReader<File>)> {
    let mut file = BufReader::new(File::open(path)?);
    let mut line = String::new();
    file.read_line(&mut line)?;
    let head: Head = serde_json::from_str(&line)?;
    if head.format != FORMAT {
        return Err(io::Error::other(format!("it has format {}, and this build reads {FORMAT}", head.format)));
    }
    Ok((head, file))
}

fn part(file: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    file.read_exact(&mut length)?;
    let mut part = Vec::new();
    let length = u64::from(u32::from_le_bytes(length));
    if file.by_ref().take(length).read_to_end(&mut part)? as u64 != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(part)
}
