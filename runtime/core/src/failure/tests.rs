use super::dependencies::{BREAKER_FAILURES, BREAKER_PAUSE};
use super::*;
use crate::code::{Code, Coded};
use crate::time::Timestamp;

#[test]
fn a_message_keeps_its_words_and_loses_what_it_is_about() {
    let cases = [
        ("card 4929123412341234 was refused", "card # was refused"),
        ("no customer \"Ada Lovelace\" here", "no customer # here"),
        ("mail to ada@example.org bounced", "mail to # bounced"),
        ("order 2f1c9a77-aa is gone", "order # is gone"),
        ("can't reach it", "can't reach it"),
        ("it's late, and 'quoted words' too", "it's late, and # too"),
        ("an open \" quote stays", "an open \" quote stays"),
        ("TM-0503: 12 of them", "TM-0503: 12 of them"),
    ];
    for (message, wanted) in cases {
        assert_eq!(redacted(message), wanted);
    }
    assert_eq!(redacted(&"word ".repeat(1_000)).chars().count(), 200);
}

#[test]
fn failures_of_one_kind_have_one_fingerprint() {
    let cause = Coded::new(Code::HANDLER_FAILED, "");
    let of = |handler, said| Cause::new(handler, ErrorClass::Permanent, &cause, said).fingerprint;
    assert_eq!(of("pay", "card 12345 refused"), of("pay", "card 99999 refused"));
    assert_ne!(of("pay", "card 12345 refused"), of("ship", "card 12345 refused"));
    assert_ne!(of("pay", "card 12345 refused"), of("pay", "card 12345 is lost"));
    assert_eq!(of("pay", "refused").len(), 16);
}

#[test]
fn names_of_classes_are_found_again() {
    for class in ErrorClass::ALL {
        assert_eq!(ErrorClass::named(class.name()), Some(class));
    }
    assert_eq!(ErrorClass::named("other"), None);
}

#[test]
fn what_will_not_help_is_not_tried_again() {
    let policies = Policies::default().with_retry(&Retry { attempts: 9, ..Retry::default() });
    for class in ErrorClass::ALL {
        let policy = policies.of(class);
        let attempts = if class.is_retried() { 9 } else { 1 };
        assert_eq!((policy.retry.attempts, policy.delayed.attempts > 0), (attempts, class.is_retried()), "{class:?}");
        assert_eq!(policy.then, Then::Continue);
    }
    assert_eq!(policies.with_then(Then::Hold).of(ErrorClass::Panic).then, Then::Hold);
}

#[test]
fn the_rate_of_letters_counts_the_newest_records() {
    let mut rate = LetterRate::default();
    for _ in 0..5_000 {
        rate.note(false);
        assert!(!rate.is_exceeded(50, 1_000));
    }
    let mut letters = 0;
    while !rate.is_exceeded(50, 1_000) {
        rate.note(true);
        letters += 1;
    }
    assert!((500..2_000).contains(&letters), "{letters} letters until it was said");
    let mut few = LetterRate::default();
    (0..499).for_each(|_| few.note(true));
    assert!(!few.is_exceeded(50, 1_000), "too few to tell");
    (0..10_000).for_each(|n| few.note(n % 3 == 0));
    assert!(!few.is_exceeded(50, 1_000), "a third is less than a half");
}

#[test]
fn a_dependency_that_fails_is_left_alone_and_asked_from_time_to_time() {
    let dependencies = Dependencies::new(["bank".into()].into());
    let at = |millis: u64| Timestamp::from_millis(0) + Duration::from_millis(millis);
    let bank = dependencies.place("bank").expect("declared");
    for _ in 0..BREAKER_FAILURES - 1 {
        assert!(!dependencies.failed(bank, at(0)), "not yet");
        assert!(dependencies.may_begin(&[bank], at(0)));
    }
    assert!(dependencies.failed(bank, at(0)), "it opens");
    assert!(!dependencies.may_begin(&[bank], at(10)));
    assert_eq!(dependencies.next_probe(&[bank]), Some(at(0) + BREAKER_PAUSE));
    let probe = at(0) + BREAKER_PAUSE;
    assert!(dependencies.may_begin(&[bank], probe), "one may ask");
    assert!(!dependencies.may_begin(&[bank], probe), "and no second one");
    assert!(!dependencies.failed(bank, probe), "it is open already");
    assert!(dependencies.may_begin(&[bank], probe + BREAKER_PAUSE));
    assert!(dependencies.succeeded(bank), "it closes");
    assert!(dependencies.may_begin(&[bank], probe + BREAKER_PAUSE) && dependencies.next_probe(&[bank]).is_none());
}

#[test]
fn a_success_between_failures_keeps_a_breaker_closed() {
    let dependencies = Dependencies::new(["bank".into()].into());
    for _ in 0..100 {
        assert!(!dependencies.failed(0, Timestamp::from_millis(0)));
        assert!(!dependencies.succeeded(0), "it was never open");
    }
}

#[test]
fn whoever_needs_more_than_one_asks_when_all_may_be_asked_and_is_not_woken_for_others() {
    let at = Timestamp::from_millis;
    let dependencies = Dependencies::new(["a", "b", "c"].map(std::sync::Arc::from).into());
    for (place, since) in [(0, 0), (1, 500)] {
        for _ in 0..BREAKER_FAILURES {
            dependencies.failed(place, at(since));
        }
    }
    assert_eq!(dependencies.next_probe(&[0]), Some(at(0) + BREAKER_PAUSE));
    assert_eq!(dependencies.next_probe(&[0, 1, 2]), Some(at(500) + BREAKER_PAUSE));
    assert_eq!(dependencies.next_probe(&[2]), None);
}
