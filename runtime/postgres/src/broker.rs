//! A log with Postgres beside it: records and ownership come from the log, commits go to the database.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tidemill_core::code::{Code, Coded};
use tidemill_core::outputs::Outputs;
use tidemill_core::ports::{
    Broker, Clock, Committing, Entry, KeyRange, Lag, Member, OwnTopic, Sender, Subscription, Topics,
};
use tidemill_core::progress::Progress;
use tidemill_core::record::TopicPartition;
use tokio::sync::Mutex;
use tokio_postgres::{Client, Error};

use crate::commits::{Commits, found, partition_number};
use crate::connection::connect;
use crate::failure::coded;
use crate::pool::Pool;
use crate::settings::Settings;
use crate::statements::Texts;
use crate::transaction::{bounds, bytes, rows};

/// A transaction may stand still for so many times as long as a handler may take.
const IDLE: u32 = 2;

/// A broker whose groups commit to Postgres.
pub struct Postgres {
    log: Arc<dyn Broker>,
    settings: Arc<Settings>,
    texts: Arc<Texts>,
    clock: Arc<dyn Clock>,
    /// For how long a handler may take, at the most, in milliseconds.
    handlers_take: AtomicU64,
    /// Asks what is not asked by a member.
    asker: Mutex<Option<Arc<Client>>>,
}

impl Postgres {
    /// Puts the database beside a log. Nothing is asked of it before somebody joins.
    pub fn beside(log: Arc<dyn Broker>, settings: Settings, clock: Arc<dyn Clock>) -> Arc<Self> {
        let texts = Arc::new(Texts::new(&settings.schema));
        let (settings, handlers_take, asker) = (Arc::new(settings), AtomicU64::new(0), Mutex::default());
        Arc::new(Self { log, settings, texts, clock, handlers_take, asker })
    }

    /// The database, as it was given.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Says for how long a handler of whoever joins from now on may take, at the most: a transaction may stand still for longer.
    pub fn outlast(&self, handler: Duration) {
        let millis = u64::try_from(handler.as_millis()).unwrap_or(u64::MAX);
        self.handlers_take.fetch_max(millis, Ordering::Relaxed);
    }

    /// The settings of members.
    fn of_members(&self) -> Arc<Settings> {
        let handlers = Duration::from_millis(self.handlers_take.load(Ordering::Relaxed));
        let mut settings = Settings::clone(&self.settings);
        settings.idle_timeout = settings.idle_timeout.max(handlers.saturating_mul(IDLE));
        Arc::new(settings)
    }

    async fn asker(&self) -> Result<Arc<Client>, Coded> {
        let mut asker = self.asker.lock().await;
        if let Some(client) = asker.as_ref().filter(|client| !client.is_closed()) {
            return Ok(Arc::clone(client));
        }
        let (client, _) = connect(&self.settings, "tidemill").await?;
        let client = Arc::new(client);
        *asker = Some(Arc::clone(&client));
        Ok(client)
    }

    /// The progress of a group in every partition that it knows.
    async fn progress(&self, group: &str) -> Result<BTreeMap<TopicPartition, Progress>, Coded> {
        let failed = |error: Error| coded(&error, &format!("the progress of {group} cannot be read"));
        let (client, mut all) = (self.asker().await?, BTreeMap::new());
        for shard in client.query(&self.texts.all_shards, &[&group]).await.map_err(failed)? {
            let id: i64 = shard.get(0);
            // In this order: what is folded between the two is then in both.
            let done = client.query(&self.texts.done, &[&id]).await.map_err(failed)?;
            let folded = client.query(&self.texts.progress, &[&id]).await.map_err(failed)?;
            all.extend(found(&folded, &done).ok_or_else(|| {
                Coded::new(Code::STATE_UNREADABLE, format!("the progress of {group} cannot be read"))
            })?);
        }
        Ok(all)
    }
}

#[async_trait]
impl Broker for Postgres {
    fn join(&self, subscription: Subscription) -> Result<Member, Coded> {
        let group = Arc::clone(&subscription.group);
        // Unique, so that its connections are told from those of whoever was called so before.
        let unique = RandomState::new().build_hasher().finish();
        let name = format!("tidemill {group} {} {unique:016x}", subscription.member);
        let log = self.log.join(subscription)?.log;
        let pool =
            Rc::new(Pool::new(self.of_members(), Arc::clone(&self.texts), shortened(&name), Arc::clone(&self.clock)));
        Ok(Member { log, commits: Committing::Unit(Rc::new(Commits::new(group, pool, self.log.topics()))) })
    }

    fn topics(&self) -> Arc<dyn Topics> {
        self.log.topics()
    }

    fn own_topics(&self, group: &str) -> Vec<OwnTopic> {
        self.log.own_topics(group)
    }

    async fn create_own(&self, topic: &str, inputs: &[Arc<str>], partitions: u32) -> Result<(), Coded> {
        self.log.create_own(topic, inputs, partitions).await
    }

    async fn check(&self, group: &str, inputs: &[Arc<str>], outputs: &[Arc<str>]) -> Result<(), Coded> {
        crate::migrations::check(&self.settings).await?;
        self.log.check(group, inputs, outputs).await
    }

    async fn publish(&self, outputs: Outputs) -> Result<(), Coded> {
        self.log.publish(outputs).await
    }

    async fn lag(&self, group: &str, topics: &[Arc<str>]) -> Result<Vec<Lag>, Coded> {
        let (progress, about, mut lags) = (self.progress(group).await?, self.log.topics(), Vec::new());
        for topic in topics {
            let partitions = about
                .describe(topic)
                .await?
                .map(|info| info.partitions)
                .ok_or_else(|| Coded::new(Code::TOPIC_MISSING, format!("there is no topic {topic}")))?;
            for number in 0..partitions {
                let partition = TopicPartition::new(Arc::clone(topic), number);
                let (first, end) = about.offsets(&partition).await?;
                let records = progress.get(&partition).map_or(end - first, |progress| {
                    let ahead = end.saturating_sub(progress.next().max(first));
                    ahead + progress.undone_offsets().filter(|offset| *offset >= first).count() as u64
                });
                lags.push(Lag { partition, records });
            }
        }
        Ok(lags)
    }

    async fn unsent(&self) -> Result<u64, Coded> {
        let row = self.asker().await?.query_one(&self.texts.fill, &[]).await;
        let count: i64 = row.map_err(|error| coded(&error, "the outbox cannot be counted"))?.get(0);
        Ok(u64::try_from(count).unwrap_or_default())
    }

    async fn pause(&self, group: &str, paused: bool) -> Result<bool, Coded> {
        self.log.pause(group, paused).await
    }

    async fn is_paused(&self, group: &str) -> Result<bool, Coded> {
        self.log.is_paused(group).await
    }

    async fn members(&self, group: &str) -> Result<usize, Coded> {
        self.log.members(group).await
    }

    fn sender(&self, name: &str) -> Result<Box<dyn Sender>, Coded> {
        self.log.sender(name)
    }

    fn sender_topic(&self, name: &str) -> Option<OwnTopic> {
        self.log.sender_topic(name)
    }

    async fn shards(&self, group: &str) -> Result<u32, Coded> {
        let row = self.asker().await?.query_one(&self.texts.shards, &[&group]).await;
        let count: i32 = row.map_err(|error| coded(&error, &format!("the shards of {group} cannot be read")))?.get(0);
        Ok(u32::try_from(count).unwrap_or_default())
    }

    async fn state(&self, group: &str, shard: u32, range: &KeyRange, limit: usize) -> Result<Vec<Entry>, Coded> {
        let failed = |error: Error| coded(&error, &format!("the state of {group} cannot be read"));
        let client = self.asker().await?;
        let known = client.query_opt(&self.texts.shard, &[&group, &partition_number(shard)]).await.map_err(failed)?;
        let Some(id) = known.map(|row| row.get::<_, i64>(0)) else { return Ok(Vec::new()) };
        let ((start, end), limit) = (bounds(range), rows(limit));
        let found = match end {
            Some(end) => client.query(&self.texts.scan, &[&id, &start, &end, &limit]).await,
            None => client.query(&self.texts.scan_on, &[&id, &start, &limit]).await,
        };
        Ok(found.map_err(failed)?.iter().map(|row| (bytes(row, 0), bytes(row, 1))).collect())
    }
}

/// A name as short as the database keeps it, with its end, which tells members apart.
fn shortened(name: &str) -> String {
    const LONGEST: usize = 63;
    let letters: Vec<char> = name.chars().filter(char::is_ascii).collect();
    if letters.len() <= LONGEST {
        letters.into_iter().collect()
    } else {
        letters[letters.len() - LONGEST..].iter().collect()
    }
}
