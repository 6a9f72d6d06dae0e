//! Records that are parked: in the order of their keys, across crashes, within bounds; and what handlers need that is away.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tidemill_core::code::Code;
use tidemill_core::failure::{ErrorClass, Policies, Then};
use tidemill_core::internal::{Became, Wish};
use tidemill_core::limits::{Limits, WhenFull};
use tidemill_core::ports::Disposition;
use tidemill_core::retry::Retry;
use tidemill_core::worker::Left;

use super::stage::{GROUP, IN, Stage, command, letters, limits, operations, parked, partition};
use super::work::{BANK, COUNT, HISTORY, How, Note, Task};
use crate::fakes::{Seen, Shape};

const SHAPES: [Shape; 2] = [Shape::Batch, Shape::Unit];
const ALWAYS: u32 = u32::MAX;
/// The longest delay of [`patient`].
const DELAY: Duration = Duration::from_mins(1);

/// One attempt in place, then so many delayed ones.
pub(super) fn patient(delayed: u32, then: Then) -> Policies {
    let mut policies = Policies::default().with_retry(&Retry::never()).with_then(then);
    for class in [ErrorClass::Transient, ErrorClass::Panic, ErrorClass::Timeout] {
        policies.of_mut(class).delayed = Retry { attempts: delayed, first_delay: DELAY, longest_delay: DELAY };
    }
    policies
}

fn stage(shape: Shape, policies: &Policies, limits: Limits) -> Stage {
    Stage::build(shape, 2, |builder, work| {
        let builder = builder.limits(limits).failures(policies.clone());
        builder.handler("worker", work, |handler| handler.on::<Task>().needs(BANK))
    })
}

fn plain(n: u64) -> Task {
    Task { n, emits: 1, ..Task::default() }
}

fn ended(stage: &Stage, wanted: Disposition) -> usize {
    stage.recorder.count(|seen| matches!(seen, Seen::UnitEnded { disposition, .. } if *disposition == wanted))
}

#[test]
fn a_key_that_fails_waits_in_order_and_others_go_on() {
    for shape in SHAPES {
        let stage = stage(shape, &patient(3, Then::Continue), limits());
        stage.feed(&partition(0), "a", Task { fails: 2, ..plain(0) });
        for n in 1..10 {
            stage.feed(&partition(0), if n % 2 == 0 { "a" } else { "b" }, plain(n));
        }
        let (mut executor, worker) = stage.run();
        executor.run_until(|_| stage.behind() == 0).expect("nothing stalls");
        assert_eq!(stage.cell("b", HISTORY), Some(vec![1, 3, 5, 7, 9]), "{shape:?}");
        assert_eq!((stage.cell("a", COUNT), parked(&stage).len()), (None, 5), "all of the key are parked");
        assert_eq!(parked(&stage)[0].past.as_ref().map(|past| past.attempts), Some(1));
        stage.feed(&partition(0), "a", plain(10));
        executor.run_until(|_| stage.cell("a", COUNT) == Some(6)).expect("it is tried again");
        stage.finish(&mut executor, worker);
        assert_eq!(stage.cell("a", HISTORY), Some(vec![0, 2, 4, 6, 8, 10]));
        assert!(parked(&stage).is_empty() && letters(&stage).is_empty());
        let attempts = |note: &Note| if let Note::Begun { n: 0, attempt, .. } = note { Some(*attempt) } else { None };
        assert_eq!(stage.notes().iter().filter_map(attempts).collect::<Vec<_>>(), [1, 2, 3]);
    }
}

#[test]
fn what_is_parked_survives_a_crash_and_goes_on_when_it_is_due() {
    for shape in SHAPES {
        let stage = stage(shape, &patient(3, Then::Continue), limits());
        stage.feed(&partition(1), "a", Task { fails: 1, ..plain(0) });
        stage.feed(&partition(1), "a", plain(1));
        let (mut executor, worker) = stage.run();
        executor.run_until(|_| parked(&stage).len() == 2).expect("both are parked");
        executor.crash(worker);
        stage.broker.lose(GROUP, "a", &[partition(0), partition(1)]);
        let worker = executor.spawn(stage.worker("b"));
        stage.feed(&partition(1), "a", plain(2));
        executor.run_until(|_| stage.cell("a", COUNT) == Some(3)).expect("it is tried again");
        stage.finish(&mut executor, worker);
        assert_eq!(stage.cell("a", HISTORY), Some(vec![0, 1, 2]), "{shape:?}");
    }
}

#[test]
fn attempts_and_time_are_bounded() {
    for shape in SHAPES {
        for (total, attempts) in [(Duration::from_hours(1), 4), (DELAY * 3 / 2, 2)] {
            let mut policies = patient(3, Then::Continue);
            policies.of_mut(ErrorClass::Transient).total = total;
            let stage = stage(shape, &policies, limits());
            stage.feed(&partition(0), "a", Task { fails: ALWAYS, ..plain(0) });
            let (mut executor, worker) = stage.run();
            executor.run_until(|_| letters(&stage).len() == 1).expect("it ends");
            let (found, made) = (letters(&stage)[0].attempts, stage.begun().len());
            assert_eq!(found as usize, made);
            assert!(found == attempts || total < DELAY * 2 && (1..=4).contains(&found), "{found} attempts, {shape:?}");
            executor.run_until(|_| parked(&stage).is_empty()).expect("nothing is left");
            stage.switch.stop();
            executor.run_to_end(worker).expect("nothing stalls");
        }
    }
}

#[test]
fn a_full_parking_holds_the_partition_back_or_stops_the_service() {
    for (shape, when) in SHAPES.into_iter().flat_map(|shape| [(shape, WhenFull::HoldBack), (shape, WhenFull::Stop)]) {
        let limits = Limits { lane_parked: 3, when_parked_full: when, ..limits() };
        let stage = stage(shape, &patient(1, Then::Continue), limits);
        stage.feed(&partition(0), "a", Task { fails: 1, ..plain(0) });
        for n in 1..6 {
            stage.feed(&partition(0), "a", plain(n));
        }
        stage.feed(&partition(1), "b", plain(6));
        let (mut executor, worker) = stage.run();
        if when == WhenFull::Stop {
            executor.run_to_end(worker).expect("nothing stalls");
            let error = executor.result(worker).expect("it ended").clone().expect_err("there is no room");
            assert!(error.code == Code::PARKING_FULL && error.message.contains("tasks-0@3"), "{error}");
            continue;
        }
        executor.run_until(|_| stage.cell("b", COUNT) == Some(1)).expect("other partitions go on");
        executor.settle();
        assert_eq!((parked(&stage).len(), stage.behind()), (3, 3), "{shape:?}");
        executor.run_until(|_| stage.cell("a", COUNT) == Some(6)).expect("it goes on when there is room");
        stage.finish(&mut executor, worker);
        assert_eq!(stage.cell("a", HISTORY), Some(vec![0, 1, 2, 3, 4, 5]));
    }
}

#[test]
fn a_record_that_finds_no_room_is_tried_again_when_it_would() {
    for shape in SHAPES {
        let (large, event) = ("b".repeat(1_000), super::stage::encoded(&plain(0)).len());
        // There is place for the large one alone.
        let limits = Limits { parked_bytes: large.len() + 2 * event, ..limits() };
        let stage = stage(shape, &patient(2, Then::Continue), limits);
        stage.feed(&partition(0), "a", Task { fails: 1, ..plain(0) });
        let (mut executor, worker) = stage.run();
        executor.run_until(|_| parked(&stage).len() == 1).expect("it is parked");
        stage.feed(&partition(0), &large, Task { fails: 2, ..plain(1) });
        executor.run_until(|_| stage.begun().len() > 2).expect("the time of the first comes");
        // Some room was left all the while, and not enough.
        assert_eq!(stage.begun()[..3], [0, 1, 0], "{shape:?}");
        executor.run_until(|_| stage.cell(&large, COUNT) == Some(1)).expect("now there is room");
        stage.finish(&mut executor, worker);
        // For want of room the first attempt had to be made once more.
        assert_eq!(stage.begun().iter().filter(|n| **n == 1).count(), 4);
    }
}

#[test]
fn a_handler_in_order_parks_its_partition() {
    for shape in SHAPES {
        let stage = Stage::build(shape, 2, |builder, work| {
            let builder = builder.failures(patient(1, Then::Continue));
            builder.handler("worker", work, |handler| handler.on::<Task>().in_order())
        });
        stage.feed(&partition(0), "a", Task { fails: 1, ..plain(0) });
        stage.feed(&partition(0), "b", plain(1));
        stage.feed(&partition(1), "c", plain(2));
        let (mut executor, worker) = stage.run();
        executor.run_until(|_| parked(&stage).len() == 2).expect("both are parked");
        assert_eq!((stage.cell("b", COUNT), stage.cell("c", COUNT)), (None, Some(1)), "{shape:?}");
        executor.run_until(|_| stage.cell("b", COUNT) == Some(1)).expect("it goes on");
        stage.finish(&mut executor, worker);
        assert_eq!(stage.begun(), [0, 2, 0, 1]);
    }
}

#[test]
fn a_record_without_a_key_is_parked_by_itself() {
    for shape in SHAPES {
        let stage = Stage::build(shape, 1, |builder, _| {
            let handler = async |_: &Task, cx: &mut tidemill_core::context::Context<'_>| {
                if cx.attempt() == 1 && cx.metadata().position().offset == 0 {
                    return Err(tidemill_core::handler::HandlerError::transient("not now"));
                }
                Ok(())
            };
            builder.failures(patient(1, Then::Continue)).on::<Task>("worker", handler)
        });
        for n in 0..3 {
            stage.feed_raw(&partition(0), None, None, super::stage::encoded(&plain(n)));
        }
        let (mut executor, worker) = stage.run();
        executor.run_until(|_| stage.behind() == 0).expect("the others go on");
        assert_eq!(parked(&stage).len(), 1, "{shape:?}");
        executor.run_until(|_| parked(&stage).is_empty()).expect("it is tried again");
        stage.switch.stop();
        executor.run_to_end(worker).expect("nothing stalls");
        assert_eq!(executor.result(worker), Some(&Ok(Left::default())));
    }
}

#[test]
fn what_is_away_costs_no_attempts_and_stops_only_those_who_need_it() {
    for shape in SHAPES {
        let stage = Stage::build(shape, 1, |builder, work| {
            let idle = async |_: &super::work::Other, _: &mut tidemill_core::context::Context<'_>| Ok(());
            let builder = builder.failures(patient(1, Then::Continue));
            let builder = builder.handler("worker", work, |handler| handler.on::<Task>().needs(BANK));
            builder.handler("idle", idle, |handler| handler.on_topic::<super::work::Other>(IN))
        });
        stage.away.store(true, Ordering::SeqCst);
        for n in 0..50 {
            let key = format!("key-{}", n % 10);
            stage.feed(&partition(0), &key, Task { how: How::Bank, ..plain(n) });
        }
        let other = super::stage::encoded(&super::work::Other(plain(99)));
        let offset = stage.feed_raw(&partition(0), Some("x"), Some("test.other"), other);
        let (mut executor, worker) = stage.run();
        let is_open = |seen: &Seen| matches!(seen, Seen::Breaker { is_open: true, .. });
        executor.run_until(|_| stage.recorder.count(is_open) == 1).expect("it is noticed");
        executor
            .run_until(|_| stage.broker.progress(GROUP, &partition(0)).is_some_and(|done| done.is_done(offset)))
            .expect("others go on");
        let began = stage.begun().len();
        executor.run_until(|_| stage.clock.passed() > Duration::from_mins(1)).expect("it asks from time to time");
        let asked = stage.begun().len() - began;
        assert!((30..90).contains(&asked), "{asked} times in a minute, {shape:?}");
        stage.away.store(false, Ordering::SeqCst);
        let back = stage.clock.passed();
        executor.run_until(|_| stage.behind() == 0).expect("it goes on");
        assert!(stage.clock.passed() < back + Duration::from_secs(5));
        assert!(letters(&stage).is_empty() && ended(&stage, Disposition::Parked) == 0);
        let notes = stage.notes().clone();
        let worst = notes.iter().filter_map(|note| match note {
            Note::Begun { attempt, .. } => Some(*attempt),
            Note::Ended { .. } => None,
        });
        assert_eq!(worst.max(), Some(1), "no attempt is spent");
        for key in 0..10 {
            let of_key: Vec<u64> = (0..50).filter(|n| n % 10 == key).collect();
            assert_eq!(stage.cell(&format!("key-{key}"), HISTORY), Some(of_key));
        }
        stage.switch.stop();
        executor.run_to_end(worker).expect("nothing stalls");
    }
}

#[test]
fn a_shard_that_waits_for_what_is_away_can_be_stopped() {
    for shape in SHAPES {
        let stage = stage(shape, &patient(1, Then::Continue), limits());
        stage.away.store(true, Ordering::SeqCst);
        for n in 0..10 {
            stage.feed(&partition(0), &format!("key-{n}"), Task { how: How::Bank, ..plain(n) });
        }
        let (mut executor, worker) = stage.run();
        executor.run_until(|_| stage.begun().len() > 5).expect("it asks");
        stage.switch.stop();
        executor.run_to_end(worker).expect("nothing stalls");
        assert!(matches!(executor.result(worker), Some(Ok(_))), "{:?}", executor.result(worker));
        assert_eq!(stage.behind(), 10, "{shape:?}");
    }
}

#[test]
fn what_is_due_and_cannot_begin_yet_does_not_keep_the_worker_awake() {
    for shape in SHAPES {
        let mut policies = patient(1, Then::Continue);
        policies.of_mut(ErrorClass::Transient).delayed.longest_delay = Duration::from_secs(1);
        let stage = stage(shape, &policies, Limits { in_flight: 1, ..limits() });
        stage.feed(&partition(0), "a", Task { fails: 1, ..plain(0) });
        let (mut executor, worker) = stage.run();
        executor.run_until(|_| parked(&stage).len() == 1).expect("it is parked");
        stage.feed(&partition(0), "b", Task { wait: 5_000, ..plain(1) });
        executor.run_until(|_| stage.cell("a", COUNT) == Some(1)).expect("it is tried again");
        stage.finish(&mut executor, worker);
        assert!(executor.polls() < 100, "{} polls, {shape:?}", executor.polls());
    }
}

#[test]
fn a_record_that_was_released_and_waits_again_goes_with_its_letter() {
    for shape in SHAPES {
        let stage = Stage::build(shape, 1, |builder, _| {
            let handler = async |_: &Task, cx: &mut tidemill_core::context::Context<'_>| match cx.attempt() {
                1 => Err(tidemill_core::handler::HandlerError::permanent("not ever")),
                2 => Err(tidemill_core::handler::HandlerError::transient("not now")),
                _ => panic!("it was given up"),
            };
            builder.failures(patient(1, Then::Hold)).on::<Task>("worker", handler)
        });
        stage.feed(&partition(0), "a", plain(0));
        let (mut executor, worker) = stage.run();
        executor.run_until(|_| letters(&stage).len() == 1).expect("it fails");
        let letter = letters(&stage).remove(0);
        command(&stage, 0, "one", Wish::Release, letter.target());
        let discard = Wish::Discard { letter: letter.id.clone(), round: letter.round };
        command(&stage, 0, "two", discard, letter.target());
        executor.run_until(|_| operations(&stage).len() == 2).expect("both are answered");
        assert!(operations(&stage).iter().all(|(_, became)| *became == Became::Done), "{shape:?}");
        assert!(parked(&stage).is_empty(), "{shape:?}: {:?}", parked(&stage));
        stage.switch.stop();
        executor.run_to_end(worker).expect("nothing stalls");
        assert_eq!(letters(&stage).len(), 1);
    }
}
