//! A replay shard by shard, on one thread or on several.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::try_join_all;
use tidemill_core::code::{Code, Coded};
use tidemill_core::internal;
use tidemill_core::ports::{Change, Durability, KeyRange, Store};
use tidemill_core::record::TopicPartition;
use tidemill_core::replay::{Base, Bounds, Course, Ran, Session, Survey, Told, Wanted};
use tidemill_embedded::store;
use tokio::sync::oneshot;

use super::select::Selects;
use super::snapshot::{Begins, Snapshot};
use super::{Replay, State};
use crate::host::{Stopwatch, event_loop};
use crate::query;

impl Replay {
    /// Makes ready to run: the bounds of each shard that is meant. A service that keeps no journal is an error (TM-0901).
    pub(super) async fn bounds(&self) -> Result<BTreeMap<u32, Bounds>, Coded> {
        self.find_schema_ids().await?;
        let (topics, name) = (self.broker.topics(), self.service.name());
        let journal = internal::journal(name);
        let Some(info) = topics.describe(&journal).await? else {
            let message = format!("service {name} has no journal here: topic {journal} does not exist");
            return Err(Coded::new(Code::JOURNAL_INCOMPLETE, message));
        };
        self.range.resolve(&self.service, &topics, info.partitions).await
    }

    /// Runs one shard on this thread.
    pub(super) async fn shard(
        &self,
        shard: u32,
        bounds: Bounds,
        wanted: Wanted,
        sees: impl FnMut(Told, Duration) -> Result<ControlFlow<()>, Coded>,
    ) -> Result<Ran, Coded> {
        let topics = self.broker.topics();
        let journal = TopicPartition::new(internal::journal(self.service.name()), shard);
        let survey = Survey::of(&topics, journal.clone(), &bounds).await?;
        let Some((first, _)) = survey.range() else { return Ok(Ran::default()) };
        let (from, (held, beyond)) = match self.state {
            State::Empty => (first, (store::memory(), Vec::new())),
            State::Current => (first, (self.current(shard).await?, Vec::new())),
            State::AsOf => self.as_of(&survey, shard).await?,
        };
        let Some(span) = survey.span(from) else { return Ok(Ran::default()) };
        self.whole.fetch_add(survey.units(from), Ordering::Relaxed);
        let mut session = Session::open(Arc::clone(&self.service), Arc::clone(&topics), self.ports()).await?;
        session.begin(shard, held).await?;
        let mut look = Selects {
            selection: &self.selection,
            wanted,
            runs_others: self.state == State::AsOf,
            needs_all_keys: self.service.is_any_in_order(),
            behind: Arc::clone(&self.behind),
            sees,
            began: Stopwatch::start(),
        };
        let course = Course::new(&mut session, topics, shard, bounds).passing(beyond);
        course.run(journal, span, &store::memory, &mut look).await
    }

    /// The offset in the journal from which on pages run, with the state before it, of a snapshot or empty.
    async fn as_of(&self, survey: &Survey, shard: u32) -> Result<(u64, Begins), Coded> {
        let name = self.service.name();
        let mut snapshots = match &self.snapshots {
            Some(folder) => {
                let info = self.broker.topics().describe(&internal::journal(name)).await?;
                let id = info.map(|info| info.id).unwrap_or_default();
                Snapshot::all(folder, name, shard, &id)?
            }
            None => Vec::new(),
        };
        let reaches: Vec<(u64, u64)> = snapshots.iter().map(Snapshot::reach).collect();
        let Base { offset, snapshot } = survey.base(&reaches)?;
        Ok((
            offset,
            snapshot.map_or_else(|| Ok((store::memory(), Vec::new())), |place| snapshots.remove(place).load())?,
        ))
    }

    /// A copy of the state that a shard has now.
    async fn current(&self, shard: u32) -> Result<Arc<dyn Store>, Coded> {
        let held = store::memory();
        let (broker, service) = (&*self.broker, self.service.name());
        query::of_shard(broker, service, shard, KeyRange::all(), |page| {
            let changes = page.into_iter().map(|(key, value)| Change { key, value: Some(value) });
            held.apply(changes.collect(), Durability::Buffered)
        })
        .await?;
        Ok(held)
    }

    /// Runs all shards that are meant, as many at a time as this machine has cores. Each has its own `part`, which sees its units.
    pub(super) async fn parts<P: Send + 'static>(
        &self,
        part: impl Fn() -> P,
        see: impl Fn(&mut P, Told) -> Result<ControlFlow<()>, Coded> + Clone + Send + 'static,
    ) -> Result<Vec<(Ran, P)>, Coded> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let mut shares: Vec<Vec<(u32, Bounds)>> = vec![Vec::new(); threads];
        for (place, bounds) in self.bounds().await?.into_iter().enumerate() {
            shares[place % threads].push(bounds);
        }
        let shares = shares.into_iter().filter(|share| !share.is_empty());
        try_join_all(shares.map(|share| self.clone().on_a_thread(share, part(), see.clone()))).await
    }

    #[expect(clippy::disallowed_methods, reason = "a replay has threads of its own, and waits for each")]
    async fn on_a_thread<P: Send + 'static>(
        self,
        share: Vec<(u32, Bounds)>,
        mut part: P,
        see: impl Fn(&mut P, Told) -> Result<ControlFlow<()>, Coded> + Send + 'static,
    ) -> Result<(Ran, P), Coded> {
        let (answer, answered) = oneshot::channel();
        let name = format!("replay-{}", share.first().map_or(0, |(shard, _)| *shard));
        let work = move || {
            let wanted = Wanted { calls: self.calls, ..Wanted::default() };
            let ended = event_loop().block_on(async {
                let mut ran = Ran::default();
                for (shard, bounds) in share {
                    ran += self.shard(shard, bounds, wanted, |told, _| see(&mut part, told)).await?;
                }
                Ok(ran)
            });
            // Nobody listens any more where another part failed.
            let _ = answer.send(ended.map(|ran| (ran, part)));
        };
        let thread = std::thread::Builder::new().name(name).spawn(work);
        drop(thread.expect("the system gives the process a thread for each core"));
        answered.await.unwrap_or_else(|_| Err(Coded::new(Code::WORKER_PANICKED, "a thread of the replay panicked")))
    }
}
