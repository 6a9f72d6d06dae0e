//! What the rows of the suite are made of.

use std::borrow::Cow;

use bytes::Bytes;
use tidemill_core::codec::Raw;
use tidemill_core::event::Event;
use tidemill_core::publisher::Publication;
use tidemill_core::time::Timestamp;

/// Where rows go.
pub const TOPICS: [&str; 2] = ["left", "right"];
/// When they were added.
pub const AT: Timestamp = Timestamp::from_millis(7_000);

/// A row to be added.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The place of its topic among [`TOPICS`].
    pub topic: usize,
    /// Which partition it goes to, where [`places_rows`](super::Outboxes::places_rows) says that it may tell.
    pub partition: Option<u32>,
    /// Its key.
    pub key: Option<&'static str>,
    /// Its value.
    pub value: String,
}

/// A row as an event of its topic.
#[derive(Debug)]
pub struct Note<const TOPIC: usize> {
    key: Option<&'static str>,
    value: Bytes,
}

impl<const TOPIC: usize> Note<TOPIC> {
    /// What a row of this topic says.
    pub fn new(draft: &Draft) -> Self {
        assert_eq!(draft.topic, TOPIC, "it is of this topic");
        Self { key: draft.key, value: draft.value.clone().into() }
    }

    /// The same, to be added.
    pub fn publication(&self) -> Publication<'_, Self> {
        Publication { event: self, id: "note", time: AT }
    }
}

impl<const TOPIC: usize> AsRef<[u8]> for Note<TOPIC> {
    fn as_ref(&self) -> &[u8] {
        &self.value
    }
}

impl<const TOPIC: usize> From<Bytes> for Note<TOPIC> {
    fn from(value: Bytes) -> Self {
        Self { key: None, value }
    }
}

impl<const TOPIC: usize> Event for Note<TOPIC> {
    const NAME: &'static str = TOPICS[TOPIC];
    const VERSION: u32 = 1;
    const TOPIC: &'static str = TOPICS[TOPIC];

    type Codec = Raw;

    fn key(&self) -> Option<Cow<'_, [u8]>> {
        self.key.map(|key| key.as_bytes().into())
    }
}
