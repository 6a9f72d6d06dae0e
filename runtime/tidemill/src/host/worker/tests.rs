use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use tidemill_core::outputs::Outputs;
use tidemill_core::ports::{Entry, KeyRange, Lag, Member, NoObserver, Topics};
use tidemill_testkit::fakes::{Scripted, Shape, VirtualClock};

use super::*;
use crate::host::machine::{Threads, WallClock};
use crate::host::tests::{Ping, ignore_ping};

/// A broker that does not answer the first so many times that somebody joins.
struct Unsteady(Scripted, AtomicUsize);

#[async_trait]
impl Broker for Unsteady {
    fn join(&self, subscription: Subscription) -> Result<Member, Coded> {
        if self.1.fetch_sub(1, Ordering::SeqCst) > 0 {
            return Err(Coded::new(Code::BROKER_UNREACHABLE, "away"));
        }
        self.0.join(subscription)
    }

    fn topics(&self) -> Arc<dyn Topics> {
        self.0.topics()
    }

    async fn publish(&self, outputs: Outputs) -> Result<(), Coded> {
        self.0.publish(outputs).await
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

fn post(failures: usize, stop: watch::Receiver<bool>) -> Post {
    let scripted = Scripted::new(&VirtualClock::new(), Shape::Batch);
    let service = Service::builder("looking").on::<Ping>("look", ignore_ping).build().expect("a sound service");
    for topic in service.input_topics().chain(service.output_topics()) {
        scripted.create(topic, 1);
    }
    Post {
        service: Arc::new(service),
        thread: "looking-0".to_owned(),
        member: "here.0".into(),
        broker: Arc::new(Unsteady(scripted, AtomicUsize::new(failures))),
        clock: Arc::new(WallClock),
        blocking: Arc::new(Threads::new()),
        schemas: None,
        observer: Arc::new(NoObserver),
        heartbeat: Arc::default(),
        stop,
    }
}

fn opened(failures: usize) -> Result<(), Coded> {
    let (_stop, stopped) = watch::channel(false);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime with timers only");
    runtime.block_on(async { open(&post(failures, stopped)).await.map(drop) })
}

#[test]
fn a_broker_that_goes_away_while_the_group_is_joined_is_waited_for() {
    assert_eq!(opened(2), Ok(()));
}

#[test]
fn a_worker_that_waits_for_its_broker_stops_when_it_is_told_to() {
    let (stop, stopped) = watch::channel(false);
    stop.send_replace(true);
    assert_eq!(work(&post(usize::MAX, stopped)), Ok(Left::default()));
}
