//! Topics and positions of a cluster.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rdkafka::admin::{AdminOptions, NewTopic, TopicReplication};
use rdkafka::error::RDKafkaErrorCode;
use tidemill_core::code::{Code, Coded};
use tidemill_core::ports::{TopicInfo, Topics};
use tidemill_core::record::{RecordBatch, TopicPartition};
use tidemill_core::time::Timestamp;

use crate::broker::{Kafka, PATIENCE};
use crate::failure::Failure;

/// What the broker's own default number of copies is called.
const BROKERS_DEFAULT: i32 = -1;
/// How often it is looked for a topic that was created.
const LOOK_EVERY: Duration = Duration::from_millis(20);

#[async_trait]
impl Topics for Kafka {
    async fn describe(&self, topic: &str) -> Result<Option<TopicInfo>, Coded> {
        let topic = topic.to_owned();
        self.away(move |shared| shared.ask_topic(&topic).map_err(|failure| shared.no_answer(&topic, &failure))).await
    }

    async fn create(&self, topic: &str, partitions: u32) -> Result<(), Coded> {
        let (age, bytes) = self.shared.clients.settings().retention;
        let age = age.map(|age| ("retention.ms", age.as_millis().to_string()));
        let bytes = bytes.map(|bytes| ("retention.bytes", bytes.to_string()));
        self.create_with(topic, partitions, &age.into_iter().chain(bytes).collect::<Vec<_>>()).await
    }

    async fn largest(&self, topics: &[Arc<str>]) -> Result<Vec<Option<usize>>, Coded> {
        let settings = self.shared.clients.settings();
        if settings.compresses() {
            // What a record needs in the end is not known before.
            return Ok(vec![None; topics.len()]);
        }
        let configs = self.configs(&topics.iter().map(|topic| &**topic).collect::<Vec<_>>()).await?;
        let largest = |topic: &Arc<str>| {
            let config = configs.iter().find(|config| *config.topic == **topic && !settings.packs(topic))?;
            usize::try_from(config.largest?).ok()
        };
        Ok(topics.iter().map(largest).collect())
    }

    async fn offsets(&self, partition: &TopicPartition) -> Result<(u64, u64), Coded> {
        let info = self.describe(&partition.topic).await?;
        if info.as_ref().is_none_or(|info| partition.partition >= info.partitions) {
            let there = info.map_or("the topic does not exist".to_owned(), |info| {
                format!("the topic has {} partitions", info.partitions)
            });
            return Err(Coded::new(Code::TOPIC_MISSING, format!("{partition} does not exist; {there}")));
        }
        let partition = partition.clone();
        self.away(move |shared| {
            let cannot = |failure: Failure| failure.coded(format!("offsets of {partition} cannot be read"));
            shared.ask_offsets(&partition).map_err(cannot)
        })
        .await
    }

    async fn records(&self, partition: &TopicPartition, from: u64, limit: usize) -> Result<RecordBatch, Coded> {
        let bounds = self.offsets(partition).await?;
        let partition = partition.clone();
        self.away(move |shared| shared.records(&partition, bounds, (from, limit))).await
    }

    async fn offset_at(&self, partition: &TopicPartition, at: Timestamp) -> Result<Option<u64>, Coded> {
        self.shared.locate(partition.clone(), at).await
    }
}

impl Kafka {
    /// Creates a topic with settings of its own.
    pub(crate) async fn create_with(
        &self,
        topic: &str,
        partitions: u32,
        settings: &[(&'static str, String)],
    ) -> Result<(), Coded> {
        if topic.is_empty() || partitions == 0 {
            let message = format!("topic {topic:?} needs a name and at least one partition");
            return Err(Coded::new(Code::BAD_VALUE, message));
        }
        let cannot = |failure: Failure| failure.coded(format!("topic {topic} cannot be created"));
        let admin = self.shared.clients.admin().map_err(cannot)?;
        let copies = TopicReplication::Fixed(self.shared.clients.settings().replication.unwrap_or(BROKERS_DEFAULT));
        let mut new = NewTopic::new(topic, i32::try_from(partitions).unwrap_or(i32::MAX), copies);
        for (name, value) in settings {
            new = new.set(name, value);
        }
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE)).request_timeout(Some(PATIENCE));
        let answers = admin.create_topics(&[new], &options).await.map_err(|error| cannot(error.into()))?;
        match answers.into_iter().next() {
            Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => self.exists(topic, partitions).await,
            Some(Err((_, code))) => Err(cannot(Failure::new(code, "the broker says"))),
            Some(Ok(_)) | None => self.seen(topic).await,
        }
    }

    /// Waits until the brokers that are asked know a topic that was created. They learn of it a moment later than the one that
    /// created it.
    async fn seen(&self, topic: &str) -> Result<(), Coded> {
        let deadline = self.shared.clock.now() + PATIENCE;
        while self.describe(topic).await?.is_none() && self.shared.clock.now() < deadline {
            self.shared.clock.sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    /// A topic that somebody wants to create is there: with as many partitions it is fine.
    async fn exists(&self, topic: &str, partitions: u32) -> Result<(), Coded> {
        let there = self.describe(topic).await?.map_or(0, |info| info.partitions);
        if there == partitions {
            return Ok(());
        }
        let message = format!("topic {topic} exists with {there} partitions, not with {partitions}");
        Err(Coded::new(Code::TOPIC_EXISTS, message))
    }
}
