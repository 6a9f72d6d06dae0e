//! An outbox and a log under a test's hand: a relay between them can end before, in the middle of and after everything that it asks of
//! them, and an answer of the log can be lost.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use tidemill_core::code::{Code, Coded};
use tidemill_core::outputs::Outputs;
use tidemill_core::ports::{
    Answer, Broker, Entry, Fill, KeyRange, Lag, Lease, Member, Outbox, OutboxRow, Sender, Sent, Subscription, Topics,
    Which,
};

/// What becomes of a publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is there, and the answer is lost.
    AnswerLost,
    /// It never came there, and nobody can say.
    Lost,
    /// It is not there, and the log says so.
    NotCommitted,
}

#[derive(Default)]
struct Watching {
    points: usize,
    end: Option<usize>,
    is_ended: bool,
    looks: usize,
    looks_at_nothing: usize,
    publishes: usize,
    fates: VecDeque<Fate>,
    slow: Option<BoxFuture<'static, ()>>,
    refused: Option<&'static str>,
    is_away: bool,
    restored: Option<u64>,
}

/// What a relay does, seen from the two ports that it stands between.
#[derive(Default)]
pub struct Watch(Mutex<Watching>);

impl Watch {
    /// The relay ends at the point of this number, counted from 1, if it gets there; what it publishes first has these fates.
    pub fn new(end: Option<usize>, fates: impl IntoIterator<Item = Fate>) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Watching { end, fates: fates.into_iter().collect(), ..Watching::default() })))
    }

    fn lock(&self) -> MutexGuard<'_, Watching> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the relay came to the point at which it ends. Its future has to be dropped then.
    pub fn is_ended(&self) -> bool {
        self.lock().is_ended
    }

    /// How often it looked for what is to be sent.
    pub fn looks(&self) -> usize {
        self.lock().looks
    }

    /// How often it found nothing to send.
    pub fn looks_at_nothing(&self) -> usize {
        self.lock().looks_at_nothing
    }

    /// How often it published, with whatever answer.
    pub fn publishes(&self) -> usize {
        self.lock().publishes
    }

    /// The next publish takes so long before it begins.
    pub fn slow_down(&self, until: BoxFuture<'static, ()>) {
        self.lock().slow = Some(until);
    }

    /// Publishes that hold this value are refused; none from now on, where it is `None`.
    pub fn refuse(&self, value: Option<&'static str>) {
        self.lock().refused = value;
    }

    /// Whether the log can be reached, to take the name.
    pub fn set_away(&self, is_away: bool) {
        self.lock().is_away = is_away;
    }

    /// The outbox says of itself that so many publishes are behind it.
    pub fn restore(&self, publishes: u64) {
        self.lock().restored = Some(publishes);
    }

    /// Passes a point. Tells whether the relay ends here.
    fn ends_here(&self) -> bool {
        let mut watching = self.lock();
        watching.points += 1;
        watching.is_ended |= Some(watching.points) == watching.end;
        watching.is_ended
    }

    async fn point(&self) {
        if self.ends_here() {
            std::future::pending::<()>().await;
        }
    }

    /// A call with points before it, wherever it waits, and behind it.
    async fn call<T>(&self, call: impl Future<Output = T>) -> T {
        self.point().await;
        let mut call = pin!(call);
        let answer = poll_fn(|cx| {
            let polled = if self.is_ended() { Poll::Pending } else { call.as_mut().poll(cx) };
            if polled.is_pending() {
                self.ends_here();
            }
            polled
        })
        .await;
        self.point().await;
        answer
    }
}

/// An outbox that is watched.
pub struct WatchedOutbox(pub Box<dyn Outbox>, pub Arc<Watch>);

#[async_trait]
impl Outbox for WatchedOutbox {
    async fn open(&mut self) -> Result<String, Coded> {
        // It changes nothing, and takes a database many steps.
        self.0.open().await
    }

    async fn hold(&mut self, lease: &Lease, sleeps: bool) -> Result<bool, Coded> {
        self.1.call(self.0.hold(lease, sleeps)).await
    }

    async fn release(&mut self, lease: &Lease) -> Result<(), Coded> {
        self.1.call(self.0.release(lease)).await
    }

    async fn next(&mut self, rows: usize, bytes: usize) -> Result<Vec<OutboxRow>, Coded> {
        let next = self.1.call(self.0.next(rows, bytes)).await?;
        let mut watching = self.1.lock();
        watching.looks += 1;
        watching.looks_at_nothing += usize::from(next.is_empty());
        drop(watching);
        Ok(next)
    }

    async fn publishes(&mut self, name: &str) -> Result<u64, Coded> {
        let kept = self.1.call(self.0.publishes(name)).await?;
        Ok(self.1.lock().restored.take().unwrap_or(kept))
    }

    async fn delete(&mut self, sent: &[Sent], name: &str, publish: u64) -> Result<(), Coded> {
        self.1.call(self.0.delete(sent, name, publish)).await
    }

    async fn park(&mut self, id: u64, why: &str) -> Result<(), Coded> {
        self.1.call(self.0.park(id, why)).await
    }

    async fn woken(&mut self) {
        self.0.woken().await;
    }

    async fn fill(&mut self) -> Result<Fill, Coded> {
        self.0.fill().await
    }

    async fn list(&mut self, which: Which, after: Option<u64>, limit: usize) -> Result<Vec<OutboxRow>, Coded> {
        self.0.list(which, after, limit).await
    }

    async fn retry(&mut self, id: u64, reason: &str) -> Result<bool, Coded> {
        self.0.retry(id, reason).await
    }

    async fn discard(&mut self, id: u64, reason: &str) -> Result<bool, Coded> {
        self.0.discard(id, reason).await
    }
}

struct WatchedSender(Box<dyn Sender>, Arc<Watch>);

fn no_answer() -> Coded {
    Coded::new(Code::BROKER_UNREACHABLE, "the test's log does not answer")
}

#[async_trait]
impl Sender for WatchedSender {
    async fn take(&mut self) -> Result<Option<Bytes>, Coded> {
        if self.1.lock().is_away {
            return Err(no_answer());
        }
        self.1.call(self.0.take()).await
    }

    async fn send(&mut self, outputs: Outputs, receipt: Bytes) -> Answer {
        let (fate, slow, refused) = {
            let mut watching = self.1.lock();
            watching.publishes += 1;
            (watching.fates.pop_front(), watching.slow.take(), watching.refused)
        };
        if let Some(slow) = slow {
            slow.await;
        }
        if outputs.iter().any(|output| refused.is_some_and(|value| output.value == Some(value.as_bytes()))) {
            return Answer::Refused(Coded::new(Code::EFFECTS_REFUSED, "the test's log does not take it"));
        }
        match fate {
            None => self.1.call(self.0.send(outputs, receipt)).await,
            Some(Fate::AnswerLost) => {
                self.1.call(self.0.send(outputs, receipt)).await;
                Answer::Unknown(no_answer())
            }
            Some(Fate::Lost) => Answer::Unknown(no_answer()),
            Some(Fate::NotCommitted) => Answer::NotCommitted(no_answer()),
        }
    }
}

/// A log whose senders are watched.
pub struct WatchedLog(pub Arc<dyn Broker>, pub Arc<Watch>);

#[async_trait]
impl Broker for WatchedLog {
    fn join(&self, subscription: Subscription) -> Result<Member, Coded> {
        self.0.join(subscription)
    }

    fn topics(&self) -> Arc<dyn Topics> {
        self.0.topics()
    }

    async fn publish(&self, outputs: Outputs) -> Result<(), Coded> {
        self.0.publish(outputs).await
    }

    fn sender(&self, name: &str) -> Result<Box<dyn Sender>, Coded> {
        Ok(Box::new(WatchedSender(self.0.sender(name)?, Arc::clone(&self.1))))
    }

    async fn lag(&self, group: &str, topics: &[Arc<str>]) -> Result<Vec<Lag>, Coded> {
        self.0.lag(group, topics).await
    }

    async fn shards(&self, group: &str) -> Result<u32, Coded> {
        self.0.shards(group).await
    }

    async fn state(&self, group: &str, shard: u32, range: &KeyRange, limit: usize) -> Result<Vec<Entry>, Coded> {
        self.0.state(group, shard, range, limit).await
    }
}
