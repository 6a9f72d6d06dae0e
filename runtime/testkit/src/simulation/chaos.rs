//! Ports and handlers that go wrong: what an instance sees of the world while faults are about.

mod commit;
mod handlers;
mod log;

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use std::rc::Rc;
use tidemill_core::code::{Code, Coded};
use tidemill_core::outputs::Outputs;
use tidemill_core::ports::{Broker, Committing, Entry as StateEntry, KeyRange, Lag, Member, Subscription, Topics};

use super::fault::{Fault, Ruling, Trick};
use super::ledger::{Entry, Ledger, Who};
use crate::fakes::{Crash, VirtualClock};

pub(crate) use handlers::Disturbance;

/// Faults that are due and wait for something to happen to.
#[derive(Default)]
struct Armed {
    /// Port calls until a process ends.
    calls: Vec<u32>,
    commits: Vec<Fault>,
    handlers: Vec<Trick>,
    reads: u32,
    again: Vec<u32>,
    full_until: Duration,
    held_until: Duration,
    numbers: u64,
}

/// What all instances of a run share.
pub(crate) struct Chaos {
    pub(crate) clock: Arc<VirtualClock>,
    pub(crate) ledger: Ledger,
    armed: Mutex<Armed>,
}

fn failure(what: &str) -> Coded {
    Coded::new(Code::BACKEND_FAILED, format!("the simulation says: {what}"))
}

impl Chaos {
    pub(crate) fn new(clock: &Arc<VirtualClock>) -> Arc<Self> {
        let ledger = Ledger::new(Arc::clone(clock));
        Arc::new(Self { clock: Arc::clone(clock), ledger, armed: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, Armed> {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A number that no other thing of the run has.
    fn number(&self) -> u64 {
        let mut armed = self.lock();
        armed.numbers += 1;
        armed.numbers
    }

    /// A fault is due; it happens to the next thing of its kind.
    pub(crate) fn arm(&self, fault: Fault) {
        let mut armed = self.lock();
        match fault {
            Fault::CrashAtCall(calls) => armed.calls.push(calls),
            Fault::Commit { .. } => armed.commits.push(fault),
            Fault::Handler(trick) => armed.handlers.push(trick),
            Fault::ReadFails => armed.reads += 1,
            Fault::Again(records) => armed.again.push(records),
            Fault::StoreFull(millis) | Fault::Hold(millis) => {
                let until = self.clock.passed() + Duration::from_millis(millis);
                let holds = matches!(fault, Fault::Hold(_));
                *(if holds { &mut armed.held_until } else { &mut armed.full_until }) = until;
                drop(armed);
                self.spent(fault, "everybody".to_owned());
            }
            Fault::CrashAtPoll(_) | Fault::Pause { .. } | Fault::Join(_) | Fault::Leave(_) | Fault::Clock(_) => {
                unreachable!("the world does these itself")
            }
        }
    }

    /// Nothing goes wrong from now on.
    pub(crate) fn calm(&self) {
        let mut armed = self.lock();
        *armed = Armed { numbers: armed.numbers, ..Armed::default() };
    }

    fn spent(&self, fault: Fault, to: String) {
        self.ledger.push(Entry::Spent { fault, to });
    }
}

/// One life of an instance: what it does goes through here into the ledger.
pub(crate) struct Life {
    pub(crate) who: Who,
    pub(crate) chaos: Arc<Chaos>,
    crashed: AtomicBool,
}

impl Life {
    pub(crate) fn new(who: Who, chaos: Arc<Chaos>) -> Arc<Self> {
        Arc::new(Self { who, chaos, crashed: AtomicBool::new(false) })
    }

    pub(crate) fn has_crashed(&self) -> bool {
        self.crashed.load(Ordering::SeqCst)
    }

    fn push(&self, entry: Entry) {
        self.chaos.ledger.push(entry);
    }

    /// A port is called: the process may end here. Where handlers catch what ends it, the next call ends it again.
    fn call(&self) {
        if !self.has_crashed() {
            let mut armed = self.chaos.lock();
            let due = armed.calls.iter().position(|calls| *calls == 0);
            armed.calls.iter_mut().for_each(|calls| *calls = calls.saturating_sub(1));
            let Some(due) = due else { return };
            armed.calls.remove(due);
            drop(armed);
            self.crashed.store(true, Ordering::SeqCst);
            self.chaos.spent(Fault::CrashAtCall(0), self.who.to_string());
        }
        resume_unwind(Box::new(Crash));
    }

    /// State is read from the store: it may fail.
    fn read(&self) -> Result<(), Coded> {
        self.call();
        let mut armed = self.chaos.lock();
        if armed.reads == 0 {
            return Ok(());
        }
        armed.reads -= 1;
        drop(armed);
        self.chaos.spent(Fault::ReadFails, self.who.to_string());
        Err(failure("the state cannot be read"))
    }

    /// What happens to a commit that begins now.
    fn commit_fault(&self, number: u64) -> (Ruling, Duration, bool) {
        let mut armed = self.chaos.lock();
        let full = self.chaos.clock.passed() < armed.full_until;
        let fault = (!full && !armed.commits.is_empty()).then(|| armed.commits.remove(0));
        drop(armed);
        match fault {
            _ if full => (Ruling::NotCommitted, Duration::ZERO, false),
            Some(fault @ Fault::Commit { ruling, millis, late }) => {
                self.chaos.spent(fault, format!("commit {number} of {}", self.who));
                (ruling, Duration::from_millis(millis), late)
            }
            _ => (Ruling::Slow, Duration::ZERO, false),
        }
    }

    fn trick(&self, handler: &str) -> Option<Trick> {
        let mut armed = self.chaos.lock();
        let trick = (!armed.handlers.is_empty()).then(|| armed.handlers.remove(0))?;
        drop(armed);
        self.chaos.spent(Fault::Handler(trick), format!("handler {handler} of {}", self.who));
        Some(trick)
    }

    /// Until when an operator holds the service.
    fn held_until(&self) -> Duration {
        self.chaos.lock().held_until
    }

    fn again(&self) -> u32 {
        self.chaos.lock().again.pop().unwrap_or_default()
    }
}

/// The broker as one life of an instance sees it.
pub(crate) struct Troubled {
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) life: Arc<Life>,
}

#[async_trait]
impl Broker for Troubled {
    fn join(&self, subscription: Subscription) -> Result<Member, Coded> {
        self.life.call();
        let topics = subscription.topics.clone();
        let member = self.broker.join(subscription)?;
        self.life.push(Entry::Joined { who: self.life.who.clone(), topics });
        let log = Box::new(log::Troubled::new(member.log, Arc::clone(&self.life)));
        let Committing::Batch(commits) = member.commits else { unreachable!("`memory:` commits in batches") };
        let commits = Rc::new(commit::Troubled { commits, life: Arc::clone(&self.life) });
        Ok(Member { log, commits: Committing::Batch(commits) })
    }

    fn topics(&self) -> Arc<dyn Topics> {
        self.broker.topics()
    }

    async fn publish(&self, outputs: Outputs) -> Result<(), Coded> {
        self.broker.publish(outputs).await
    }

    async fn lag(&self, group: &str, topics: &[Arc<str>]) -> Result<Vec<Lag>, Coded> {
        self.broker.lag(group, topics).await
    }

    async fn shards(&self, group: &str) -> Result<u32, Coded> {
        self.broker.shards(group).await
    }

    async fn state(&self, group: &str, shard: u32, range: &KeyRange, limit: usize) -> Result<Vec<StateEntry>, Coded> {
        self.broker.state(group, shard, range, limit).await
    }
}
