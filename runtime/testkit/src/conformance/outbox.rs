//! The contract of [`Outbox`], check by check. Every adapter passes all of them; none knows an adapter.

mod lease;
mod local;
mod note;
mod parking;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use futures_util::future::{LocalBoxFuture, ready};
use tidemill_core::ports::{Fill, Outbox, OutboxRow, Which};

pub use local::LocalRows;
pub use note::{AT, Draft, Note, TOPICS};

/// No limit for rows or bytes.
const ALL: usize = usize::MAX;
/// What publishes are counted under.
const NAME: &str = "relay";

/// A place with an outbox, which is empty when it is made.
pub trait Outboxes {
    /// A handle on the outbox. Several may be open at the same time.
    fn outbox(&self) -> Box<dyn Outbox>;

    /// Adds rows in one transaction, goes on with `meanwhile` while that is open, and then commits it or not.
    fn transact<'a>(
        &'a self,
        rows: &'a [Draft],
        commits: bool,
        meanwhile: LocalBoxFuture<'a, ()>,
    ) -> LocalBoxFuture<'a, ()>;

    /// Whether a row may say which partition it goes to.
    fn places_rows(&self) -> bool;

    /// Runs a check to its end.
    fn run(&self, check: LocalBoxFuture<'_, ()>);

    /// Completes when so much of the outbox's time has passed.
    fn pass(&self, duration: Duration) -> LocalBoxFuture<'static, ()>;
}

/// A check: its name, and what fails when the contract is broken.
type Check = (&'static str, for<'a> fn(&'a dyn Outboxes) -> LocalBoxFuture<'a, ()>);

/// Makes a [`Check`] out of an async function and its description.
macro_rules! checks {
    ($($name:literal => $check:path,)*) => {
        &[$(($name, |place| Box::pin($check(place)))),*]
    };
}

const CHECKS: &[Check] = checks![
    "an empty outbox holds nothing" => holds_nothing,
    "a row comes as it was added" => as_it_was_added,
    "rows come in the order in which they were added" => in_order,
    "what is not committed is not there" => uncommitted,
    "rows and bytes are bounded" => bounds,
    "only the very row is deleted" => deletes,
    "the number of publishes is kept, and never goes back" => publishes,
    "lists come in pages" => pages,
    "handles share one outbox" => handles,
    "a parked row takes with it what stands behind it" => parking::stands,
    "what stands before a parked row goes on" => parking::before,
    "a row without a key is parked alone" => parking::without_key,
    "a parked row is retried" => parking::retried,
    "a parked row is discarded" => parking::discarded,
    "several parked rows of a key" => parking::several,
    "a lease has one holder" => lease::one_holder,
    "a lease that is over is taken" => lease::over,
    "who sleeps is woken by what was added" => lease::woken,
    "who sleeps is woken by operators" => lease::woken_by_operators,
];

/// Runs every check, each one in a place of its own, and panics with the names of those that failed.
pub fn outbox(mut place: impl FnMut() -> Box<dyn Outboxes>) {
    let failed: Vec<_> = CHECKS
        .iter()
        .filter(|(_, check)| {
            let run = || {
                let place = place();
                place.run(check(&*place));
            };
            catch_unwind(AssertUnwindSafe(run)).is_err()
        })
        .map(|(name, _)| *name)
        .collect();
    assert!(failed.is_empty(), "broken contracts: {failed:#?}");
}

/// A handle that is open.
async fn open(place: &dyn Outboxes) -> Box<dyn Outbox> {
    let mut outbox = place.outbox();
    outbox.open().await.expect("it opens");
    outbox
}

/// A row of the first topic.
fn draft(key: &'static str, value: &str) -> Draft {
    Draft { topic: 0, partition: None, key: Some(key), value: value.to_owned() }
}

/// Adds rows that commit.
async fn add(place: &dyn Outboxes, rows: &[Draft]) {
    place.transact(rows, true, Box::pin(ready(()))).await;
}

async fn next(outbox: &mut dyn Outbox) -> Vec<OutboxRow> {
    outbox.next(ALL, ALL).await.expect("it reads")
}

async fn list(outbox: &mut dyn Outbox, which: Which) -> Vec<OutboxRow> {
    outbox.list(which, None, ALL).await.expect("it reads")
}

/// What the rows' values say.
fn values(rows: &[OutboxRow]) -> Vec<String> {
    rows.iter().map(|row| String::from_utf8(row.value.clone().expect("a value").to_vec()).expect("text")).collect()
}

async fn holds_nothing(place: &dyn Outboxes) {
    let mut outbox = open(place).await;
    assert_eq!(next(&mut *outbox).await, []);
    assert_eq!(list(&mut *outbox, Which::All).await, []);
    assert_eq!(outbox.fill().await, Ok(Fill::default()));
    assert_eq!(outbox.publishes(NAME).await, Ok(0));
    assert_eq!(outbox.delete(&[(1, [1; 16])], NAME, 0).await, Ok(()));
    assert_eq!(outbox.park(1, "why").await, Ok(()), "whoever deleted it was quicker");
    assert_eq!((outbox.retry(1, "").await, outbox.discard(1, "").await), (Ok(false), Ok(false)));
}

async fn as_it_was_added(place: &dyn Outboxes) {
    let mut rows = vec![
        Draft { topic: 1, ..draft("k", "one") },
        Draft { key: None, ..draft("", "two") },
        draft("", ""),
        draft("a key of more than the few bytes that most have", &"long".repeat(60_000)),
    ];
    if place.places_rows() {
        rows.push(Draft { partition: Some(3), ..draft("k", "placed") });
    }
    add(place, &rows).await;
    let mut outbox = open(place).await;
    let found = next(&mut *outbox).await;
    assert_eq!(found, list(&mut *outbox, Which::All).await);
    assert_eq!(found.len(), rows.len());
    for (found, added) in found.iter().zip(&rows) {
        assert_eq!((&*found.topic, found.partition), (TOPICS[added.topic], added.partition));
        assert_eq!((found.at, found.parked.as_ref()), (AT, None));
        assert_eq!(found.key.as_deref(), added.key.map(str::as_bytes));
        assert_eq!(found.value.as_deref(), Some(added.value.as_bytes()));
    }
    let mut events: Vec<_> = found.iter().map(|row| row.event).collect();
    events.sort_unstable();
    events.dedup();
    assert_eq!(events.len(), rows.len(), "no two have the same");
}

async fn in_order(place: &dyn Outboxes) {
    let mut outbox = open(place).await;
    for from in (0..40).step_by(8) {
        let rows: Vec<_> = (from..from + 8).map(|n| draft(["a", "b", "c"][n % 3], &n.to_string())).collect();
        add(place, &rows).await;
    }
    let found = next(&mut *outbox).await;
    assert!(found.is_sorted_by(|before, after| before.id < after.id));
    assert_eq!(values(&found), (0..40).map(|n| n.to_string()).collect::<Vec<_>>());
}

async fn uncommitted(place: &dyn Outboxes) {
    let mut outbox = open(place).await;
    let empty = async |outbox: &mut dyn Outbox| {
        assert_eq!(next(outbox).await, []);
        assert_eq!(list(outbox, Which::All).await, []);
        assert_eq!(outbox.fill().await, Ok(Fill::default()));
    };
    let rows = [draft("k", "1"), draft("k", "2")];
    for commits in [false, true] {
        place.transact(&rows, commits, Box::pin(empty(&mut *outbox))).await;
        if !commits {
            empty(&mut *outbox).await;
        }
    }
    assert_eq!(values(&next(&mut *outbox).await), ["1", "2"]);
}

async fn bounds(place: &dyn Outboxes) {
    let rows: Vec<_> = (0..9).map(|n| draft("k", &format!("{n}-bytes-10"))).collect();
    add(place, &rows).await;
    let mut outbox = open(place).await;
    let mut count = async |rows, bytes| outbox.next(rows, bytes).await.expect("it reads").len();
    assert_eq!((count(1, ALL).await, count(4, ALL).await, count(90, ALL).await), (1, 4, 9));
    assert_eq!((count(ALL, 20).await, count(ALL, 21).await), (2, 3), "the row that goes beyond is the last");
    assert_eq!(count(ALL, 1).await, 1, "one always comes");
    assert_eq!((count(2, 40).await, count(4, 20).await), (2, 2), "whichever is reached first");
}

async fn deletes(place: &dyn Outboxes) {
    add(place, &[draft("a", "1"), draft("b", "2"), draft("c", "3")]).await;
    let mut outbox = open(place).await;
    let rows = next(&mut *outbox).await;
    let sent: Vec<_> = rows.iter().map(|row| (row.id, row.event)).collect();
    // An id of one with the event of another, an id that nobody has, an event that nobody has.
    let strange = [(sent[0].0, sent[1].1), (sent[2].0 + 7, sent[2].1), (sent[1].0, [7; 16])];
    outbox.delete(&strange, NAME, 1).await.expect("it deletes");
    assert_eq!(next(&mut *outbox).await, rows);
    for _ in 0..2 {
        outbox.delete(&[sent[0], sent[2], strange[2]], NAME, 2).await.expect("it deletes");
        assert_eq!(next(&mut *outbox).await, [rows[1].clone()]);
    }
    // What was sent is not to be sent again, whoever parked it meanwhile.
    outbox.park(sent[1].0, "why").await.expect("it parks");
    outbox.delete(&[sent[1]], NAME, 3).await.expect("it deletes");
    assert_eq!(list(&mut *outbox, Which::All).await, []);
}

async fn publishes(place: &dyn Outboxes) {
    let mut outbox = open(place).await;
    add(place, &[draft("a", "1"), draft("b", "2")]).await;
    let sent: Vec<_> = next(&mut *outbox).await.iter().map(|row| (row.id, row.event)).collect();
    for (publish, kept) in [(1, 1), (3, 3), (2, 3), (3, 3)] {
        outbox.delete(&[], NAME, publish).await.expect("it deletes");
        assert_eq!(outbox.publishes(NAME).await, Ok(kept));
    }
    outbox.delete(&sent[..1], NAME, 1).await.expect("it deletes");
    assert_eq!((outbox.publishes(NAME).await, next(&mut *outbox).await.len()), (Ok(3), 1), "rows go all the same");
    assert_eq!(outbox.publishes("another").await, Ok(0));
    outbox.delete(&sent[1..], "another", 1).await.expect("it deletes");
    let mut other = open(place).await;
    assert_eq!((other.publishes(NAME).await, other.publishes("another").await), (Ok(3), Ok(1)));
}

async fn pages(place: &dyn Outboxes) {
    let rows: Vec<_> = (0..7).map(|n| draft(["a", "b"][n % 2], &n.to_string())).collect();
    add(place, &rows).await;
    let mut outbox = open(place).await;
    let all = list(&mut *outbox, Which::All).await;
    for place in [1, 2, 5] {
        outbox.park(all[place].id, "why").await.expect("it parks");
    }
    outbox.delete(&[(all[3].id, all[3].event)], NAME, 1).await.expect("it deletes");
    for (which, expected) in [(Which::All, &["0", "1", "2", "4", "5", "6"][..]), (Which::Parked, &["1", "2", "5"])] {
        for limit in 1..8 {
            let (mut after, mut seen) = (None, Vec::new());
            loop {
                let page = outbox.list(which, after, limit).await.expect("it reads");
                assert!(page.len() <= limit && page.iter().all(|row| after < Some(row.id)));
                let Some(last) = page.last() else { break };
                after = Some(last.id);
                seen.extend(values(&page));
            }
            assert_eq!(seen, expected, "{which:?}, {limit} at a time");
        }
    }
    // Behind a row that is gone, and before the first one.
    let behind = outbox.list(Which::All, Some(all[3].id), ALL).await.expect("it reads");
    assert_eq!(values(&behind), ["4", "5", "6"]);
    assert_eq!(values(&outbox.list(Which::All, Some(0), 1).await.expect("it reads")), ["0"]);
}

async fn handles(place: &dyn Outboxes) {
    let (mut first, mut second) = (place.outbox(), place.outbox());
    let identity = first.open().await.expect("it opens");
    assert_eq!(second.open().await, Ok(identity.clone()));
    add(place, &[draft("a", "1"), draft("b", "2"), draft("c", "3")]).await;
    let rows = next(&mut *first).await;
    assert_eq!(next(&mut *second).await, rows);
    second.park(rows[0].id, "why").await.expect("it parks");
    second.delete(&[(rows[1].id, rows[1].event)], NAME, 5).await.expect("it deletes");
    assert_eq!(next(&mut *first).await, rows[2..]);
    drop(second);
    // Opened again where it is open.
    assert_eq!(first.open().await, Ok(identity));
    let parked = list(&mut *first, Which::Parked).await;
    assert_eq!(
        (&*parked, first.publishes(NAME).await),
        (&[OutboxRow { parked: Some("why".into()), ..rows[0].clone() }][..], Ok(5))
    );
}
