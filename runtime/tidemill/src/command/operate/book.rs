//! Reads dead letters from their topic.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidemill_core::code::{Code, Coded};
use tidemill_core::internal;
use tidemill_core::letters::Letter;

use super::closings::{Closings, State};
use crate::command::filter::{Fact, Field, Filter};
use crate::command::site::Site;

/// A dead letter, as its newest round tells.
pub(super) struct Entry {
    pub(super) service: Arc<str>,
    /// The shard that wrote it.
    pub(super) shard: u32,
    pub(super) letter: Letter,
    pub(super) state: State,
    /// How many times it was opened: once, unless a copy of its record failed after it was closed.
    pub(super) openings: u32,
}

impl Entry {
    pub(super) fn id(&self) -> String {
        self.letter.id.clone()
    }

    fn fact(&self, field: Field) -> Fact<'_> {
        let letter = &self.letter;
        match field {
            Field::Id => Fact::Text(&letter.id),
            Field::Service => Fact::Text(&self.service),
            Field::Handler => Fact::Text(&letter.handler),
            Field::Type => letter.event().map_or(Fact::Nothing, Fact::Text),
            Field::Key => letter.key().map_or(Fact::Nothing, Fact::Text),
            Field::Topic => Fact::Text(&letter.origin.source.topic),
            Field::Class => Fact::Text(&letter.class),
            Field::Code => Fact::Text(&letter.code),
            Field::Fingerprint => Fact::Text(&letter.fingerprint),
            Field::Message => Fact::Text(&letter.message),
            Field::State => Fact::Text(self.state.name()),
            Field::Partition => Fact::Number(letter.origin.source.partition.into()),
            Field::Offset => Fact::Number(letter.origin.offset),
            Field::Attempts => Fact::Number(letter.attempts.into()),
            Field::Round => Fact::Number(letter.round.into()),
            Field::Time => Fact::Time(letter.last),
        }
    }
}

/// Which letters are meant.
pub(super) struct Wanted<'a> {
    pub(super) filter: Option<&'a Filter>,
    /// Those of these ids; all where there are none.
    pub(super) ids: &'a [String],
    /// Those too that are open no more.
    pub(super) all: bool,
}

impl Wanted<'_> {
    fn means(&self, entry: &Entry) -> bool {
        (self.all || entry.state == State::Open)
            && (self.ids.is_empty() || self.ids.contains(&entry.letter.id))
            && self.filter.is_none_or(|filter| filter.holds(&|field| entry.fact(field)))
    }
}

/// What is known of one letter while its topic is read.
struct Known {
    /// Where its first round stands: records of a key failed in that order.
    place: (u32, u64),
    openings: u32,
    /// Its newest round, if that is wanted. What is not takes no memory.
    newest: Option<Entry>,
}

/// The letters that are meant, service by service; those of a key in the order in which they were written first.
pub(super) async fn read(site: &Site, wanted: &Wanted<'_>) -> Result<Vec<Entry>, Coded> {
    let mut all = Vec::new();
    for service in &site.names {
        let mut closings = Closings::default();
        closings.refresh(site, service, |_| ()).await?;
        let mut known: BTreeMap<String, Known> = BTreeMap::new();
        let topic = internal::dead_letters(service);
        site.read(service, &topic, &mut Vec::new(), |shard, record| {
            let Some(letter) = Letter::read(&record) else { return };
            let place = (shard, record.offset);
            let found = known.entry(letter.id.clone()).or_insert(Known { place, openings: 0, newest: None });
            found.openings += u32::from(letter.round == 1);
            let (service, openings) = (Arc::clone(service), found.openings);
            let state = closings.state(&letter.id, openings);
            let entry = Entry { service, shard, letter, state, openings };
            found.newest = Some(entry).filter(|entry| wanted.means(entry));
        })
        .await?;
        let mut found: Vec<Known> = known.into_values().collect();
        found.sort_unstable_by_key(|known| known.place);
        all.extend(found.into_iter().filter_map(|known| known.newest));
    }
    Ok(all)
}

/// The same where something has to be meant: nothing that matches is an error (TM-0409), and so is an id without its letter.
pub(super) async fn need(site: &Site, wanted: &Wanted<'_>) -> Result<Vec<Entry>, Coded> {
    let found = read(site, wanted).await?;
    let is_there = |id: &&String| found.iter().any(|entry| entry.letter.id == **id);
    if let Some(id) = wanted.ids.iter().find(|id| !is_there(id)) {
        let open = if wanted.all { "" } else { "open " };
        return Err(Coded::new(Code::NOTHING_MATCHES, format!("there is no {open}dead letter {id} that matches")));
    }
    if found.is_empty() {
        return Err(Coded::new(Code::NOTHING_MATCHES, "there is no open dead letter that matches"));
    }
    Ok(found)
}
