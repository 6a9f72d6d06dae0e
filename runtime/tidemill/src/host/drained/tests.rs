use std::cell::Cell;
use std::ops::RangeBounds;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures_util::FutureExt;
use tidemill_core::code::Coded;
use tidemill_core::outputs::Outputs;
use tidemill_core::parking::Parked;
use tidemill_core::ports::{Broker, Entry, KeyRange, Lag, Member, Subscription, TopicInfo, Topics};
use tidemill_core::record::{RecordBatch, TopicPartition};
use tidemill_core::service::Service;
use tidemill_core::state::{encode, map_suffix, state_key};
use tidemill_core::time::Timestamp;
use tidemill_core::timers::Timer;

use super::{Told, at_one_moment};
use crate::host::tests::{Ping, Pong, ignore_ping, ignore_pong};

/// When it is looked at.
const NOW: Timestamp = Timestamp::from_millis(1_000);
/// Every shard runs here, and nothing is parked.
const RUNNING: Told = Told { running: 1, waiting: 0 };

/// A broker with one topic `pings` that `pinged` reads and `pongs` that `ponged` reads. While the second group is asked for
/// its lag, it answers the last of its records with one for the first, `answers` times.
#[derive(Clone)]
struct Feeding {
    pings: Arc<AtomicU64>,
    done: Arc<AtomicU64>,
    answers: Arc<AtomicU64>,
    /// The state of each service.
    entries: Vec<Entry>,
}

#[async_trait]
impl Broker for Feeding {
    fn join(&self, _subscription: Subscription) -> Result<Member, Coded> {
        unreachable!("nobody runs here")
    }

    fn topics(&self) -> Arc<dyn Topics> {
        Arc::new(self.clone())
    }

    async fn publish(&self, _outputs: Outputs) -> Result<(), Coded> {
        unreachable!("nobody publishes here")
    }

    async fn lag(&self, group: &str, topics: &[Arc<str>]) -> Result<Vec<Lag>, Coded> {
        let mut records = 0;
        if group == "pinged" {
            records = self.pings.load(Ordering::Relaxed) - self.done.load(Ordering::Relaxed);
        } else if self.answers.load(Ordering::Relaxed) > 0 {
            self.answers.fetch_sub(1, Ordering::Relaxed);
            self.pings.fetch_add(1, Ordering::Relaxed);
        }
        Ok(vec![Lag { partition: TopicPartition::new(Arc::clone(&topics[0]), 0), records }])
    }

    async fn shards(&self, _group: &str) -> Result<u32, Coded> {
        Ok(1)
    }

    async fn state(&self, _group: &str, _shard: u32, range: &KeyRange, limit: usize) -> Result<Vec<Entry>, Coded> {
        let range = (range.start.clone(), range.end.clone());
        Ok(self.entries.iter().filter(|(key, _)| range.contains(key)).take(limit).cloned().collect())
    }
}

#[async_trait]
impl Topics for Feeding {
    async fn describe(&self, topic: &str) -> Result<Option<TopicInfo>, Coded> {
        Ok(Some(TopicInfo { partitions: 1, id: topic.into() }))
    }

    async fn create(&self, _topic: &str, _partitions: u32) -> Result<(), Coded> {
        Ok(())
    }

    async fn offsets(&self, partition: &TopicPartition) -> Result<(u64, u64), Coded> {
        Ok((0, if &*partition.topic == "pings" { self.pings.load(Ordering::Relaxed) } else { 3 }))
    }

    async fn records(&self, _partition: &TopicPartition, _from: u64, _limit: usize) -> Result<RecordBatch, Coded> {
        unreachable!("nobody reads here")
    }

    async fn offset_at(&self, _partition: &TopicPartition, _at: Timestamp) -> Result<Option<u64>, Coded> {
        Ok(None)
    }
}

#[test]
fn a_service_that_is_fed_while_another_is_looked_at_is_not_done() {
    fed_while_looked_at().now_or_never().expect("nothing here waits");
}

async fn fed_while_looked_at() {
    let first = Service::builder("pinged").on::<Ping>("h", ignore_ping).build().expect("a service");
    let second = Service::builder("ponged").on::<Pong>("h", ignore_pong).build().expect("a service");
    let services = [Arc::new(first), Arc::new(second)];
    let broker = Feeding {
        pings: Arc::default(),
        done: Arc::default(),
        answers: Arc::new(AtomicU64::new(1)),
        entries: Vec::new(),
    };
    // Both lags are zero when they are asked for, and yet there never was a moment at which both were.
    assert_eq!(at_one_moment(&broker, &services, &|_| RUNNING, NOW).await, Ok(false));
    assert_eq!(at_one_moment(&broker, &services, &|_| RUNNING, NOW).await, Ok(false), "one record waits");
    broker.done.fetch_add(1, Ordering::Relaxed);
    assert_eq!(at_one_moment(&broker, &services, &|_| RUNNING, NOW).await, Ok(true));
}

/// A parked record as it lies in state.
fn parked(lane: &str, number: u64, waits: &serde_json::Value) -> Entry {
    let record: Parked = serde_json::from_value(serde_json::json!({
        "handler": "h", "topic": "pings", "partition": 0, "offset": number, "timestamp": 0,
        "key": null, "value": null, "headers": [], "own_id": "", "since": 0, "waits": waits, "past": null,
    }))
    .expect("a parked record");
    let place = [&map_suffix("parked")[..], &number.to_be_bytes()].concat();
    (state_key("", lane.as_bytes(), &place), encode(&record).expect("plain parts").into())
}

/// A timer as it lies in state.
fn timer(due: u64) -> Entry {
    let timer: Timer = serde_json::from_value(serde_json::json!({
        "handler": "h", "key": [], "name": "", "headers": [], "value": [],
    }))
    .expect("a timer");
    // Signed numbers sort as their bytes do.
    let place = [&map_suffix("due")[..], &(due ^ 1 << 63).to_be_bytes(), &[0; 24]].concat();
    (state_key("~timers", b"", &place), encode(&timer).expect("plain parts").into())
}

#[test]
fn of_a_shard_that_does_not_run_here_what_stands_first_tells() {
    let held = serde_json::json!({"Held": {"letter": ""}});
    let (until, behind) = (serde_json::json!({"Until": 5}), serde_json::json!("Behind"));
    let kept = [parked("a", 1, &held), parked("a", 2, &behind), parked("b", 3, &held)];
    let is_done = |told: Told, more: Option<Entry>| {
        let service = Service::builder("pinged").on::<Ping>("h", ignore_ping).build().expect("a service");
        let (pings, done, answers) = Default::default();
        let broker = Feeding { pings, done, answers, entries: kept.iter().cloned().chain(more).collect() };
        let told = Cell::new(Some(told));
        let told = |_: &str| told.take().expect("it is asked once");
        let done = at_one_moment(&broker, &[Arc::new(service)], &told, NOW).now_or_never();
        done.expect("nothing here waits").expect("the broker answers")
    };
    let nowhere = || Told::default();
    assert!(is_done(nowhere(), None), "all wait for an operator, or behind one that does");
    assert!(!is_done(nowhere(), Some(parked("c", 4, &until))));
    assert!(!is_done(nowhere(), Some(parked("c", 4, &behind))), "the one before it is gone");
    assert!(is_done(RUNNING, Some(parked("c", 4, &behind))), "the worker knows better");
    assert!(!is_done(Told { waiting: 1, ..RUNNING }, None));
    assert!(is_done(nowhere(), Some(timer(1_001))), "it is due later");
    assert!(!is_done(nowhere(), Some(timer(1_000))), "it is due");
}
