use crate::journal::*;
use crate::state::ScopeKey;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn done(topic: &str, offset: u64, now: i64) -> Unit<'_> {
    let cause = About::Record(topic, offset);
    Unit { cause, now: at(now), attempt: 1, ended: Ending::Done, answers: Vec::new() }
}

fn fresh() -> Journal {
    Journal::of(Found::default(), true, true)
}

/// What a shard would find that kept these changes.
fn kept(changes: &Ordered<Option<Bytes>>) -> Found {
    let mut found = Found::default();
    for (suffix, value) in changes.iter() {
        let key = crate::state::own_key(&crate::state::runtime_id(Bytes::new()), suffix);
        let place = ScopeKey::parse(&key).expect("it is a state key");
        if let Some(value) = value {
            found.take(place.name, place.entry.unwrap_or_default(), value).expect("it can be read");
        }
    }
    found
}

#[test]
fn records_that_follow_each_other_are_one_step() {
    let mut journal = fresh();
    for offset in 5..25 {
        journal.note(done("orders", offset, 1_000));
    }
    journal.note(done("orders", 26, 1_000));
    journal.note(done("stock", 27, 1_000));
    journal.note(done("stock", 28, 1_001));
    let (pages, _) = journal.freeze();
    let [page] = &pages[..] else { panic!("one page") };
    let wanted = [Step::Run(0, 5, 20, 0), Step::Run(0, 26, 1, 0), Step::Run(1, 27, 1, 0), Step::Run(1, 28, 1, 1)];
    assert_eq!((page.number, page.is_complete, page.at), (1, true, 1_000));
    assert_eq!(
        (page.topics.as_slice(), page.steps.as_slice()),
        (&["orders".to_owned(), "stock".to_owned()][..], &wanted[..])
    );
    assert_eq!(page.units(), 23);
    assert_eq!(Page::read(&page.to_bytes()), Ok(page.clone()));
}

#[test]
fn what_is_not_plain_has_a_step_of_its_own() {
    let mut journal = fresh();
    let answers = vec![Answered { name: "bank".into(), value: Some(vec![1, 2]), error: None }];
    journal.note(Unit { attempt: 3, ..done("orders", 1, 10) });
    journal.note(Unit { answers: answers.clone(), ..done("orders", 2, 10) });
    journal.note(Unit { ended: Ending::Parked(99), ..done("orders", 3, 10) });
    journal.note(Unit { cause: About::Parked(Bytes::from_static(b"lane")), ..done("", 0, 12) });
    journal.note(Unit { cause: About::Timer(vec![7; 32]), ..done("", 0, 9) });
    let (pages, _) = journal.freeze();
    let noted = |cause, later, ended, attempt, answers| Step::Unit(Noted { cause, later, ended, attempt, answers });
    let wanted = [
        noted(Cause::Record(0, 1), 0, Ending::Done, 3, Vec::new()),
        noted(Cause::Record(0, 2), 0, Ending::Done, 1, answers),
        noted(Cause::Record(0, 3), 0, Ending::Parked(99), 1, Vec::new()),
        noted(Cause::Parked(b"lane".to_vec()), 2, Ending::Done, 1, Vec::new()),
        noted(Cause::Timer(vec![7; 32]), -1, Ending::Done, 1, Vec::new()),
    ];
    assert_eq!(pages[0].steps, wanted);
    assert_eq!(Page::read(&pages[0].to_bytes()), Ok(pages[0].clone()));
}

#[test]
fn pages_are_numbered_on_across_lives() {
    let mut journal = fresh();
    journal.note(done("orders", 0, 1));
    let (_, changes) = journal.freeze();
    let mut next = Journal::of(kept(&changes), true, false);
    next.note(done("orders", 1, 2));
    let (pages, _) = next.freeze();
    assert_eq!((pages[0].number, pages[0].is_complete), (2, true));
}

#[test]
fn a_journal_that_begins_later_says_so() {
    let mut journal = Journal::of(Found::default(), true, false);
    journal.note(done("orders", 9, 1));
    let (pages, _) = journal.freeze();
    assert_eq!((pages[0].number, pages[0].is_complete), (1, false));
}

#[test]
fn where_it_is_off_the_state_does_not_tell_of_it() {
    let mut journal = fresh();
    journal.note(done("orders", 0, 1));
    let (_, changes) = journal.freeze();
    let mut off = Journal::of(kept(&changes), false, false);
    assert_eq!(off.stale().collect::<Vec<_>>(), [own_cell(JOURNAL)]);
    off.note(done("orders", 1, 1));
    let (pages, changes) = off.freeze();
    assert!(pages.is_empty() && off.stale().next().is_none());
    let changes: Vec<_> = changes.iter().map(|(suffix, value)| (suffix.clone(), value.clone())).collect();
    assert_eq!(changes, [(own_cell(JOURNAL), None)]);
    assert!(off.freeze().1.is_empty(), "once is enough");
}

#[test]
fn notes_that_a_life_left_go_where_the_journal_is_off() {
    let mut journal = fresh();
    let (number, note) = journal.single(done("orders", 0, 5)).expect("the journal is on");
    let mut changes = Ordered::default();
    changes.insert(note_suffix(number), Some(note.to_bytes()));
    let mut off = Journal::of(kept(&changes), false, false);
    assert_eq!(off.stale().collect::<Vec<_>>(), [note_suffix(number)]);
    let (pages, changes) = off.freeze();
    let changes: Vec<_> = changes.iter().map(|(suffix, value)| (suffix.clone(), value.clone())).collect();
    assert_eq!((pages, changes), (Vec::new(), vec![(note_suffix(number), None)]));
    assert!(off.stale().next().is_none());
}

#[test]
fn a_commit_of_nothing_has_no_page() {
    let (pages, changes) = fresh().freeze();
    assert!(pages.is_empty() && changes.is_empty());
}

#[test]
fn a_long_commit_has_more_than_one_page() {
    let mut journal = fresh();
    for offset in 0..10_000 {
        journal.note(done("orders", 2 * offset, 1));
    }
    let (pages, changes) = journal.freeze();
    assert_eq!(pages.iter().map(|page| page.number).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(pages.iter().map(Page::units).sum::<u64>(), 10_000);
    assert!(pages.iter().all(|page| page.to_bytes().len() <= PAGE_BYTES));
    assert_eq!(kept(&changes).last, Some(Last { number: 2, is_complete: true }));
}

#[test]
fn notes_of_single_units_become_a_page() {
    let mut journal = fresh();
    let (first, one) = journal.single(done("orders", 0, 5)).expect("the journal is on");
    let (second, other) = journal.single(Unit { attempt: 2, ..done("stock", 4, 6) }).expect("the journal is on");
    // They end in another order than they committed in: lanes are apart.
    journal.take_note(second, other.clone());
    journal.take_note(first, one.clone());
    let (pages, changes) = journal.freeze();
    let [page] = &pages[..] else { panic!("one page") };
    let slow = Noted { cause: Cause::Record(0, 4), later: 0, ended: Ending::Done, attempt: 2, answers: Vec::new() };
    assert_eq!((page.at, &page.topics), (6, &vec!["stock".to_owned(), "orders".to_owned()]));
    assert_eq!(page.steps, [Step::Unit(slow), Step::Run(1, 0, 1, -1)]);
    let removed: Vec<_> =
        changes.iter().filter(|(_, value)| value.is_none()).map(|(suffix, _)| suffix.clone()).collect();
    assert_eq!(removed, [note_suffix(first), note_suffix(second)]);
}

#[test]
fn notes_that_a_life_left_are_taken_by_the_next() {
    let mut journal = fresh();
    let (number, note) = journal.single(done("orders", 0, 5)).expect("the journal is on");
    let mut changes = Ordered::default();
    changes.insert(note_suffix(number), Some(note.to_bytes()));
    let mut next = Journal::of(kept(&changes), true, true);
    let (following, _) = next.single(done("orders", 1, 6)).expect("the journal is on");
    assert!(following > number);
    let (pages, _) = next.freeze();
    assert_eq!((pages[0].number, pages[0].steps.as_slice()), (1, &[Step::Run(0, 0, 1, 0)][..]));
}
