//! A Kafka cluster as a broker: what its members, publishers and readers in one process share.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_channel::oneshot;
use futures_util::future::BoxFuture;
use tidemill_core::code::{Code, Coded};
use tidemill_core::internal;
use tidemill_core::outputs::Outputs;
use tidemill_core::ports::{
    Answer, Blocking, Broker, Clock, Committing, Entry, KeyRange, Lag, Member as Membership, OwnTopic, Sender, Store,
    Subscription, Topics,
};
use tidemill_core::record::TopicPartition;

use crate::client::{Clients, Plain};
use crate::commits::{Commits, Desk};
use crate::member::Member;
use crate::names;
use crate::ownership::Ownership;
use crate::report::Report;
use crate::sender::KafkaSender;
use crate::settings::Settings;
use crate::states::States;
use crate::transaction::{Content, Transactions};

/// How long one question to the cluster may take before it counts as unreachable.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Opens the local store of a group, which may hold what an earlier process left; without a group, one in memory.
pub type OpenStore = Arc<dyn Fn(Option<&str>) -> Result<Arc<dyn Store>, Coded> + Send + Sync>;

type Reports = BTreeMap<(Arc<str>, u32), Arc<Mutex<Report>>>;

/// What everything of one cluster shares.
pub(crate) struct Shared {
    pub(crate) clients: Clients,
    pub(crate) clock: Arc<dyn Clock>,
    /// Asks about topics and positions, and sees the true ends.
    pub(crate) plain: Plain,
    blocking: Arc<dyn Blocking>,
    stores: OpenStore,
    /// The own ids of topics, as they were asked for last.
    pub(crate) ids: Mutex<BTreeMap<Arc<str>, Arc<str>>>,
    /// The members of this process, by group and name.
    members: Mutex<BTreeSet<(Arc<str>, Arc<str>)>>,
    states: Mutex<BTreeMap<Arc<str>, Arc<States>>>,
    publisher: Mutex<Transactions>,
    /// Clients that ask for the offsets of a group.
    askers: Mutex<BTreeMap<Arc<str>, Arc<Plain>>>,
    /// What was read of shards for reports, by group and shard.
    reports: Mutex<Reports>,
}

pub(crate) fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Runs a job that waits for the cluster on a thread that may wait. It runs whether or not anybody waits for it.
    pub(crate) fn away<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> BoxFuture<'static, Result<T, Coded>> {
        let (send, receive) = oneshot::channel();
        self.blocking.run(Box::new(move || {
            // Nobody waits any more where the caller has gone on.
            let _ = send.send(job());
        }));
        Box::pin(async { receive.await.map_err(|_| Coded::new(Code::BACKEND_FAILED, "a thread for Kafka ended")) })
    }

    /// A member is gone.
    pub(crate) fn leave(&self, name: &(Arc<str>, Arc<str>)) {
        lock(&self.members).remove(name);
    }

    fn states(&self, group: &Arc<str>) -> Result<Arc<States>, Coded> {
        let mut all = lock(&self.states);
        if let Some(states) = all.get(group) {
            return Ok(Arc::clone(states));
        }
        let kept = Some(&**group).filter(|_| self.clients.settings().keeps_state);
        let states = Arc::new(States::new((self.stores)(kept)?));
        all.insert(Arc::clone(group), Arc::clone(&states));
        Ok(states)
    }

    pub(crate) fn asker(&self, group: &str) -> Result<Arc<Plain>, Coded> {
        let mut all = lock(&self.askers);
        if let Some(asker) = all.get(group) {
            return Ok(Arc::clone(asker));
        }
        let asker = Arc::new(self.clients.plain(Some(group))?);
        all.insert(group.into(), Arc::clone(&asker));
        Ok(asker)
    }

    fn state(&self, group: &str, shard: u32, range: &KeyRange, limit: usize) -> Result<Vec<Entry>, Coded> {
        let changelog = TopicPartition::new(names::changelog(group), shard);
        let Some(info) =
            self.ask_topic(&changelog.topic).map_err(|failure| self.no_answer(&changelog.topic, &failure))?
        else {
            return Ok(Vec::new());
        };
        if shard >= info.partitions {
            return Ok(Vec::new());
        }
        let report = self.report(group, &changelog)?;
        let (_, end) = self.ask_offsets(&changelog).map_err(|failure| failure.coded("an end cannot be read"))?;
        let deadline = self.clock.now() + PATIENCE;
        lock(&report).read(&info.id, end, &|| self.clock.now() < deadline)?;
        lock(&report).states().scan(shard, range, limit)
    }

    fn report(&self, group: &str, changelog: &TopicPartition) -> Result<Arc<Mutex<Report>>, Coded> {
        let mut all = lock(&self.reports);
        let key = (Arc::from(group), changelog.partition);
        if let Some(report) = all.get(&key) {
            return Ok(Arc::clone(report));
        }
        let client = Arc::new(self.clients.reader(group, 1)?);
        let report = Report::new(changelog.clone(), States::new((self.stores)(None)?), client);
        let report = Arc::new(Mutex::new(report));
        all.insert(key, Arc::clone(&report));
        Ok(report)
    }

    pub(crate) fn publish(&self, outputs: &Outputs) -> Result<(), Coded> {
        if outputs.is_empty() {
            return Ok(());
        }
        let content = Content { outputs, changes: None, offsets: None, now: self.clock.now() };
        match lock(&self.publisher).run(&content) {
            Answer::Committed => Ok(()),
            Answer::NotCommitted(cause) | Answer::Refused(cause) | Answer::Fenced(cause) | Answer::Unknown(cause) => {
                Err(cause)
            }
        }
    }
}

/// A Kafka cluster.
pub struct Kafka {
    pub(crate) shared: Arc<Shared>,
}

impl Kafka {
    /// Prepares for a cluster. Nothing is asked yet, so one that does not answer shows with the first question. Settings that
    /// the client does not know, or that the runtime owns, are an error (TM-0102).
    pub fn open(
        settings: Settings,
        stores: OpenStore,
        clock: Arc<dyn Clock>,
        blocking: Arc<dyn Blocking>,
    ) -> Result<Arc<Self>, Coded> {
        let clients = Clients::new(settings)?;
        // Publishers are as many as processes; each opens transactions under a name that nobody else has.
        let unique = RandomState::new().build_hasher().finish();
        let publisher = Transactions::new(clients.clone(), format!("tidemill.publisher.{unique:016x}"), None);
        let shared = Shared {
            plain: clients.plain(None)?,
            clients,
            clock,
            blocking,
            stores,
            ids: Mutex::default(),
            members: Mutex::default(),
            states: Mutex::default(),
            publisher: Mutex::new(publisher),
            askers: Mutex::default(),
            reports: Mutex::default(),
        };
        Ok(Arc::new(Self { shared: Arc::new(shared) }))
    }

    /// Asks on a thread that may wait.
    pub(crate) async fn away<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Shared) -> Result<T, Coded> + Send + 'static,
    ) -> Result<T, Coded> {
        let shared = Arc::clone(&self.shared);
        let answer = self.shared.away(move || job(&shared)).await?;
        answer.map_err(|cause| {
            if cause.code != Code::BROKER_UNREACHABLE {
                return cause;
            }
            let brokers = &self.shared.clients.settings().brokers;
            Coded::new(cause.code, format!("no broker answers at {brokers}: {}", cause.message))
        })
    }
}

#[async_trait]
impl Broker for Kafka {
    fn join(&self, subscription: Subscription) -> Result<Membership, Coded> {
        let name = (Arc::clone(&subscription.group), Arc::clone(&subscription.member));
        if !lock(&self.shared.members).insert(name.clone()) {
            let message = format!("group {} has a member {} in this process already", name.0, name.1);
            return Err(Coded::new(Code::BAD_SERVICE, message));
        }
        let joined = self.seat(&subscription);
        if joined.is_err() {
            self.shared.leave(&name);
        }
        joined
    }

    fn topics(&self) -> Arc<dyn Topics> {
        Arc::new(Self { shared: Arc::clone(&self.shared) })
    }

    fn own_topics(&self, group: &str) -> Vec<OwnTopic> {
        // A service writes to it too; what its members follow there is this broker's.
        let operations = OwnTopic { name: internal::operations(group).into(), partitions: Some(1) };
        let changelog = OwnTopic { name: names::changelog(group).into(), partitions: None };
        let keeps_state = self.shared.clients.settings().keeps_state;
        keeps_state.then_some(changelog).into_iter().chain([operations]).collect()
    }

    async fn create_own(&self, topic: &str, inputs: &[Arc<str>], partitions: u32) -> Result<(), Coded> {
        let settings = self.settings_of_own(topic, inputs).await?;
        self.create_with(topic, partitions, &settings).await
    }

    async fn check(&self, group: &str, inputs: &[Arc<str>], outputs: &[Arc<str>]) -> Result<(), Coded> {
        let (name, reads, writes) = (group.to_owned(), inputs.to_vec(), outputs.to_vec());
        self.away(move |shared| shared.check(&name, &reads, &writes)).await?;
        if self.shared.clients.settings().keeps_state { self.check_changelog(group, inputs).await } else { Ok(()) }
    }

    async fn publish(&self, outputs: Outputs) -> Result<(), Coded> {
        self.away(move |shared| shared.publish(&outputs)).await
    }

    fn sender(&self, name: &str) -> Result<Box<dyn Sender>, Coded> {
        Ok(Box::new(KafkaSender::new(Arc::clone(&self.shared), name)))
    }

    fn sender_topic(&self, name: &str) -> Option<OwnTopic> {
        Some(OwnTopic { name: name.into(), partitions: Some(1) })
    }

    async fn lag(&self, group: &str, topics: &[Arc<str>]) -> Result<Vec<Lag>, Coded> {
        let (group, topics) = (group.to_owned(), topics.to_vec());
        self.away(move |shared| shared.lag(&group, &topics)).await
    }

    async fn members(&self, group: &str) -> Result<usize, Coded> {
        let group = group.to_owned();
        self.away(move |shared| shared.members(&group)).await
    }

    async fn pause(&self, group: &str, paused: bool) -> Result<bool, Coded> {
        let group = group.to_owned();
        self.away(move |shared| shared.pause(&group, paused)).await
    }

    async fn is_paused(&self, group: &str) -> Result<bool, Coded> {
        let group = group.to_owned();
        self.away(move |shared| shared.is_paused(&group)).await
    }

    async fn shards(&self, group: &str) -> Result<u32, Coded> {
        let info = Topics::describe(self, &names::changelog(group)).await?;
        Ok(info.map_or(0, |info| info.partitions))
    }

    async fn state(&self, group: &str, shard: u32, range: &KeyRange, limit: usize) -> Result<Vec<Entry>, Coded> {
        let (group, range) = (group.to_owned(), range.clone());
        self.away(move |shared| shared.state(&group, shard, &range, limit)).await
    }
}

impl Kafka {
    /// Makes the clients of a member and joins.
    fn seat(&self, subscription: &Subscription) -> Result<Membership, Coded> {
        let shared = &self.shared;
        let group = Arc::clone(&subscription.group);
        // How much is fetched ahead is shared by as many partitions as one worker alone would have. Commands are few, and take none.
        let mut partitions = 0;
        for topic in subscription.topics.iter().filter(|topic| !topic.ends_with(internal::INTERNAL)) {
            partitions += shared.need(topic)?.partitions as usize;
        }
        let reader = Arc::new(shared.clients.reader(&group, partitions)?);
        let ownership = Arc::new(Ownership::default());
        let states = shared.states(&group)?;
        let transactional_id = names::transactional_id(&group, &subscription.member);
        let member = Member::join(Arc::clone(shared), subscription, Arc::clone(&reader), Arc::clone(&ownership))?;
        let letters = internal::dead_letters(&group);
        let transactions = Transactions::new(shared.clients.clone(), transactional_id, Some(letters));
        let desk = Desk {
            shared: Arc::clone(shared),
            group,
            ownership,
            states,
            transactions: Mutex::new(transactions),
            member: Arc::downgrade(member.client()),
            reader,
        };
        let commits = Committing::Batch(Rc::new(Commits(Arc::new(desk))));
        Ok(Membership { log: Box::new(member), commits })
    }
}
