//! Dead letters: what they say, who goes on, and how their records come back.

use tidemill_core::code::Code;
use tidemill_core::failure::{Policies, Then};
use tidemill_core::headers::{self, Headers};
use tidemill_core::internal::{Became, COMMAND, Wish};
use tidemill_core::letters::Letter;
use tidemill_core::limits::Limits;
use tidemill_core::parking::{Parked, Waits};
use tidemill_core::ports::{Clock, Disposition};
use tidemill_core::record::{Record, TopicPartition};
use tidemill_core::service::HandlerBuilder;
use tidemill_core::time::Timestamp;

use super::parking::patient;
use super::stage::{Ended, Stage, command, encoded, letters, limits, operations, parked, partition};
use super::work::{COUNT, HISTORY, How, Task};
use crate::fakes::{Executor, Seen, Shape};

const SHAPES: [Shape; 2] = [Shape::Batch, Shape::Unit];
const ALWAYS: u32 = u32::MAX;

fn plain(n: u64) -> Task {
    Task { n, emits: 1, ..Task::default() }
}

fn bad(n: u64) -> Task {
    Task { fails: ALWAYS, how: How::Permanent, ..plain(n) }
}

fn stage(shape: Shape, then: Then) -> Stage {
    Stage::build(shape, 2, |builder, work| {
        builder.failures(patient(0, then)).handler("worker", work, HandlerBuilder::on::<Task>)
    })
}

/// A stage in which record 1 of key a, between two others, became a dead letter.
fn with_letter(shape: Shape, then: Then) -> (Stage, Executor<'static, Ended>, usize) {
    let stage = stage(shape, then);
    for task in [plain(0), bad(1), plain(2)] {
        stage.feed(&partition(0), "a", task);
    }
    let (mut executor, worker) = stage.run();
    executor.run_until(|_| stage.behind() == 0).expect("nothing stalls");
    (stage, executor, worker)
}

fn stop(stage: &Stage, executor: &mut Executor<'static, Ended>, worker: usize) {
    stage.switch.stop();
    executor.run_to_end(worker).expect("nothing stalls");
    assert!(matches!(executor.result(worker), Some(Ok(_))), "{:?}", executor.result(worker));
}

fn redrive(letter: &Letter) -> Wish {
    Wish::Redrive { letter: letter.id.clone(), round: letter.round }
}

/// A letter's record with another task in it, as an operator edits it.
fn edited(letter: &Letter, task: &Task) -> Parked {
    let record = Record { value: Some(encoded(task).into()), ..letter.record.clone() };
    Letter { record, ..letter.clone() }.target()
}

#[test]
fn a_letter_is_the_record_and_what_happened_to_it() {
    for shape in SHAPES {
        let stage = stage(shape, Then::Continue);
        let own = Headers::from_pairs([
            ("x-mine", Some(&b"\xff\x00"[..])),
            (headers::TYPE, Some(b"test.task")),
            ("x-none", None),
            (headers::DL_MESSAGE, Some(b"of somebody else's letter")),
            (headers::DL_HEADERS, Some(b"99")),
            (headers::DL_OWN_ID, Some(b"theirs")),
        ]);
        let record = Record {
            offset: 0,
            timestamp: Timestamp::from_millis(12_345),
            key: Some("a".into()),
            value: Some(encoded(&bad(7)).into()),
            headers: own,
        };
        stage.broker.append(&partition(1), record.clone());
        let (mut executor, worker) = stage.run();
        executor.run_until(|_| stage.behind() == 0).expect("nothing stalls");
        let found = letters(&stage);
        let [letter] = &found[..] else { panic!("{found:?}") };
        assert_eq!(letter.record, record, "byte for byte, {shape:?}");
        assert_eq!((letter.origin.to_string().as_str(), letter.round), ("tasks-1@0", 1));
        assert_eq!((letter.handler.as_str(), letter.attempts, letter.code.as_str()), ("worker", 1, "TM-0501"));
        assert_eq!((letter.class.as_str(), letter.message.as_str()), ("permanent", "not ever"));
        assert_eq!((letter.then.as_str(), letter.history.len()), ("continue", 0));
        assert!(letter.own_id.ends_with("/1/0"), "its topic's own id, partition and offset: {}", letter.own_id);
        let stored = stage.broker.records("work.dead-letters");
        assert_eq!(stored[1].len(), 1, "in the partition of its shard");
        assert_eq!(stored[1][0].timestamp, record.timestamp);
        stop(&stage, &mut executor, worker);
    }
}

#[test]
fn the_key_goes_on_after_a_letter_unless_it_is_held() {
    for shape in SHAPES {
        let (stage, mut executor, worker) = with_letter(shape, Then::Continue);
        assert_eq!((stage.cell("a", HISTORY), letters(&stage).len()), (Some(vec![0, 2]), 1), "{shape:?}");
        stop(&stage, &mut executor, worker);
        let (stage, mut executor, worker) = with_letter(shape, Then::Hold);
        assert_eq!((stage.cell("a", HISTORY), letters(&stage).len()), (Some(vec![0]), 1), "{shape:?}");
        let held = parked(&stage);
        assert_eq!((held[0].waits.clone(), held.len()), (Waits::Held { letter: letters(&stage)[0].id.clone() }, 2));
        stop(&stage, &mut executor, worker);
    }
}

#[test]
fn what_cannot_be_read_is_a_letter_on_first_sight_and_so_is_what_nobody_handles() {
    for shape in SHAPES {
        let stage = stage(shape, Then::Continue);
        stage.feed_raw(&partition(0), Some("a"), Some("test.task"), b"{".to_vec());
        stage.feed_raw(&partition(0), Some("a"), Some("test.foreign"), b"?".to_vec());
        stage.feed_raw(&partition(0), None, Some("test.foreign"), b"!".to_vec());
        let none = Record {
            offset: 0,
            timestamp: stage.clock.now(),
            key: Some("a".into()),
            value: None,
            headers: Headers::default(),
        };
        stage.broker.append(&partition(0), none);
        stage.feed(&partition(0), "a", plain(1));
        let (mut executor, worker) = stage.run();
        executor.run_until(|_| stage.behind() == 0).expect("nothing stalls");
        let codes: Vec<_> =
            letters(&stage).into_iter().map(|letter| (letter.code, letter.handler, letter.attempts)).collect();
        let of = |code: &str, handler: &str| (code.to_owned(), handler.to_owned(), 1);
        let wanted = [of("TM-0503", "worker"), of("TM-0504", ""), of("TM-0504", ""), of("TM-0503", "worker")];
        assert_eq!(codes, wanted, "{shape:?}");
        assert_eq!(letters(&stage)[3].record.value, None, "no value is no value");
        assert_eq!(stage.cell("a", COUNT), Some(1));
        assert_eq!(stage.recorder.count(|seen| matches!(seen, Seen::Retrying { .. })), 0);
        stop(&stage, &mut executor, worker);
    }
}

#[test]
fn a_redrive_applies_a_letter_once_and_closes_it() {
    for (shape, then) in SHAPES.into_iter().flat_map(|shape| [(shape, Then::Continue), (shape, Then::Hold)]) {
        let (stage, mut executor, worker) = with_letter(shape, then);
        let letter = letters(&stage).remove(0);
        for id in ["one", "two"] {
            command(&stage, 0, id, redrive(&letter), edited(&letter, &plain(1)));
        }
        stage.feed(&partition(0), "a", plain(3));
        executor.run_until(|_| operations(&stage).len() == 2).expect("both are answered");
        executor.run_until(|_| stage.behind() == 0 && parked(&stage).is_empty()).expect("the key goes on");
        let order = if then == Then::Hold { vec![0, 1, 2, 3] } else { vec![0, 2, 1, 3] };
        let mut history = stage.cell("a", HISTORY).expect("it was handled");
        if then == Then::Continue {
            // Which of two topics comes first is nobody's promise.
            history[2..].sort_unstable();
        }
        assert_eq!(history, order, "{shape:?} {then:?}");
        let mut became = operations(&stage);
        became.sort_by_key(|(_, became)| *became != Became::Applied);
        let wanted = [("redrive".to_owned(), Became::Applied), ("redrive".to_owned(), Became::Refused)];
        assert_eq!(became, wanted);
        assert_eq!(stage.results()["a"].len(), 4);
        stop(&stage, &mut executor, worker);
    }
}

#[test]
fn the_events_of_a_redriven_record_have_the_ids_that_the_first_attempt_would_have_given() {
    for shape in SHAPES {
        let undisturbed = Stage::new(shape, 1);
        undisturbed.feed(&partition(0), "a", plain(0));
        let (mut executor, worker) = undisturbed.run();
        undisturbed.finish(&mut executor, worker);
        let stage = stage(shape, Then::Continue);
        stage.feed(&partition(0), "a", bad(0));
        let (mut executor, worker) = stage.run();
        executor.run_until(|_| stage.behind() == 0).expect("nothing stalls");
        let letter = letters(&stage).remove(0);
        command(&stage, 0, "one", redrive(&letter), edited(&letter, &plain(0)));
        executor.run_until(|_| stage.cell("a", COUNT) == Some(1)).expect("it is applied");
        assert_eq!(stage.results()["a"][0].0, undisturbed.results()["a"][0].0, "{shape:?}");
        stop(&stage, &mut executor, worker);
    }
}

#[test]
fn a_letter_that_fails_again_has_another_round_and_its_history() {
    for (shape, then) in SHAPES.into_iter().flat_map(|shape| [(shape, Then::Continue), (shape, Then::Hold)]) {
        let (stage, mut executor, worker) = with_letter(shape, then);
        let first = letters(&stage).remove(0);
        command(&stage, 0, "one", redrive(&first), first.target());
        executor.run_until(|_| letters(&stage).len() == 2).expect("it fails again");
        let second = letters(&stage).remove(1);
        assert_eq!((&second.id, second.round, second.history.len()), (&first.id, 2, 1), "{shape:?} {then:?}");
        assert!(
            second.history[0].contains("TM-0501") && second.history[0].contains("not ever"),
            "{:?}",
            second.history
        );
        // What was meant for the first round does nothing any more.
        command(&stage, 0, "two", redrive(&first), edited(&first, &plain(1)));
        command(&stage, 0, "three", redrive(&second), edited(&second, &plain(1)));
        executor.run_until(|_| operations(&stage).len() == 3).expect("all are answered");
        let became: Vec<Became> = operations(&stage).into_iter().map(|(_, became)| became).collect();
        assert_eq!(became, [Became::FailedAgain, Became::Refused, Became::Applied]);
        executor.run_until(|_| stage.cell("a", COUNT) == Some(3)).expect("everything is applied once");
        stop(&stage, &mut executor, worker);
    }
}

#[test]
fn a_letter_whose_copy_was_applied_is_closed_and_a_redrive_refused() {
    for shape in SHAPES {
        let stage = stage(shape, Then::Continue);
        let copy = |task: &Task| Record {
            offset: 0,
            timestamp: Timestamp::from_millis(0),
            key: Some("a".into()),
            value: Some(encoded(task).into()),
            headers: Headers::from_pairs([
                (headers::TYPE, Some(&b"test.task"[..])),
                (headers::SOURCE, Some(b"/test")),
                (headers::ID, Some(b"id-1")),
            ]),
        };
        stage.broker.append(&partition(0), copy(&bad(1)));
        let (mut executor, worker) = stage.run();
        executor.run_until(|_| letters(&stage).len() == 1).expect("it fails");
        stage.broker.append(&partition(0), copy(&plain(1)));
        executor.run_until(|_| stage.cell("a", COUNT) == Some(1)).expect("the copy is applied");
        let letter = letters(&stage).remove(0);
        command(&stage, 0, "late", redrive(&letter), edited(&letter, &plain(1)));
        executor.run_until(|_| operations(&stage).len() == 2).expect("it is answered");
        let wanted = [("copy".to_owned(), Became::Applied), ("redrive".to_owned(), Became::Refused)];
        assert_eq!((operations(&stage), stage.cell("a", COUNT)), (wanted.to_vec(), Some(1)), "{shape:?}");
        stop(&stage, &mut executor, worker);
    }
}

#[test]
fn operators_release_and_discard_what_is_held() {
    for shape in SHAPES {
        let (stage, mut executor, worker) = with_letter(shape, Then::Hold);
        let letter = letters(&stage).remove(0);
        command(&stage, 0, "one", Wish::Release, letter.target());
        executor.run_until(|_| letters(&stage).len() == 2).expect("it is tried, and fails again");
        let letter = letters(&stage).remove(1);
        let discard = Wish::Discard { letter: letter.id.clone(), round: letter.round };
        command(&stage, 0, "two", discard.clone(), letter.target());
        executor.run_until(|_| stage.cell("a", COUNT) == Some(2)).expect("the key goes on");
        command(&stage, 0, "three", discard, letter.target());
        command(&stage, 0, "four", Wish::Release, letter.target());
        command(&stage, 0, "five", Wish::DiscardParked, letter.target());
        executor.run_until(|_| operations(&stage).len() == 5).expect("all are answered");
        let became: Vec<Became> = operations(&stage).into_iter().map(|(_, became)| became).collect();
        assert_eq!(
            became,
            [Became::Done, Became::Done, Became::Refused, Became::Refused, Became::Refused],
            "{shape:?}"
        );
        assert_eq!(stage.cell("a", HISTORY), Some(vec![0, 2]));
        stop(&stage, &mut executor, worker);
    }
}

#[test]
fn a_parked_record_can_be_discarded_wherever_it_waits() {
    for shape in SHAPES {
        let (stage, mut executor, worker) = with_letter(shape, Then::Hold);
        stage.feed(&partition(0), "a", plain(3));
        executor.run_until(|_| parked(&stage).len() == 3).expect("it waits too");
        let [head, middle, _] = &parked(&stage)[..] else { panic!("three") };
        command(&stage, 0, "one", Wish::DiscardParked, middle.clone());
        command(&stage, 0, "two", Wish::DiscardParked, head.clone());
        executor.run_until(|_| stage.cell("a", COUNT) == Some(2)).expect("the key goes on");
        assert_eq!(stage.cell("a", HISTORY), Some(vec![0, 3]), "{shape:?}");
        let letter = letters(&stage).remove(0);
        command(&stage, 0, "late", redrive(&letter), letter.target());
        executor.run_until(|_| operations(&stage).len() == 3).expect("it is answered");
        assert_eq!(operations(&stage)[2].1, Became::Refused, "the letter went with its record");
        stop(&stage, &mut executor, worker);
    }
}

#[test]
fn what_is_refused_is_a_letter_and_the_rest_goes_through() {
    for shape in SHAPES {
        let stage = stage(shape, Then::Continue);
        stage.broker.refuse_values_over(500);
        for n in 0..100 {
            let key = if n == 63 { "k".repeat(500) } else { "a".to_owned() };
            stage.feed(&partition(0), &key, plain(n));
        }
        let (mut executor, worker) = stage.run();
        executor.run_until(|_| stage.behind() == 0).expect("nothing stalls");
        let found = letters(&stage);
        let [letter] = &found[..] else { panic!("{} letters, {shape:?}", found.len()) };
        assert_eq!((letter.code.as_str(), letter.class.as_str(), letter.origin.offset), ("TM-0509", "refused", 63));
        assert_eq!(stage.cell("a", COUNT), Some(99));
        stop(&stage, &mut executor, worker);
    }
}

#[test]
fn a_letter_that_cannot_be_written_holds_its_key() {
    for told in [true, false] {
        for shape in SHAPES {
            let stage = stage(shape, Then::Continue);
            if told {
                stage.broker.tell_largest(900);
            } else {
                stage.broker.refuse_values_over(500);
            }
            let large = Task { n: 1, ..bad(1) };
            let mut value = encoded(&large);
            value.splice(0..0, vec![b' '; 600]);
            stage.feed_raw(&partition(0), Some("a"), Some("test.task"), value);
            stage.feed(&partition(0), "a", plain(2));
            stage.feed(&partition(0), "b", plain(3));
            let (mut executor, worker) = stage.run();
            executor.run_until(|_| stage.behind() == 0).expect("nothing stalls");
            let waits = parked(&stage).into_iter().map(|parked| parked.waits).collect::<Vec<_>>();
            assert_eq!(waits, [Waits::Held { letter: String::new() }, Waits::Behind], "{shape:?} {told}");
            assert_eq!((letters(&stage).len(), stage.cell("b", COUNT)), (0, Some(1)));
            stop(&stage, &mut executor, worker);
        }
    }
}

#[test]
fn too_many_letters_stop_the_service() {
    for shape in SHAPES {
        let stage = Stage::build(shape, 1, |builder, work| {
            let limits = Limits { letter_percent: 20, letter_window: 50, ..limits() };
            let builder = builder.limits(limits).failures(Policies::default());
            builder.handler("worker", work, HandlerBuilder::on::<Task>)
        });
        for n in 0..1_000 {
            let key = format!("key-{n}");
            stage.feed(&partition(0), &key, if n > 500 || n % 10 == 0 { bad(n) } else { plain(n) });
        }
        let (mut executor, worker) = stage.run();
        executor.run_to_end(worker).expect("nothing stalls");
        let error = executor.result(worker).expect("it ended").clone().expect_err("it has to stop");
        assert_eq!(error.code, Code::TOO_MANY_LETTERS, "{error}");
        assert!((50..100).contains(&letters(&stage).len()), "{} letters, {shape:?}", letters(&stage).len());
        let told = stage.recorder.count(|seen| {
            matches!(seen, Seen::UnitEnded { disposition: Disposition::DeadLettered, failure: Some(_), .. })
        });
        assert_eq!(told, letters(&stage).len(), "what was told was committed");
    }
}

#[test]
fn what_is_no_command_is_passed_over_and_one_that_cannot_be_read_is_a_letter() {
    for shape in SHAPES {
        let (stage, mut executor, worker) = with_letter(shape, Then::Continue);
        let junk = Record {
            offset: 0,
            timestamp: stage.clock.now(),
            key: None,
            value: Some("junk".into()),
            headers: Headers::default(),
        };
        let newer = Headers::from_pairs([(headers::TYPE, Some(COMMAND.as_bytes()))]);
        let internal = TopicPartition::new("work.internal", 0);
        stage.broker.append(&internal, junk.clone());
        executor.run_until(|_| stage.behind() == 0).expect("nothing stalls");
        assert_eq!((operations(&stage).len(), letters(&stage).len()), (0, 1), "{shape:?}");
        stage.broker.append(&internal, Record { headers: newer, ..junk });
        executor.run_until(|_| stage.behind() == 0).expect("nothing stalls");
        assert_eq!((operations(&stage).len(), letters(&stage).len()), (0, 2), "{shape:?}");
        stop(&stage, &mut executor, worker);
    }
}
