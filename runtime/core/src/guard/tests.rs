use super::*;

fn inputs() -> TopicPartition {
    TopicPartition::new("in", 0)
}

/// A guard whose mark is durable, of a life after so many bad ends.
fn after(ends: u32) -> Guard {
    let mark = (ends > 0).then(|| Mark { run: "before".into(), ends: ends - 1, attempt: None, culprits: Vec::new() });
    let (mut guard, culprit) = Guard::new("now", mark);
    assert!(culprit.is_empty());
    guard.suspect(vec![(inputs(), 100)], 3);
    assert!(matches!(guard.advise(true, |_| 0), Advice::Write(Some(_))), "first of all");
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

#[test]
fn after_one_bad_end_commits_are_small_until_what_was_there_is_done() {
    let mut guard = after(1);
    assert_eq!(guard.advise(true, |_| 0), Advice::Few(FEW));
    (0..FEW).for_each(|_| guard.began());
    assert_eq!(guard.advise(false, |_| 0), Advice::Few(0));
    assert_eq!(guard.advise(true, |_| 50), Advice::Few(FEW), "they are durable");
    let Advice::Write(Some(mark)) = guard.advise(true, |_| 100) else { panic!("nothing is suspected any more") };
    assert_eq!(Mark::read(&mark).expect("a mark").ends, 0);
    guard.wrote(true);
    assert_eq!(guard.advise(false, |_| 100), Advice::Any);
}

#[test]
fn after_two_bad_ends_each_unit_is_written_down_and_after_the_third_the_culprit_is_known() {
    let mut guard = after(2);
    let attempt = || Attempt::of(&inputs().at(7));
    assert_eq!(guard.advise(false, |_| 0), Advice::Wait);
    assert_eq!(guard.advise(true, |_| 0), Advice::One);
    assert!(!guard.may_begin(attempt), "it has to be written down");
    let Advice::Note(mark) = guard.advise(true, |_| 7) else { panic!("it is written down") };
    guard.wrote(true);
    assert_eq!(guard.advise(true, |_| 7), Advice::One);
    assert!(!guard.may_begin(|| Attempt::Parked(1)), "another one");
    assert!(matches!(guard.advise(true, |_| 7), Advice::Note(_)), "is written down in its place");
    let (mut next, culprits) = Guard::new("later", Mark::read(&mark));
    assert_eq!(culprits, [attempt()]);
    // The process may end before the culprit is a dead letter: it stays known.
    let Advice::Write(Some(mark)) = next.advise(true, |_| 7) else { panic!("first of all") };
    let (next, culprits) = Guard::new("last", Mark::read(&mark));
    assert_eq!((culprits, next.ends), (vec![attempt()], 1));
}

#[test]
fn a_worker_that_reads_its_own_shard_again_has_not_crashed() {
    let of = |ends, attempt| Some(Mark { run: "now".into(), ends, attempt, culprits: Vec::new() });
    let (guard, _) = Guard::new("now", of(1, None));
    assert_eq!(guard.ends, 1);
    let (guard, culprits) = Guard::new("now", of(2, Some(Attempt::Parked(1))));
    assert_eq!((guard.ends, culprits.is_empty()), (2, true));
}
