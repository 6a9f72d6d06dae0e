//! What stands for a broker and a registry where a case runs, and who takes note of what a registry answers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tidemill_core::code::{Code, Coded};
use tidemill_core::ports::{Schemas, TopicInfo, Topics};
use tidemill_core::record::{RecordBatch, TopicPartition};
use tidemill_core::time::Timestamp;

/// What is known of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Topic {
    pub(super) partitions: u32,
    pub(super) id: String,
}

/// A schema that the registry gave, by its id, or the id of one that a topic's events are written with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Schema {
    id: u32,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    topic: Option<String>,
    text: String,
}

/// Topics without records.
pub(super) struct Shape(pub(super) BTreeMap<String, Topic>);

#[async_trait]
impl Topics for Shape {
    /// A topic that this build has and that of then had not is one like others.
    async fn describe(&self, topic: &str) -> Result<Option<TopicInfo>, Coded> {
        let known = self.0.get(topic).or_else(|| self.0.values().next());
        let id = |known: &Topic| if self.0.contains_key(topic) { known.id.as_str().into() } else { topic.into() };
        Ok(known.map(|known| TopicInfo { partitions: known.partitions, id: id(known) }))
    }

    async fn create(&self, _topic: &str, _partitions: u32) -> Result<(), Coded> {
        Ok(())
    }

    async fn offsets(&self, _partition: &TopicPartition) -> Result<(u64, u64), Coded> {
        Ok((0, 0))
    }

    async fn offset_at(&self, _partition: &TopicPartition, _at: Timestamp) -> Result<Option<u64>, Coded> {
        Ok(None)
    }

    async fn records(&self, partition: &TopicPartition, from: u64, _limit: usize) -> Result<RecordBatch, Coded> {
        Ok(RecordBatch { source: partition.clone(), records: Vec::new(), next: from })
    }
}

/// A registry, and what it answered.
pub(super) struct Notes {
    pub(super) schemas: Arc<dyn Schemas>,
    pub(super) answers: Mutex<Vec<Schema>>,
}

impl Notes {
    fn note(&self, id: u32, topic: Option<&str>, schema: &str) {
        let schema = Schema { id, topic: topic.map(str::to_owned), text: schema.to_owned() };
        let mut answers = self.answers.lock().expect("nobody panicked");
        if !answers.contains(&schema) {
            answers.push(schema);
        }
    }
}

#[async_trait]
impl Schemas for Notes {
    async fn schema(&self, id: u32) -> Result<Arc<str>, Coded> {
        let schema = self.schemas.schema(id).await?;
        self.note(id, None, &schema);
        Ok(schema)
    }

    async fn id(&self, topic: &str, schema: &str) -> Result<u32, Coded> {
        let id = self.schemas.id(topic, schema).await?;
        self.note(id, Some(topic), schema);
        Ok(id)
    }
}

/// What a registry answered.
pub(super) struct Answers(pub(super) Vec<Schema>);

#[async_trait]
impl Schemas for Answers {
    async fn schema(&self, id: u32) -> Result<Arc<str>, Coded> {
        let known = self.0.iter().find(|known| known.id == id);
        known.map(|known| known.text.as_str().into()).ok_or_else(|| missing(&format!("schema {id}")))
    }

    async fn id(&self, topic: &str, schema: &str) -> Result<u32, Coded> {
        let known = self.0.iter().find(|known| known.topic.as_deref() == Some(topic) && known.text == schema);
        known.map(|known| known.id).ok_or_else(|| missing(&format!("the id of this build's schema for {topic}")))
    }
}

fn missing(what: &str) -> Coded {
    Coded::new(
        Code::SCHEMA_NOT_REGISTERED,
        format!("the case does not hold {what}, as the registry was not asked for it then"),
    )
}
