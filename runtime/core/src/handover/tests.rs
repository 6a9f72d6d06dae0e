use super::*;

fn handover(handler: Option<&str>) -> Handover {
    let mut until = Progress::starting_at(10);
    // Record 10 was done before record 9.
    until.take(10);
    until.done(10);
    until.take(11);
    let until = [("in".to_owned(), until)].into();
    Handover { until, handler: handler.map(str::to_owned), calls: false }
}

#[test]
fn it_is_read_as_it_was_written() {
    for handover in [handover(None), handover(Some("late"))] {
        let Change { key, value } = handover.change();
        assert!(is_own(&key));
        assert_eq!(Handover::read(&value.expect("it is there")), Some(handover));
    }
    assert_eq!(Handover::read(b"?"), None);
}

#[test]
fn what_was_done_is_caught_up_with_and_what_was_not_is_handled() {
    let all = handover(None);
    let parts = [9, 10, 11, 12].map(|offset| all.part("in", offset, "any"));
    let muted = Part::Muted { calls: false };
    assert_eq!(parts, [muted, muted, Part::Live, Part::Live]);
    assert_eq!(all.part("other", 0, "any"), Part::Live);
    let one = handover(Some("late"));
    assert_eq!([one.part("in", 9, "late"), one.part("in", 9, "early")], [muted, Part::Passed]);
    assert_eq!([one.part("in", 11, "late"), one.part("in", 11, "early")], [Part::Live; 2]);
    assert_eq!([one.mutes("late"), one.mutes("early"), all.mutes("early")], [true, false, true]);
}

#[test]
fn it_is_over_when_all_topics_are_through() {
    let handover = handover(None);
    let over_at = |next| {
        let progress = Progress::starting_at(next);
        handover.is_over(|topic| (topic == "in").then_some(&progress))
    };
    assert_eq!([over_at(0), over_at(11), over_at(12), over_at(13)], [false, false, true, true]);
    assert!(handover.is_over(|_| None), "a topic that is no input any more is not waited for");
}
