//! Rows that the log does not take, and what stands behind them.

use tidemill_core::ports::{Fill, Outbox, Which};

use super::{Draft, NAME, Outboxes, add, draft, list, next, open, values};

/// Ids by value: `"3"` is that of the row that says so.
async fn id(outbox: &mut dyn Outbox, value: &str) -> u64 {
    let all = list(outbox, Which::All).await;
    let place = values(&all).iter().position(|found| found == value).expect("it is there");
    all[place].id
}

async fn park(outbox: &mut dyn Outbox, value: &str) {
    let id = id(outbox, value).await;
    outbox.park(id, &format!("why {value}")).await.expect("it parks");
}

/// What will be sent, and what stands.
async fn goes(outbox: &mut dyn Outbox, expected: &[&str], parked: u64) {
    assert_eq!(values(&next(outbox).await), expected);
    assert_eq!(outbox.fill().await, Ok(Fill { waiting: expected.len() as u64, parked }));
}

pub(super) async fn stands(place: &dyn Outboxes) {
    let right = |value| Draft { topic: 1, ..draft("k", value) };
    let keyless = Draft { key: None, ..draft("", "5") };
    add(place, &[draft("k", "1"), draft("k", "2"), right("3"), draft("j", "4"), keyless, draft("", "6")]).await;
    let mut outbox = open(place).await;
    park(&mut *outbox, "1").await;
    goes(&mut *outbox, &["3", "4", "5", "6"], 2).await;
    // What comes later stands too, and a limit counts what goes.
    add(place, &[draft("k", "7"), draft("j", "8")]).await;
    goes(&mut *outbox, &["3", "4", "5", "6", "8"], 3).await;
    let first = outbox.next(5, usize::MAX).await.expect("it reads");
    assert_eq!(values(&first), ["3", "4", "5", "6", "8"]);
    let parked = list(&mut *outbox, Which::Parked).await;
    assert_eq!(values(&parked), ["1"], "those behind it are not parked themselves");
    assert_eq!(parked[0].parked.as_deref(), Some("why 1"));
    assert_eq!(values(&list(&mut *outbox, Which::All).await), ["1", "2", "3", "4", "5", "6", "7", "8"]);
    // An empty key is one.
    park(&mut *outbox, "6").await;
    add(place, &[draft("", "9")]).await;
    goes(&mut *outbox, &["3", "4", "5", "8"], 5).await;
}

pub(super) async fn before(place: &dyn Outboxes) {
    add(place, &[draft("k", "1"), draft("j", "2"), draft("k", "3"), draft("k", "4"), draft("j", "5")]).await;
    let mut outbox = open(place).await;
    park(&mut *outbox, "2").await;
    park(&mut *outbox, "3").await;
    goes(&mut *outbox, &["1"], 4).await;
    let first = next(&mut *outbox).await;
    outbox.delete(&[(first[0].id, first[0].event)], NAME, 1).await.expect("it deletes");
    goes(&mut *outbox, &[], 4).await;
}

pub(super) async fn without_key(place: &dyn Outboxes) {
    let keyless = |value| Draft { key: None, ..draft("", value) };
    add(place, &[keyless("1"), keyless("2"), draft("", "3"), keyless("4")]).await;
    let mut outbox = open(place).await;
    park(&mut *outbox, "1").await;
    park(&mut *outbox, "2").await;
    goes(&mut *outbox, &["3", "4"], 2).await;
}

pub(super) async fn retried(place: &dyn Outboxes) {
    add(place, &[draft("k", "1"), draft("k", "2"), draft("j", "3")]).await;
    let mut outbox = open(place).await;
    park(&mut *outbox, "1").await;
    let (first, second) = (id(&mut *outbox, "1").await, id(&mut *outbox, "2").await);
    let untouched = list(&mut *outbox, Which::All).await;
    // It stands behind one that is parked, and is not parked; nobody has the other id.
    assert_eq!((outbox.retry(second, "it").await, outbox.retry(first + 90, "it").await), (Ok(false), Ok(false)));
    assert_eq!(list(&mut *outbox, Which::All).await, untouched);
    assert_eq!(outbox.retry(first, "the topic is there now").await, Ok(true));
    goes(&mut *outbox, &["1", "2", "3"], 0).await;
    assert_eq!(outbox.retry(first, "again").await, Ok(false));
    // It may be parked again.
    park(&mut *outbox, "1").await;
    goes(&mut *outbox, &["3"], 2).await;
    assert_eq!(outbox.retry(first, "once more").await, Ok(true));
    goes(&mut *outbox, &["1", "2", "3"], 0).await;
}

pub(super) async fn discarded(place: &dyn Outboxes) {
    add(place, &[draft("k", "1"), draft("k", "2"), draft("j", "3")]).await;
    let mut outbox = open(place).await;
    park(&mut *outbox, "1").await;
    let (first, second) = (id(&mut *outbox, "1").await, id(&mut *outbox, "2").await);
    assert_eq!((outbox.discard(second, "it").await, outbox.discard(first + 90, "it").await), (Ok(false), Ok(false)));
    goes(&mut *outbox, &["3"], 2).await;
    assert_eq!(outbox.discard(first, "nobody needs it").await, Ok(true));
    assert_eq!(outbox.discard(first, "again").await, Ok(false));
    goes(&mut *outbox, &["2", "3"], 0).await;
    assert_eq!(outbox.discard(second, "it is not parked").await, Ok(false));
    goes(&mut *outbox, &["2", "3"], 0).await;
}

pub(super) async fn several(place: &dyn Outboxes) {
    add(place, &[draft("k", "1"), draft("k", "2"), draft("k", "3"), draft("k", "4")]).await;
    let mut outbox = open(place).await;
    park(&mut *outbox, "1").await;
    park(&mut *outbox, "3").await;
    goes(&mut *outbox, &[], 4).await;
    let (first, third) = (id(&mut *outbox, "1").await, id(&mut *outbox, "3").await);
    assert_eq!(outbox.retry(first, "it").await, Ok(true));
    goes(&mut *outbox, &["1", "2"], 2).await;
    assert_eq!(outbox.discard(third, "it").await, Ok(true));
    goes(&mut *outbox, &["1", "2", "4"], 0).await;
}
