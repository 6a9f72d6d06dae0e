use super::*;

fn inputs() -> TopicPartition {
    TopicPartition::new("in", 0)
}

/// A guard whose mark is durable, of a life after so many bad ends.
fn after(ends: u32) -> Guard {
    let mark = (ends > 0).then(|| Mark { run: "before".into(), ends: ends - 1, ..Mark::default() });
    let (mut guard, culprit) = Guard::new("now", mark);
    assert!(culprit.is_empty());
    guard.suspect(vec![(inputs(), 100)], 3);
    assert!(matches!(guard.advise(true, |_| 0), Advice::Write(_)), "first of all");
    guard.wrote(false);
    guard.committed();
    assert_eq!(guard.advise(true, |_| 0), Advice::Wait, "another commit was under way");
    guard.freeze();
    guard.committed();
    guard
}

#[test]
fn a_good_end_leaves_nothing_to_suspect() {
    let mut guard = after(0);
    assert_eq!(guard.advise(false, |_| 0), Advice::Any);
    assert!(guard.has_to_go() && !guard.is_gone());
    guard.removes();
    guard.wrote(false);
    assert!(guard.is_gone());
}

/// Lets the next unit begin, which is written down before.
fn one(guard: &mut Guard, offset: u64) -> Mark {
    let attempt = || Attempt::of(&inputs().at(offset));
    assert_eq!(guard.advise(true, |_| offset), Advice::One);
    assert!(!guard.may_begin(attempt), "it has to be written down");
    let Advice::Write(mark) = guard.advise(true, |_| offset) else { panic!("it is written down") };
    guard.wrote(true);
    assert_eq!(guard.advise(false, |_| offset), Advice::Wait, "it is not durable");
    assert_eq!(guard.advise(true, |_| offset), Advice::One);
    assert!(guard.may_begin(attempt));
    guard.began();
    Mark::read(&mark).expect("a mark")
}

#[test]
fn after_one_bad_end_some_units_run_singly_and_commits_are_small_until_what_was_there_is_done() {
    let mut guard = after(1);
    for n in 0..SINGLY {
        one(&mut guard, n as u64 % 50);
    }
    assert_eq!(guard.advise(true, |_| 0), Advice::Few(FEW));
    (0..FEW).for_each(|_| guard.began());
    assert_eq!(guard.advise(false, |_| 0), Advice::Few(0));
    assert_eq!(guard.advise(true, |_| 50), Advice::Few(FEW), "they are durable");
    let Advice::Write(mark) = guard.advise(true, |_| 100) else { panic!("nothing is suspected any more") };
    assert_eq!(Mark::read(&mark).expect("a mark"), Mark { run: "now".into(), ..Mark::default() });
    guard.wrote(true);
    assert_eq!(guard.advise(false, |_| 100), Advice::Any);
}

#[test]
fn a_record_during_which_two_lives_ended_is_the_culprit_and_stays_known() {
    let culprit = Attempt::of(&inputs().at(7));
    let mark = one(&mut after(1), 7);
    let (mut second, culprits) = Guard::new("second", Some(mark));
    assert_eq!((culprits.len(), second.suspects.clone()), (0, vec![culprit.clone()]), "a kill may have met it");
    second.suspect(vec![(inputs(), 100)], 0);
    second.wrote(true);
    let mark = one(&mut second, 7);
    let (mut third, culprits) = Guard::new("third", Some(mark));
    assert_eq!(culprits, std::slice::from_ref(&culprit));
    // The process may end before the culprit is a dead letter.
    let Advice::Write(mark) = third.advise(true, |_| 7) else { panic!("first of all") };
    assert_eq!(Guard::new("last", Mark::read(&mark)).1, [culprit]);
}

#[test]
fn another_unit_than_was_written_down_is_written_down_in_its_place() {
    let mut guard = after(2);
    assert!(!guard.may_begin(|| Attempt::Parked(1)));
    assert!(matches!(guard.advise(true, |_| 0), Advice::Write(_)));
    guard.wrote(true);
    assert!(!guard.may_begin(|| Attempt::Parked(2)));
    assert!(matches!(guard.advise(true, |_| 0), Advice::Write(_)));
}

#[test]
fn a_worker_that_reads_its_own_shard_again_has_not_crashed() {
    let mark = Mark { run: "now".into(), ends: 1, attempt: Some(Attempt::Parked(1)), ..Mark::default() };
    let (guard, culprits) = Guard::new("now", Some(mark));
    assert_eq!((guard.ends, guard.suspects.len(), culprits.len()), (1, 0, 0));
}
