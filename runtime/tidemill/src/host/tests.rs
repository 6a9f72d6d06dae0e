use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tidemill_core::code::{Code, Coded, Exit};
use tidemill_core::failure::Policies;
use tidemill_core::ports::{Observer, UnitEnded};
use tidemill_core::publisher::Publication;
use tidemill_core::retry::Retry;
use tidemill_core::time::Timestamp;

use super::{Host, Until};
use crate::config::Configuration;
use crate::prelude::*;
use crate::query::Query;

/// A ball goes over.
#[derive(Debug, Serialize, Deserialize, Event)]
#[event(name = "demo.ping", version = 1, topic = "pings", key = key)]
pub(crate) struct Ping {
    pub(crate) key: String,
    pub(crate) left: u32,
}

/// A ball comes back.
#[derive(Debug, Serialize, Deserialize, Event)]
#[event(name = "demo.pong", version = 1, topic = "pongs", key = key)]
pub(super) struct Pong {
    key: String,
    left: u32,
}

pub(super) async fn ignore_ping(_ping: &Ping, _cx: &mut Context<'_>) -> Result<(), HandlerError> {
    Ok(())
}

pub(super) async fn ignore_pong(_pong: &Pong, _cx: &mut Context<'_>) -> Result<(), HandlerError> {
    Ok(())
}

pub(crate) const SEEN: Cell<u32> = Cell::named("seen");

async fn count(cx: &mut Context<'_>) -> Result<(), HandlerError> {
    let seen = cx.get(SEEN).await?.unwrap_or(0);
    cx.set(SEEN, seen + 1);
    Ok(())
}

async fn send_back(ping: &Ping, cx: &mut Context<'_>) -> Result<(), HandlerError> {
    count(cx).await?;
    if ping.left > 0 {
        cx.emit(Pong { key: ping.key.clone(), left: ping.left - 1 });
    }
    Ok(())
}

async fn return_it(pong: &Pong, cx: &mut Context<'_>) -> Result<(), HandlerError> {
    // Some units wait, so that commits and lags meet them half way.
    if pong.left.is_multiple_of(3) {
        cx.blocking(|| ()).await?;
    }
    count(cx).await?;
    if pong.left > 0 {
        cx.emit(Ping { key: pong.key.clone(), left: pong.left - 1 });
    }
    Ok(())
}

fn player() -> ServiceBuilder {
    Service::builder("player").on::<Ping>("balls", send_back).emits::<Pong>()
}

fn partner() -> ServiceBuilder {
    Service::builder("partner").on::<Pong>("balls", return_it).emits::<Ping>()
}

fn counter() -> ServiceBuilder {
    Service::builder("counter").on::<Ping>("balls", async |_: &Ping, cx: &mut Context<'_>| count(cx).await)
}

/// Fails for the key `bad`.
fn picky() -> ServiceBuilder {
    let pick = async |ping: &Ping, cx: &mut Context<'_>| match ping.key.as_str() {
        "bad" => Err(HandlerError::permanent("a bad key")),
        _ => count(cx).await,
    };
    Service::builder("picky").on::<Ping>("balls", pick).failures(Policies::stopping().with_retry(&Retry::never()))
}

pub(crate) fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}

pub(crate) fn host(settings: &[(&str, &str)], services: impl IntoIterator<Item = ServiceBuilder>) -> Host {
    let with = |configuration: Configuration, (key, value): &(&str, &str)| configuration.with(key, value);
    let configuration = settings.iter().try_fold(Configuration::default(), with).expect("right settings");
    let mut host = Host::open(configuration).expect("a broker");
    services.into_iter().try_for_each(|service| host.add(service)).expect("services with names of their own");
    host
}

/// Publishes one ball for each key.
pub(crate) async fn serve(host: &Host, keys: impl IntoIterator<Item = String>, left: u32) {
    host.create_topics(host.topics()).await.expect("topics");
    let mut publisher = host.publisher("/test");
    publisher.declare::<Ping>().await.expect("the topic is there");
    for key in keys {
        let (id, event) = (format!("{key}/{left}"), Ping { key, left });
        let publication = Publication { event: &event, id: &id, time: Timestamp::from_millis(0) };
        publisher.publish(publication).expect("a plain event");
    }
    publisher.flush().await.expect("memory takes it");
}

async fn seen(host: &Host, service: &str) -> u32 {
    let mut sum = 0;
    let query = Query::new(Arc::clone(host.broker()), service);
    query.cells("balls", SEEN, |_, seen| sum += seen).await.expect("numbers");
    sum
}

fn keys(prefix: &str, number: usize) -> impl Iterator<Item = String> {
    (0..number).map(move |key| format!("{prefix}{key}"))
}

#[test]
fn drained_means_that_everything_is_done_also_where_services_feed_each_other() {
    for services in [vec![player(), partner()], vec![partner(), player()]] {
        run(async {
            let host = host(&[("services.player.workers", "2"), ("limits.commit_linger", "0ms")], services);
            let mut running = host.start().await.expect("everything is there");
            for round in 1..=5 {
                serve(&host, keys("key", 20), 30 + round).await;
                running.drained().await.expect("nothing fails");
                let expected: u32 = (1..=round).map(|round| 20 * (31 + round)).sum();
                assert_eq!(seen(&host, "player").await + seen(&host, "partner").await, expected, "round {round}");
            }
            let left = running.stop().await.expect("nothing fails");
            assert_eq!((left.interrupted, left.uncommitted), (0, 0));
        });
    }
}

#[test]
fn a_service_that_fails_leaves_the_others_to_finish() {
    for until in [Until::Drained, Until::Stopped] {
        run(async {
            let host = host(&[], [picky(), counter()]);
            let feed = async {
                serve(&host, keys("good", 500).chain(["bad".into()]), 0).await;
                // Enough for the other to be at work for a while after the failure.
                for round in 1..=100 {
                    serve(&host, keys("more", 200), round).await;
                }
                Ok(())
            };
            let error = host.run_with(feed, until).await.expect_err("one key is bad");
            assert_eq!(error.code, Code::HANDLER_FAILED);
            assert!(error.message.contains("a bad key"), "{error}");
            assert_eq!(seen(&host, "counter").await, 20_501);
        });
    }
}

#[test]
fn a_feed_that_fails_ends_the_run_with_its_error() {
    run(async {
        let host = host(&[], [counter()]);
        let feed = async { Err(Coded::new(Code::UNREADABLE_INPUT, "the input ends in the middle")) };
        let error = host.run_with(feed, Until::Drained).await.expect_err("the feed fails");
        assert_eq!(error.code, Code::UNREADABLE_INPUT);
    });
}

#[test]
fn the_others_go_on_while_one_has_failed_and_the_error_stays() {
    run(async {
        let host = host(&[], [picky(), counter()]);
        serve(&host, ["bad".into()], 0).await;
        let mut running = host.start().await.expect("everything is there");
        assert_eq!(running.failed().await.code, Code::HANDLER_FAILED);
        serve(&host, keys("late", 100), 0).await;
        while seen(&host, "counter").await < 101 {
            host.clock.sleep(Duration::from_millis(2)).await;
        }
        assert_eq!(running.drained().await.expect_err("one failed").code, Code::HANDLER_FAILED);
        assert_eq!(running.stop().await.expect_err("one failed").code, Code::HANDLER_FAILED);
    });
}

#[test]
fn an_observer_that_panics_ends_its_worker_with_a_code() {
    struct Clumsy;
    impl Observer for Clumsy {
        fn shard_started(&self, shard: u32) {
            panic!("dropped shard {shard}");
        }
    }
    run(async {
        let mut host = host(&[("topics.partitions", "1")], [counter()]);
        host.observe(Arc::new(Clumsy));
        let running = host.start().await.expect("everything is there");
        let error = { running }.failed().await;
        assert_eq!(error.code, Code::WORKER_PANICKED);
        assert!(error.message.contains("counter-0") && error.message.contains("dropped shard 0"), "{error}");
    });
}

#[test]
fn all_observers_see_failures_and_those_who_ask_see_units() {
    struct Watching(bool, Arc<AtomicUsize>, Arc<AtomicUsize>);
    impl Observer for Watching {
        fn wants_units(&self) -> bool {
            self.0
        }
        fn unit_ended(&self, unit: &UnitEnded<'_>) {
            let counter = if unit.failure.is_some() { &self.2 } else { &self.1 };
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }
    run(async {
        let (asking, silent) =
            (Watching(true, Arc::default(), Arc::default()), Watching(false, Arc::default(), Arc::default()));
        let counters = [&asking.1, &asking.2, &silent.1, &silent.2].map(Arc::clone);
        let mut host = host(&[("topics.partitions", "1")], [picky()]);
        host.observe(Arc::new(asking));
        host.observe(Arc::new(silent));
        serve(&host, ["good".into(), "bad".into()], 0).await;
        host.run(Until::Stopped).await.expect_err("one key is bad");
        assert_eq!(counters.map(|counter| counter.load(Ordering::Relaxed)), [1, 1, 0, 1]);
    });
}

#[test]
fn a_handler_that_blocks_its_thread_is_named_and_one_that_waits_is_not() {
    run(async {
        let (blocked, named) = sync_channel::<Coded>(8);
        let (release, released) = sync_channel::<()>(8);
        let released = Arc::new(Mutex::new(released));
        let waiting = async |_: &Pong, cx: &mut Context<'_>| {
            let wait = || sync_channel::<()>(0).1.recv_timeout(Duration::from_millis(400));
            cx.blocking(wait).await.map(|_| ())
        };
        let blocking = async move |_: &Ping, cx: &mut Context<'_>| {
            let released = Arc::clone(&released);
            released.lock().expect("only this handler has it").recv().expect("the watchdog answers");
            cx.emit(Pong { key: "key".into(), left: 0 });
            Ok(())
        };
        let services = [
            Service::builder("blocker").on::<Ping>("block", blocking).emits::<Pong>(),
            Service::builder("waiter").on::<Pong>("wait", waiting),
        ];
        let mut host = host(&[("watchdog", "100ms")], services);
        host.on_block = Arc::new(move |error| {
            blocked.send(error.clone()).expect("the test counts them");
            release.send(()).expect("the handler waits");
        });
        serve(&host, ["key".into()], 0).await;
        let mut running = host.start().await.expect("everything is there");
        running.drained().await.expect("nothing fails");
        running.stop().await.expect("nothing fails");
        let named: Vec<Coded> = named.try_iter().collect();
        assert_eq!(named.len(), 1, "{named:?}");
        assert_eq!(named[0].code, Code::HANDLER_BLOCKS);
        assert!(named[0].message.contains("handler block of service blocker"), "{}", named[0]);
    });
}

#[test]
fn a_missing_topic_names_the_command_that_creates_it() {
    run(async {
        let folder = tempfile::tempdir().expect("a place for a log");
        let address = format!("embedded:{}", folder.path().join("log").display());
        let host = host(&[("broker", &address), ("topics.partitions", "2")], [player()]);
        let error = host.start().await.err().expect("nobody created them");
        assert_eq!(error.code, Code::TOPIC_MISSING);
        assert!(error.message.contains(&format!("player topics create --broker {address}")), "{error}");
        // What it reads, what it writes, and its own: dead letters, commands, operations, the journal.
        assert_eq!(host.create_topics(host.topics()).await.expect("a new log").len(), 6);
        assert_eq!(host.create_topics(host.topics()).await.expect("they are there").len(), 0);
        serve(&host, keys("key", 10), 0).await;
        assert_eq!(host.run(Until::Drained).await, Ok(Exit::Done));
        assert_eq!(seen(&host, "player").await, 10);
    });
}

#[test]
fn a_broker_has_an_address_of_a_known_scheme() {
    let cases = [
        ("embedded:", "names no directory"),
        ("kafka://k", "HOST:PORT"),
        ("memory", "memory:, embedded:DIR, kafka://HOST:PORT or"),
    ];
    for (address, part) in cases {
        let configuration = Configuration::default().with("broker", address).expect("text");
        let error = Host::open(configuration).err().expect("no broker");
        assert_eq!(error.code, Code::UNKNOWN_BROKER);
        assert!(error.message.contains(part) && error.message.contains(address), "{error}");
    }
}

#[test]
fn an_instance_keeps_its_name_with_its_state() {
    let folder = tempfile::tempdir().expect("a place for state");
    let path = folder.path().join("state").display().to_string();
    let kafka = || Configuration::default().with("broker", "kafka://localhost:9092").expect("an address");
    let instance =
        |configuration: &Configuration, group| super::broker::instance(configuration, group).expect("a name");
    let kept = kafka().with("state_dir", &path).expect("a path");
    assert_eq!(instance(&kept, "orders"), instance(&kept, "orders"));
    assert_ne!(instance(&kept, "orders"), instance(&kept, "sales"), "each group has its folder, and its lock");
    assert_ne!(instance(&kafka(), "orders"), instance(&kafka(), "orders"), "nobody keeps it");
    let chosen = kept.with("instance", "one").expect("a name");
    assert_eq!(instance(&chosen, "orders"), "one");
    assert_eq!(instance(&Configuration::default(), "orders"), "local");
}

#[test]
fn a_host_takes_configured_limits_and_each_name_once() {
    let mut host = host(&[("services.counter.limits.in_flight", "5")], [counter(), player()]);
    let limits = host.services().iter().map(|service| service.limits().in_flight);
    assert_eq!(limits.collect::<Vec<_>>(), [5, 1_000]);
    assert_eq!(host.add(counter()).expect_err("it is there").code, Code::BAD_SERVICE);
}
