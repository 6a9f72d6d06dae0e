//! Copies of events at other positions.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidemill_core::code::Code;
use tidemill_core::codec::Json;
use tidemill_core::context::Context;
use tidemill_core::event::Event;
use tidemill_core::failure::Policies;
use tidemill_core::handler::HandlerError;
use tidemill_core::headers::{self, Headers};
use tidemill_core::inbox::{self, copies_range};
use tidemill_core::internal::Wish;
use tidemill_core::letters::Letter;
use tidemill_core::limits::Limits;
use tidemill_core::ports::{Clock, Disposition, Random};
use tidemill_core::record::Record;
use tidemill_core::service::{HandlerBuilder, Service};

use super::stage::{GROUP, IN, Stage, command, encoded, letters, limits, partition};
use super::work::{COUNT, HISTORY, How, Outcome, Task};
use crate::fakes::{Executor, Plan, Ruling, Seeded, Seen, Shape, Switch};

const SHAPES: [Shape; 2] = [Shape::Batch, Shape::Unit];
const HOUR: Duration = Duration::from_hours(1);
const ID: &str = "id-1";

/// Appends a task whose headers name its event.
fn feed(stage: &Stage, key: Option<&str>, id: &str, task: Task) -> u64 {
    let headers = [(headers::TYPE, Task::NAME), (headers::SOURCE, "/test"), (headers::ID, id)];
    let record = Record {
        offset: 0,
        timestamp: stage.clock.now(),
        key: key.map(|key| key.to_owned().into()),
        value: Some(encoded(&task).into()),
        headers: Headers::from_pairs(headers.map(|(name, value)| (name, Some(value.as_bytes())))),
    };
    stage.broker.append(&partition(0), record)
}

fn task(n: u64) -> Task {
    Task { n, emits: 1, ..Task::default() }
}

fn copies(stage: &Stage) -> usize {
    stage.recorder.count(|seen| matches!(seen, Seen::UnitEnded { disposition: Disposition::Copy, .. }))
}

/// How many copies there were, as it is durable.
fn suppressed(stage: &Stage) -> u64 {
    let entries = stage.broker.states(GROUP, 0).into_iter().filter(|(key, _)| copies_range().contains(key));
    entries.map(|entry| inbox::copies(&entry).expect("written by the same build").1).sum()
}

/// Whatever happened so far: what is done and had no effects is counted as a copy.
fn audit(stage: &Stage, keys: &[&str], time: &str) {
    let Some(progress) = stage.broker.progress(GROUP, &partition(0)) else { return };
    let fed = stage.broker.records(IN).swap_remove(0);
    let done = fed.iter().filter(|record| progress.is_done(record.offset)).count() as u64;
    let had_effects: u64 = keys.iter().filter_map(|key| stage.cell(key, COUNT)).sum();
    assert_eq!(suppressed(stage), done - had_effects, "{time}: {done} are done, {had_effects} had effects");
}

/// Runs a worker until everything is done, and stops it.
fn run(stage: &mut Stage) {
    stage.switch = Switch::default();
    let (mut executor, worker) = stage.run();
    drain(stage, &mut executor, worker);
    stage.switch.stop();
    executor.run_to_end(worker).expect("nothing stalls");
}

fn drain(stage: &Stage, executor: &mut Executor<'static, super::stage::Ended>, worker: usize) {
    executor.run_until(|executor| stage.behind() == 0 || !executor.is_running(worker)).expect("nothing stalls");
    assert_eq!(stage.behind(), 0, "{:?}", executor.result(worker));
}

#[test]
fn a_copy_has_no_effects_also_after_a_restart() {
    for shape in SHAPES {
        let mut stage = Stage::new(shape, 1);
        feed(&stage, Some("a"), ID, task(1));
        feed(&stage, Some("a"), ID, task(1));
        feed(&stage, Some("a"), "id-2", task(2));
        run(&mut stage);
        feed(&stage, Some("a"), ID, task(1));
        run(&mut stage);
        assert_eq!((stage.cell("a", HISTORY), copies(&stage)), (Some(vec![1, 2]), 2), "{shape:?}");
        assert_eq!((stage.results()["a"].len(), suppressed(&stage)), (2, 2));
    }
}

#[test]
fn who_does_without_takes_copies_for_events() {
    for shape in SHAPES {
        let mut stage = Stage::with(shape, 1, limits(), HandlerBuilder::without_inbox);
        feed(&stage, Some("a"), ID, task(1));
        feed(&stage, Some("a"), ID, task(1));
        run(&mut stage);
        assert_eq!((stage.cell("a", COUNT), copies(&stage), suppressed(&stage)), (Some(2), 0, 0), "{shape:?}");
    }
}

#[test]
fn of_copies_under_way_at_once_one_has_effects() {
    for shape in SHAPES {
        let mut stage = Stage::new(shape, 1);
        for key in ["a", "b", "c", "d"] {
            feed(&stage, Some(key), ID, Task { wait: 5, ..task(1) });
        }
        run(&mut stage);
        let counts = ["a", "b", "c", "d"].map(|key| stage.cell(key, COUNT));
        let results: usize = stage.results().values().map(Vec::len).sum();
        assert_eq!((results, copies(&stage), suppressed(&stage)), (1, 3, 3), "{shape:?} {counts:?}");
        assert_eq!(counts.iter().flatten().sum::<u64>(), 1);
    }
}

#[test]
fn a_copy_waits_for_what_becomes_of_its_event() {
    for shape in SHAPES {
        let mut stage = Stage::build(shape, 1, |builder, work| {
            builder.handler("worker", work, |handler| handler.on::<Task>().failures(Policies::default()))
        });
        feed(&stage, Some("a"), ID, Task { fails: 6, ..task(1) });
        feed(&stage, Some("a"), ID, task(1));
        run(&mut stage);
        let (mut executor, worker) = {
            stage.switch = Switch::default();
            stage.run()
        };
        let is_done = || copies(&stage) == 1 && stage.cell("a", COUNT) == Some(1);
        executor.run_until(|_| is_done()).expect("it is tried again");
        assert_eq!(stage.results()["a"].len(), 1, "{shape:?}");
        stage.switch.stop();
        executor.run_to_end(worker).expect("nothing stalls");
        assert_eq!(suppressed(&stage), 1, "{shape:?}: it was parked, and is counted once");
    }
}

#[test]
fn what_was_redriven_is_known() {
    for shape in SHAPES {
        let mut stage = Stage::build(shape, 1, |builder, work| {
            let failures = Policies::default();
            builder.handler("worker", work, |handler| handler.on::<Task>().failures(failures))
        });
        feed(&stage, Some("a"), ID, Task { fails: u32::MAX, how: How::Permanent, ..task(1) });
        run(&mut stage);
        let letter = letters(&stage).remove(0);
        let wish = Wish::Redrive { letter: letter.id.clone(), round: letter.round };
        let mended = Record { value: Some(encoded(&task(1)).into()), ..letter.record.clone() };
        let target = Letter { record: mended, ..letter }.target();
        command(&stage, 0, "redrive", wish, target);
        run(&mut stage);
        feed(&stage, Some("a"), ID, task(1));
        run(&mut stage);
        assert_eq!((stage.cell("a", COUNT), copies(&stage), suppressed(&stage)), (Some(1), 1, 1), "{shape:?}");
    }
}

/// Bounds so small that a bucket is closed soon.
fn small() -> Limits {
    Limits { inbox_memory: 1, ..limits() }
}

#[test]
fn ids_are_known_in_pages_too_and_after_a_restart() {
    // One page, and some.
    const IDS: u64 = 3_000;
    for shape in SHAPES {
        let mut stage = Stage::with(shape, 1, Limits { inbox_memory: 200_000, ..limits() }, |handler| handler);
        for n in 0..IDS {
            feed(&stage, Some("a"), &format!("id-{n}"), Task { n, ..Task::default() });
        }
        run(&mut stage);
        for n in (0..IDS).step_by(7) {
            feed(&stage, Some("a"), &format!("id-{n}"), Task { n, ..Task::default() });
        }
        run(&mut stage);
        assert_eq!((stage.cell("a", COUNT), copies(&stage)), (Some(IDS), (0..IDS).step_by(7).count()), "{shape:?}");
        let entries = stage.broker.states(GROUP, 0).len() as u64;
        assert!(entries < IDS, "{entries} entries in state: the ids are in pages");
    }
}

#[test]
fn where_there_is_no_room_the_oldest_ids_go() {
    let mut stage = Stage::with(Shape::Batch, 1, small(), |handler| handler);
    for n in 0..5_000 {
        feed(&stage, Some("a"), &format!("id-{n}"), Task { n, ..Task::default() });
    }
    run(&mut stage);
    feed(&stage, Some("a"), "id-0", Task { n: 0, ..Task::default() });
    run(&mut stage);
    assert!(stage.recorder.count(|seen| matches!(seen, Seen::InboxForgot { .. })) > 0);
    assert_eq!(stage.cell("a", COUNT), Some(5_001), "its copy is not known any more");
}

#[test]
fn ids_are_kept_for_as_long_as_the_service_runs() {
    for shape in SHAPES {
        let mut stage = Stage::with(shape, 1, Limits { inbox_retention: 2 * HOUR, ..limits() }, |handler| handler);
        let again = |stage: &mut Stage| {
            feed(stage, Some("a"), ID, task(1));
            run(stage);
            stage.cell("a", COUNT)
        };
        assert_eq!(again(&mut stage), Some(1));
        stage.clock.advance(100 * HOUR);
        assert_eq!(again(&mut stage), Some(1), "it did not run");
        // It runs, and takes a record every minute.
        stage.switch = Switch::default();
        let (mut executor, worker) = stage.run();
        for minute in 0..180 {
            feed(&stage, Some("b"), &format!("minute-{minute}"), task(minute));
            executor.settle();
            stage.clock.advance(Duration::from_mins(1));
        }
        drain(&stage, &mut executor, worker);
        stage.switch.stop();
        executor.run_to_end(worker).expect("nothing stalls");
        assert_eq!(again(&mut stage), Some(2), "{shape:?}: it ran for three hours");
    }
}

async fn look(_: &Task, _: &mut Context<'_>) -> Result<(), HandlerError> {
    Ok(())
}

#[test]
fn ids_that_are_kept_for_less_than_a_record_is_tried_are_refused() {
    let stage = |retention| {
        let limits = Limits { inbox_retention: retention, ..limits() };
        Service::builder("short").limits(limits).on::<Task>("look", look).build()
    };
    let error = stage(Duration::from_mins(30)).err().expect("an hour and more is tried");
    assert!(error.code == Code::BAD_SERVICE && error.message.contains("inbox.retention"), "{error}");
    assert!(stage(Duration::ZERO).is_ok() && stage(2 * HOUR).is_ok());
}

/// Copies of several keys at once, first beside their event and then behind it; and how their commits go, in turn.
fn crowd(shape: Shape) -> Stage {
    let stage = Stage::new(shape, 1);
    for round in 0..3 {
        for key in KEYS {
            feed(&stage, Some(key), &format!("id-{}", round / 2), Task { wait: 3, ..task(round) });
        }
    }
    stage
}

const KEYS: [&str; 5] = ["a", "b", "c", "d", "e"];
const GOES: [Plan; 4] = [
    Plan::after(Ruling::Commit, Duration::from_millis(2)),
    Plan::after(Ruling::Refuse, Duration::from_millis(1)),
    Plan { ruling: Ruling::Commit, delay: Duration::from_millis(4), early: true },
    Plan::now(Ruling::UnknownApplied),
];

/// Copies that are done at the same time are all counted, also when commits are refused, or nobody knows what became of them.
#[test]
fn copies_under_way_at_once_are_all_counted() {
    for shape in SHAPES {
        for first in 0..GOES.len() {
            let mut stage = crowd(shape);
            stage.broker.usually(GOES[0]);
            (0..40).for_each(|place| stage.broker.plan(GOES[(first + place * place / 2) % GOES.len()]));
            run(&mut stage);
            audit(&stage, &KEYS, "in the end");
            assert_eq!(suppressed(&stage), 13, "{shape:?}");
        }
    }
}

/// The process ends at every call and at every poll: a copy is counted if and only if its record is done.
#[test]
fn crashes_count_no_copy_twice_and_lose_none() {
    for shape in SHAPES {
        let mut stage = crowd(shape);
        run(&mut stage);
        for goes in GOES {
            for place in 0..=2 * stage.broker.calls() {
                let mut stage = crowd(shape);
                stage.broker.usually(goes);
                let (mut executor, worker) = stage.run();
                let most_polls = if place % 2 == 0 { place / 2 } else { u64::MAX };
                if place % 2 == 1 {
                    stage.broker.crash_after(place / 2);
                }
                let is_over = |executor: &Executor<'_, _>| !executor.is_running(worker) || stage.behind() == 0;
                executor.run_until(|executor| executor.polls() >= most_polls || is_over(executor)).expect("it goes on");
                executor.crash(worker);
                stage.broker.revive();
                audit(&stage, &KEYS, &format!("{shape:?} {goes:?} {place}"));
                stage.broker.usually(GOES[0]);
                run(&mut stage);
                audit(&stage, &KEYS, "in the end");
                assert_eq!(suppressed(&stage), 13, "{shape:?} {goes:?} {place}");
            }
        }
    }
}

/// The process ends at calls and polls of its choice, buckets are closed meanwhile, and every event has its effects once.
#[test]
fn crashes_lose_no_id_and_make_no_copy() {
    const IDS: u64 = 1_500;
    for shape in SHAPES {
        for seed in 0..6 {
            let chance = Seeded::new(seed);
            let mut stage = Stage::with(shape, 1, Limits { inbox_memory: 300_000, ..limits() }, |handler| handler);
            for n in 0..IDS {
                feed(&stage, Some("a"), &format!("id-{n}"), Task { n, ..Task::default() });
                if n % 3 == 0 && n > 40 {
                    let before = n - chance.next() % 40;
                    feed(&stage, Some("a"), &format!("id-{before}"), Task { n: before, ..Task::default() });
                }
            }
            for _ in 0..6 {
                stage.switch = Switch::default();
                let (mut executor, worker) = stage.run();
                let polls = 50 + chance.next() % 400;
                executor
                    .run_until(|executor| executor.polls() >= polls || stage.behind() == 0)
                    .expect("nothing stalls");
                if chance.next().is_multiple_of(3) {
                    stage.broker.plan(Plan::now(Ruling::UnknownApplied));
                }
                executor.crash(worker);
            }
            run(&mut stage);
            assert_eq!(stage.cell("a", HISTORY), Some((0..IDS).collect::<Vec<_>>()), "{shape:?} {seed}");
        }
    }
}

/// An event whose type names the field that is its id.
#[derive(Debug, Serialize, Deserialize)]
struct Numbered {
    number: u64,
}

impl Event for Numbered {
    const NAME: &'static str = "test.numbered";
    const VERSION: u32 = 1;
    const TOPIC: &'static str = IN;
    const NAMES_ID: bool = true;
    type Codec = Json;

    fn key(&self) -> Option<Cow<'_, [u8]>> {
        None
    }

    fn id(&self) -> Option<Cow<'_, [u8]>> {
        Some(self.number.to_string().into_bytes().into())
    }
}

async fn count(_: &Numbered, cx: &mut Context<'_>) -> Result<(), HandlerError> {
    let count = cx.get(COUNT).await?.unwrap_or(0);
    cx.set(COUNT, count + 1);
    Ok(())
}

#[test]
fn an_event_may_name_its_own_id() {
    for shape in SHAPES {
        let mut stage = Stage::build(shape, 1, |builder, _| builder.on::<Numbered>("count", count));
        for number in [1, 2, 1, 1, 3] {
            let value = encoded(&Numbered { number });
            stage.feed_raw(&partition(0), Some("a"), Some(Numbered::NAME), value);
        }
        run(&mut stage);
        assert_eq!((stage.cell("a", COUNT), copies(&stage)), (Some(3), 2), "{shape:?}");
    }
}

#[test]
fn results_have_the_ids_that_they_would_have_without() {
    let ids = |without: bool| {
        let declare = |handler: HandlerBuilder<_>| {
            if without { handler.without_inbox() } else { handler }
        };
        let mut stage = Stage::with(Shape::Batch, 1, limits(), declare);
        feed(&stage, Some("a"), ID, task(1));
        run(&mut stage);
        let results: Vec<(String, Outcome)> = stage.results().remove("a").expect("it emits");
        results.into_iter().map(|(id, _)| id).collect::<Vec<_>>()
    };
    assert_eq!(ids(true), ids(false));
}
