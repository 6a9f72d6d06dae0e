//! The commits of one worker.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use async_trait::async_trait;
use tidemill_core::code::{Code, Coded};
use tidemill_core::outputs::Outputs;
use tidemill_core::ports::{Answer, CommitBatch, Generation, ShardCommit, Topics, UnitCommit, UnitTransaction};
use tidemill_core::progress::Progress;
use tidemill_core::record::TopicPartition;
use tokio::sync::Mutex;
use tokio_postgres::{Client, Error, Row};

use crate::connection::{Connection, Values, connect, waits_for_disk};
use crate::failure::{Kind, answer, coded, kind};
use crate::pool::{PAUSE, Pool};
use crate::settled::Settled;
use crate::statements::BEGIN;
use crate::transaction::Transaction;

/// A shard that this worker has taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owned {
    /// The shard's row.
    pub(crate) id: i64,
    /// The number under which it was taken.
    pub(crate) number: i64,
    /// The ownership in the log.
    pub(crate) generation: i64,
}

/// A number as the database keeps it.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A partition or a shard as the database keeps it.
pub(crate) fn partition_number(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// Commits every unit in a transaction of Postgres.
pub(crate) struct Commits {
    group: Arc<str>,
    pool: Rc<Pool>,
    topics: Arc<dyn Topics>,
    /// The topics' own ids, as they were when their shards were loaded.
    ids: RefCell<BTreeMap<Arc<str>, Arc<str>>>,
    owned: RefCell<BTreeMap<u32, Owned>>,
    /// The connection that shards are taken by, one after the other: what nobody waits for any more is over before the next one.
    taker: Mutex<Option<Client>>,
}

impl Commits {
    pub(crate) fn new(group: Arc<str>, pool: Rc<Pool>, topics: Arc<dyn Topics>) -> Self {
        let (ids, owned, taker) = (RefCell::default(), RefCell::default(), Mutex::default());
        Self { group, pool, topics, ids, owned, taker }
    }

    /// The shard as this ownership has taken it.
    fn owned(&self, shard: u32, generation: Generation) -> Result<Owned, Coded> {
        let owned = self.owned.borrow().get(&shard).copied();
        owned.filter(|owned| owned.generation == signed(generation.0)).ok_or_else(|| {
            let message = format!("shard {shard} of {} was not taken in this ownership", self.group);
            Coded::new(Code::FENCED, message)
        })
    }

    /// Opens the connection that shards are taken by.
    async fn open_taker(&self) -> Result<Client, Coded> {
        let settings = &self.pool.settings;
        let (client, _) = connect(settings, &self.pool.name).await?;
        let set = client.batch_execute(&format!("set lock_timeout = {}", settings.lock_timeout.as_millis())).await;
        set.map_err(|error| coded(&error, "a connection cannot be prepared"))?;
        waits_for_disk(&client).await?;
        Ok(client)
    }

    /// Takes a shard: from then on, nobody who took it before commits.
    async fn take(&self, client: &Client, shard: u32, generation: Generation) -> Result<Owned, Error> {
        let (number, generation) = (partition_number(shard), signed(generation.0));
        loop {
            let values: Values<'_> = &[&&*self.group, &number, &generation, &self.pool.name];
            let row = match client.query_one(&self.pool.texts.take, values).await {
                // A former owner is in the middle of a commit, and does not come to its end.
                Err(error) if kind(&error) == Kind::Busy => {
                    let values: Values<'_> = &[&&*self.group, &number, &self.pool.name];
                    client.execute(&self.pool.texts.end_owner, values).await?;
                    continue;
                }
                row => row?,
            };
            let before: Option<String> = row.get(2);
            if let Some(before) = before {
                // What it has open may hold rows that this owner's handlers need.
                client.execute(&self.pool.texts.end_idle, &[&before]).await?;
            }
            return Ok(Owned { id: row.get(0), number: row.get(1), generation });
        }
    }

    async fn load_once(
        &self,
        shard: u32,
        generation: Generation,
        partitions: &[TopicPartition],
    ) -> Result<Vec<Option<Progress>>, Coded> {
        let ids = self.look_up(partitions).await?;
        let mut taker = self.taker.lock().await;
        if taker.as_ref().is_none_or(Client::is_closed) {
            *taker = Some(self.open_taker().await?);
        }
        let client = taker.as_ref().expect("it was opened");
        let failed = |error: Error| coded(&error, &format!("shard {shard} of {} cannot be taken", self.group));
        let owned = self.take(client, shard, generation).await.map_err(failed)?;
        let texts = &self.pool.texts;
        // Statements of their own, behind the one that took the shard: they see all that was committed before.
        let progress = client.query(&texts.progress, &[&owned.id]).await.map_err(failed)?;
        let done = client.query(&texts.done, &[&owned.id]).await.map_err(failed)?;
        let found = found(&progress, &done).ok_or_else(|| {
            let message = format!("the progress of shard {shard} of {} cannot be read", self.group);
            Coded::new(Code::STATE_UNREADABLE, message)
        })?;
        self.owned.borrow_mut().insert(shard, owned);
        // Behind the note of who owns it: an operator who resets the shard does so in spite of this.
        self.compare(client, owned, &ids).await?;
        Ok(partitions.iter().map(|partition| found.get(partition).cloned()).collect())
    }

    /// Asks for the ids of the topics of a shard's partitions, and keeps them for when its progress is written.
    async fn look_up(&self, partitions: &[TopicPartition]) -> Result<Vec<(Arc<str>, Arc<str>)>, Coded> {
        let mut ids = Vec::new();
        for TopicPartition { topic, .. } in partitions {
            let Some(found) = self.topics.describe(topic).await? else {
                return Err(Coded::new(Code::TOPIC_MISSING, format!("there is no topic {topic}")));
            };
            ids.push((Arc::clone(topic), found.id));
        }
        self.ids.borrow_mut().extend(ids.iter().cloned());
        Ok(ids)
    }

    /// Whether the topics are those that progress tells of. Another topic of the same name has other records at the same offsets.
    async fn compare(&self, client: &Client, owned: Owned, ids: &[(Arc<str>, Arc<str>)]) -> Result<(), Coded> {
        let (topics, given): (Vec<&str>, Vec<&str>) = ids.iter().map(|(topic, id)| (&**topic, &**id)).unzip();
        let others = client.query(&self.pool.texts.sources, &[&owned.id, &topics, &given]).await;
        let others = others.map_err(|error| coded(&error, "the topics of a shard cannot be compared"))?;
        if let Some(other) = others.first() {
            let topic: &str = other.get(0);
            let message =
                format!("topic {topic} was made again since {} read it; `reset` lets it begin anew", self.group);
            return Err(Coded::new(Code::TOPIC_REPLACED, message));
        }
        Ok(())
    }

    /// Folds one shard's progress, and does what else is to be done with it. The transaction is the caller's.
    async fn fold_shard(&self, connection: &Connection, part: &ShardCommit, outputs: &Outputs) -> Result<(), Answer> {
        let Connection { client, prepared, .. } = connection;
        part.fenced_by().map(drop).map_err(Answer::Fenced)?;
        let owned = self.owned(part.shard, part.generation).map_err(Answer::Fenced)?;
        let settled = Settled::changed(&part.changes, None, outputs);
        let shared = client.query_one(&prepared.settle, &settled.values(&owned)).await;
        shared.map_err(|error| answer(&error))?;
        let id = owned.id;
        let fold = client.prepare(&self.pool.texts.fold).await.map_err(|error| answer(&error))?;
        for (partition, progress) in &part.progress {
            let mut encoded = Vec::new();
            progress.encode(&mut encoded);
            let undone: Vec<i64> = progress.undone_offsets().map(signed).collect();
            let (number, next) = (partition_number(partition.partition), signed(progress.next()));
            let topic_id = self.ids.borrow().get(&partition.topic).cloned().unwrap_or_default();
            let (topic, topic_id) = (&*partition.topic, &*topic_id);
            let values: Values<'_> = &[&id, &topic, &number, &encoded, &next, &undone, &topic_id];
            client.execute(&fold, values).await.map_err(|error| answer(&error))?;
        }
        Ok(())
    }
}

/// Progress by partition, out of what was folded and what is done since.
pub(crate) fn found(folded: &[Row], done: &[Row]) -> Option<BTreeMap<TopicPartition, Progress>> {
    let place = |row: &Row| {
        let partition = u32::try_from(row.get::<_, i32>(1)).ok()?;
        Some(TopicPartition::new(row.get::<_, &str>(0), partition))
    };
    let mut found = BTreeMap::new();
    for row in folded {
        found.insert(place(row)?, Progress::decode(row.get(2))?);
    }
    for row in done {
        let (position, since) = (u64::try_from(row.get::<_, i64>(2)).ok()?, u64::try_from(row.get::<_, i64>(3)).ok()?);
        found.entry(place(row)?).or_insert_with(|| Progress::starting_at(since)).done_ahead(position);
    }
    Some(found)
}

#[async_trait(?Send)]
impl UnitCommit for Commits {
    async fn load(
        &self,
        shard: u32,
        generation: Generation,
        partitions: Vec<TopicPartition>,
    ) -> Result<Vec<Option<Progress>>, Coded> {
        loop {
            match self.load_once(shard, generation, &partitions).await {
                // Tried until somebody answers, or nobody waits any more.
                Err(cause) if cause.code == Code::DATABASE_UNREACHABLE => {
                    tracing::debug!(%cause, shard, "the shard cannot be taken yet");
                    self.pool.clock.sleep(PAUSE).await;
                }
                loaded => return loaded,
            }
        }
    }

    async fn fold(&self, batch: Arc<CommitBatch>) -> Answer {
        let lent = match self.pool.take().await {
            Ok(lent) => lent,
            Err(cause) => return Answer::NotCommitted(cause),
        };
        lent.is_open.set(true);
        if let Err(error) = lent.client.batch_execute(BEGIN).await {
            return answer(&error);
        }
        // They are of all shards, and go with one.
        let none = Outputs::default();
        for (place, part) in batch.shards.iter().enumerate() {
            let outputs = if place == 0 { &batch.outputs } else { &none };
            if let Err(answer) = self.fold_shard(&lent, part, outputs).await {
                return answer;
            }
        }
        lent.waits.set(true);
        let ended = lent.client.batch_execute("commit").await;
        lent.waits.set(false);
        lent.is_open.set(false);
        ended.map_or_else(|error| answer(&error), |()| Answer::Committed)
    }

    async fn begin(&self, shard: u32, generation: Generation) -> Result<Box<dyn UnitTransaction>, Coded> {
        let owned = self.owned(shard, generation)?;
        Ok(Box::new(Transaction::new(Rc::clone(&self.pool), owned)))
    }
}
