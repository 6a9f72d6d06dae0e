//! The shard's journal: units on their way into it, and its pages on their way out.

use bytes::Bytes;

use crate::headers::{self, Headers};
use crate::journal;
use crate::outputs::{Address, Outputs};
use crate::shard::Shard;
use crate::state::runtime_id;
use crate::unit::{Home, Unit};

impl Shard {
    /// Takes a completed unit into the journal.
    pub(super) fn note(&self, unit: &mut Unit) {
        let mut books = self.home.books.borrow_mut();
        match unit.note.take() {
            Some((number, note)) => books.journal.take_note(number, note),
            None => unit.told().into_iter().for_each(|told| books.journal.note(told)),
        }
    }

    /// Writes the pages of the units that completed since the last commit.
    pub(super) fn write_journal(&self, outputs: &mut Outputs) {
        let (pages, changes) = self.home.books.borrow_mut().journal.freeze();
        self.home.memory.borrow_mut().write(&runtime_id(Bytes::new()), changes);
        let Home { env, shard, .. } = &self.home;
        let Some(topic) = env.service.journal else { return };
        let headers = Headers::from_pairs([(headers::TYPE, Some(journal::PAGE.as_bytes()))]);
        for page in pages {
            let partition = shard % env.output_topics[usize::from(topic)].partitions;
            let address = Address { topic, partition, timestamp: page.time(0) };
            outputs.push_raw(address, None, &headers, Some(&page.to_bytes()));
        }
    }
}
