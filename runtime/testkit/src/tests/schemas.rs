//! Records that cannot be read without a schema of a registry, and schemas that are registered.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Poll, Waker};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::FutureExt;
use tidemill_core::code::{Code, Coded};
use tidemill_core::codec::{Codec, CodecError, Json};
use tidemill_core::context::Context;
use tidemill_core::event::Event;
use tidemill_core::failure::{ErrorClass, Policies};
use tidemill_core::handler::{Handler, HandlerError};
use tidemill_core::ports::Schemas;
use tidemill_core::publisher::{Publication, Publisher};
use tidemill_core::retry::Retry;
use tidemill_core::service::Service;
use tidemill_core::time::Timestamp;

use super::stage::{GROUP, IN, Stage, encoded, partition};
use super::work::{Task, Work};
use crate::fakes::{Scripted, Seen, Shape, VirtualClock};

const SHAPES: [Shape; 2] = [Shape::Batch, Shape::Unit];
/// What the codec says of its own schema.
const OWN: &str = "own";
/// A schema that the codec does not take.
const ODD: &str = "odd";

/// A task behind the id of a schema.
struct Numbered(Task);

impl Event for Numbered {
    const NAME: &'static str = "test.numbered";
    const VERSION: u32 = 3;
    const TOPIC: &'static str = IN;
    type Codec = Numbering;

    fn key(&self) -> Option<Cow<'_, [u8]>> {
        None
    }
}

/// One byte that names the schema, and JSON.
#[derive(Default)]
struct Numbering {
    known: Mutex<BTreeSet<u32>>,
    own: OnceLock<u32>,
}

impl Codec<Numbered> for Numbering {
    const CONTENT_TYPE: &'static str = "application/x-numbered";

    fn open() -> Result<Self, Coded> {
        Ok(Self::default())
    }

    fn encode(&self, event: &Numbered, into: &mut Vec<u8>) -> Result<(), CodecError> {
        into.push(u8::try_from(self.own.get().copied().unwrap_or_default()).expect("small"));
        into.extend(encoded(&event.0));
        Ok(())
    }

    fn decode(&self, value: &Bytes) -> Result<Numbered, CodecError> {
        match self.missing(value) {
            Some(id) => Err(CodecError(format!("nobody brings schema {id}"))),
            None => Json.decode(&value.slice(1..)).map(Numbered),
        }
    }

    fn schema(&self) -> Option<&str> {
        Some(OWN)
    }

    fn name_schema(&self, id: u32) {
        self.own.set(id).expect("named once");
    }

    fn missing(&self, value: &[u8]) -> Option<u32> {
        let known = self.known.lock().expect("no test panics here");
        Some(u32::from(value[0])).filter(|id| !known.contains(id))
    }

    fn learn(&self, id: u32, schema: &str) -> Result<(), CodecError> {
        if schema == ODD {
            return Err(CodecError(format!("schema {id} does not fit")));
        }
        self.known.lock().expect("no test panics here").insert(id);
        Ok(())
    }
}

#[async_trait(?Send)]
impl Handler<Numbered> for Work {
    async fn handle(&self, numbered: &Numbered, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        self.work(&numbered.0, cx).await
    }
}

#[derive(Default)]
struct Held {
    answers: BTreeMap<u32, Result<Arc<str>, Coded>>,
    asked: Vec<u32>,
    waiting: Vec<Waker>,
}

/// A registry that answers when the test says so.
#[derive(Clone, Default)]
struct Registry(Arc<Mutex<Held>>);

impl Registry {
    fn answer(&self, id: u32, answer: Result<&str, Coded>) {
        let mut held = self.0.lock().expect("no test panics here");
        held.answers.insert(id, answer.map(Arc::from));
        held.waiting.drain(..).for_each(Waker::wake);
    }

    fn asked(&self) -> Vec<u32> {
        self.0.lock().expect("no test panics here").asked.clone()
    }
}

#[async_trait]
impl Schemas for Registry {
    async fn schema(&self, id: u32) -> Result<Arc<str>, Coded> {
        self.0.lock().expect("no test panics here").asked.push(id);
        poll_fn(|cx| {
            let mut held = self.0.lock().expect("no test panics here");
            if let Some(answer) = held.answers.get(&id) {
                return Poll::Ready(answer.clone());
            }
            held.waiting.push(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    async fn id(&self, topic: &str, schema: &str) -> Result<u32, Coded> {
        match (topic, schema) {
            (IN, OWN) => Ok(9),
            _ => Err(Coded::new(Code::SCHEMA_NOT_REGISTERED, format!("nothing is known of {topic}"))),
        }
    }
}

/// A stage whose service takes numbered tasks as well, with its registry.
fn stage(shape: Shape) -> (Stage, Registry) {
    stage_with(shape, Policies::stopping())
}

fn stage_with(shape: Shape, policies: Policies) -> (Stage, Registry) {
    let mut stage = Stage::build(shape, 1, |builder, work| {
        let builder = builder.failures(policies);
        builder.handler("worker", work, |handler| handler.on::<Task>().on::<Numbered>())
    });
    let registry = Registry::default();
    stage.schemas = Some(Arc::new(registry.clone()));
    (stage, registry)
}

/// Appends a numbered task that names this schema.
fn feed(stage: &Stage, key: &str, id: u8, n: u64) {
    let value = [&[id][..], &encoded(&Task { n, ..Task::default() })].concat();
    stage.feed_raw(&partition(0), Some(key), Some(Numbered::NAME), value);
}

fn failures(stage: &Stage) -> usize {
    let failed = |seen: &Seen| matches!(seen, Seen::Retrying { .. } | Seen::UnitEnded { failure: Some(_), .. });
    stage.recorder.count(failed)
}

#[test]
fn a_lane_waits_for_its_schema_and_others_go_on() {
    for shape in SHAPES {
        let (stage, registry) = stage(shape);
        feed(&stage, "a", 7, 0);
        feed(&stage, "a", 7, 1);
        stage.feed(&partition(0), "b", Task { n: 2, ..Task::default() });
        let (mut executor, worker) = stage.run();
        executor.settle();
        assert_eq!(stage.begun(), [2]);
        // No time-out runs, no attempt is spent, and no transaction is held open.
        for _ in 0..10 {
            stage.clock.advance(Duration::from_mins(10));
            executor.settle();
        }
        assert_eq!((stage.begun().len(), failures(&stage), stage.broker.open_transactions()), (1, 0, 0));
        registry.answer(7, Ok("seven"));
        stage.finish(&mut executor, worker);
        assert_eq!((stage.begun(), registry.asked()), (vec![2, 0, 1], vec![7]), "{shape:?}");
    }
}

/// How a worker ends that meets one record of schema 7.
fn end(stage: &Stage) -> Coded {
    feed(stage, "a", 7, 0);
    let (mut executor, worker) = stage.run();
    executor.run_to_end(worker).expect("nothing stalls");
    assert_eq!(stage.begun(), [0; 0]);
    executor.result(worker).expect("it ended").clone().expect_err("it cannot be read")
}

#[test]
fn a_schema_that_is_not_there_or_does_not_fit_makes_the_record_undecodable() {
    for shape in SHAPES {
        let (stage_, registry) = stage(shape);
        registry.answer(7, Err(Coded::new(Code::SCHEMA_NOT_REGISTERED, "there is no schema 7")));
        let message = "tasks-0@0 cannot be read as test.numbered: there is no schema 7";
        assert_eq!(end(&stage_), Coded::new(Code::UNDECODABLE, message));
        let (stage_, registry) = stage(shape);
        registry.answer(7, Ok(ODD));
        let message = "tasks-0@0 cannot be read as test.numbered: schema 7 does not fit";
        assert_eq!(end(&stage_), Coded::new(Code::UNDECODABLE, message));
        let (mut stage, _) = stage(shape);
        stage.schemas = None;
        let message = "tasks-0@0 cannot be read as test.numbered: nobody brings schema 7";
        assert_eq!(end(&stage), Coded::new(Code::UNDECODABLE, message));
    }
}

#[test]
fn a_schema_is_asked_for_at_each_attempt_and_no_more_often() {
    for (shape, comes) in SHAPES.into_iter().flat_map(|shape| [(shape, false), (shape, true)]) {
        let mut policies = Policies::stopping();
        let delay = Duration::from_secs(10);
        policies.of_mut(ErrorClass::Undecodable).retry =
            Retry { attempts: 3, first_delay: delay, longest_delay: delay };
        let (stage, registry) = stage_with(shape, policies);
        registry.answer(7, Err(Coded::new(Code::SCHEMA_NOT_REGISTERED, "there is no schema 7")));
        feed(&stage, "a", 7, 0);
        let (mut executor, worker) = stage.run();
        executor.run_until(|_| registry.asked().len() == 2).expect("it is tried again");
        if comes {
            registry.answer(7, Ok("seven"));
            executor.run_until(|_| stage.behind() == 0).expect("it can be read");
            stage.finish(&mut executor, worker);
            assert_eq!((stage.begun(), registry.asked()), (vec![0], vec![7; 3]), "{shape:?}");
        } else {
            executor.run_to_end(worker).expect("it gives up");
            let error = executor.result(worker).expect("it ended").clone().expect_err("it cannot be read");
            assert_eq!((error.code, registry.asked()), (Code::UNDECODABLE, vec![7; 3]), "{shape:?}");
        }
    }
}

#[test]
fn a_wait_for_a_schema_is_interrupted_when_the_shard_moves() {
    for shape in SHAPES {
        let (stage, registry) = stage(shape);
        let stage = stage.by_hand();
        feed(&stage, "a", 7, 0);
        let (mut executor, worker) = stage.run();
        executor.settle();
        stage.broker.assign(GROUP, "a", &[partition(0)]);
        executor.settle();
        assert_eq!(registry.asked(), [7]);
        stage.broker.revoke(GROUP, "a", &[partition(0)]);
        executor.run_until(|_| stage.broker.owner(GROUP, &partition(0)).is_none()).expect("nothing stalls");
        let interrupted = |seen: &Seen| matches!(seen, Seen::ShardEnded { interrupted: 1, .. });
        assert_eq!((stage.recorder.count(interrupted), failures(&stage), stage.behind()), (1, 0, 1));
        stage.broker.assign(GROUP, "a", &[partition(0)]);
        executor.settle();
        registry.answer(7, Ok("seven"));
        stage.finish(&mut executor, worker);
        assert_eq!(stage.begun(), [0]);
    }
}

#[test]
fn a_worker_that_waits_for_a_schema_can_be_stopped() {
    let (stage, _) = stage(Shape::Batch);
    feed(&stage, "a", 7, 0);
    let (mut executor, worker) = stage.run();
    executor.settle();
    stage.switch.stop();
    executor.run_to_end(worker).expect("nothing stalls");
    let left = executor.result(worker).expect("it ended").as_ref().expect("it is no failure");
    assert_eq!((left.interrupted, stage.behind()), (1, 1));
}

#[test]
fn what_a_publisher_writes_names_its_registered_schema() {
    let broker = Scripted::new(&VirtualClock::new(), Shape::Batch);
    broker.create(IN, 1);
    let publish = |mut publisher: Publisher| {
        publisher.declare::<Numbered>().now_or_never().expect("nobody waits").expect("it is registered");
        let event = &Numbered(Task::default());
        publisher.publish(Publication { event, id: "1", time: Timestamp::default() }).expect("it can be written");
        publisher.flush().now_or_never().expect("nobody waits").expect("it is taken");
    };
    let publisher = || Publisher::new(Arc::new(broker.clone()), "/test");
    publish(publisher());
    publish(publisher().with_schemas(Arc::new(Registry::default())));
    let ids: Vec<u8> = broker.records(IN)[0].iter().map(|record| record.value.as_ref().expect("an event")[0]).collect();
    assert_eq!(ids, [0, 9]);
}

/// A registry that holds nothing.
struct Nothing;
#[async_trait]
impl Schemas for Nothing {
    async fn schema(&self, _id: u32) -> Result<Arc<str>, Coded> {
        unreachable!("nothing is read")
    }

    async fn id(&self, topic: &str, schema: &str) -> Result<u32, Coded> {
        Err(Coded::new(Code::SCHEMA_NOT_REGISTERED, format!("{topic} has no {schema}")))
    }
}

#[test]
fn a_service_finds_the_ids_of_what_it_emits() {
    let build = |topic: &str| {
        let work = Work { clock: VirtualClock::new(), notes: Arc::default(), away: Arc::default() };
        let service = Service::builder("numbers").on::<Task>("worker", work).emits_to(topic).emits::<Numbered>();
        service.build().expect("sound")
    };
    let (service, registry) = (build("elsewhere"), Registry::default());
    service.find_schema_ids(&registry).now_or_never().expect("nobody waits").expect("it is registered");
    let refused = build("elsewhere").find_schema_ids(&Nothing).now_or_never().expect("nobody waits");
    let message = "event test.numbered version 3: tasks has no own";
    assert_eq!(refused, Err(Coded::new(Code::SCHEMA_NOT_REGISTERED, message)));
}
