//! What stands for a schema registry where a case runs, and who takes note of what one answers.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tidemill_core::code::{Code, Coded};
use tidemill_core::ports::Schemas;

/// A schema that the registry gave, by its id, or the id of one that a topic's events are written with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Schema {
    id: u32,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    topic: Option<String>,
    text: String,
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
