//! An inbox as it is found in state when its shard is loaded.

use std::collections::BTreeMap;

use super::entry::{Applied, Name, Run, name_of};
use super::filter::Filter;
use super::leaving::Leaving;
use super::{Bucket, Closed, Inbox, Known, place_of};

/// What was found of an inbox in state.
#[derive(Debug, Default)]
pub(crate) struct Found {
    running: u64,
    topics: Vec<String>,
    buckets: BTreeMap<u64, Bucket>,
    pages: BTreeMap<u64, Pages>,
    singles: Bucket,
}

/// Pages of one bucket, by their numbers.
#[derive(Debug, Default)]
struct Pages {
    until: u64,
    of: usize,
    filters: BTreeMap<u64, Filter>,
}

impl Found {
    /// Takes in what was found. `None` where that cannot be read; what is somebody else's is left.
    pub(crate) fn take(&mut self, map: &str, entry: &[u8], value: &[u8]) -> Option<()> {
        let Some(name) = name_of(map, entry) else { return Some(()) };
        let run = Run::read(value)?;
        self.running = self.running.max(run.running);
        match name {
            Name::Part { bucket: begun, number } => {
                let bucket = self.buckets.entry(begun).or_insert_with(|| Bucket { begun, ..Bucket::default() });
                bucket.parts = bucket.parts.max(number + 1);
                fill(&mut self.topics, bucket, &run);
            }
            Name::Single(_) => fill(&mut self.topics, &mut self.singles, &run),
            Name::Page { bucket, number } => {
                let pages = self.pages.entry(bucket).or_default();
                (pages.until, pages.of) = (run.running, run.pages);
                pages.filters.insert(number, Filter::of(run.applied.iter().map(|applied| applied.id)));
            }
        }
        Some(())
    }

    /// The inbox as it is to go on.
    pub(crate) fn into_inbox(self, mut inbox: Inbox) -> Inbox {
        let Self { running, topics, mut buckets, pages, singles } = self;
        (inbox.running, inbox.topics) = (running, topics);
        // What is left of a bucket is removed by its name, which no other may have.
        inbox.last = pages.keys().chain(buckets.keys()).max().copied();
        for (name, Pages { until, of, filters }) in pages {
            if filters.len() == of {
                // What is left of its runs was to be removed.
                if let Some(bucket) = buckets.remove(&name) {
                    inbox.leaving.push_back(Leaving::Parts(name, 0..bucket.parts));
                }
                inbox.closed.push_back(Closed::new(name, until, filters.into_values().collect()));
            } else if !buckets.contains_key(&name) {
                // Its ids are in state one by one, and will be closed with others.
                inbox.leaving.push_back(Leaving::Pages(name, 0..of as u64));
            }
        }
        let newest = buckets.last_key_value().map(|(begun, _)| *begun);
        for (begun, mut bucket) in buckets {
            bucket.until = (Some(begun) != newest).then_some(running);
            inbox.buckets.push_back(bucket);
        }
        if !singles.ids.is_empty() {
            inbox.newest().ids.extend(singles.ids);
        }
        inbox
    }
}

/// Takes the ids of a run into a bucket.
fn fill(topics: &mut Vec<String>, bucket: &mut Bucket, run: &Run) {
    for Applied { id, topic, offset, at } in &run.applied {
        let place = place_of(topics, &run.topics[*topic]);
        bucket.ids.insert(*id, Known { offset: *offset, at: *at, topic: u32::try_from(place).expect("few topics") });
    }
}
