//! Who may relay, and how whoever sleeps is woken.

use std::time::Duration;

use futures_util::future::{Either, select};
use tidemill_core::ports::{Lease, Outbox};

use super::{NAME, Outboxes, add, draft, next, open};

/// How long a holder may be silent: longer than what is done between two checks of it, where time is real.
const TIME: Duration = Duration::from_secs(1);
/// What comes at all comes within this time.
const PATIENCE: Duration = Duration::from_secs(10);

fn lease(name: &str, holder: &str) -> Lease {
    Lease { name: name.into(), holder: holder.into(), time: TIME }
}

async fn holds(outbox: &mut dyn Outbox, lease: &Lease) -> bool {
    outbox.hold(lease, false).await.expect("it answers")
}

pub(super) async fn one_holder(place: &dyn Outboxes) {
    let (mut left, mut right) = (open(place).await, open(place).await);
    let (first, second) = (lease(NAME, "first"), lease(NAME, "second"));
    assert!(holds(&mut *left, &first).await);
    assert!(!holds(&mut *right, &second).await);
    assert!(holds(&mut *left, &first).await, "kept");
    assert!(holds(&mut *right, &first).await, "it is the holder's, by whatever handle");
    right.release(&second).await.expect("it answers");
    assert!(!holds(&mut *right, &second).await, "whoever does not hold it cannot give it up");
    left.release(&first).await.expect("it answers");
    assert!(holds(&mut *right, &second).await, "given up, and taken at once");
    assert!(!holds(&mut *left, &first).await);
    drop(right);
    assert!(!holds(&mut *left, &first).await, "who is gone said nothing of it");
}

pub(super) async fn over(place: &dyn Outboxes) {
    let (mut left, mut right) = (open(place).await, open(place).await);
    let (first, second) = (lease(NAME, "first"), lease(NAME, "second"));
    assert!(holds(&mut *left, &first).await);
    for _ in 0..3 {
        place.pass(TIME * 2 / 3).await;
        assert!(holds(&mut *left, &first).await, "kept in time");
        assert!(!holds(&mut *right, &second).await, "renewed");
    }
    place.pass(TIME * 5 / 4).await;
    assert!(holds(&mut *right, &second).await, "it was over");
    assert!(!holds(&mut *left, &first).await, "too late");
    left.release(&first).await.expect("it answers");
    assert!(!holds(&mut *left, &first).await, "it is another's");
    place.pass(TIME * 5 / 4).await;
    assert!(holds(&mut *right, &second).await, "over, and nobody took it");
}

/// A handle whose relay sleeps.
async fn asleep(place: &dyn Outboxes) -> Box<dyn Outbox> {
    let mut outbox = open(place).await;
    assert_eq!(outbox.hold(&lease(NAME, "first"), true).await, Ok(true));
    next(&mut *outbox).await;
    outbox
}

/// Goes on when it is woken by what is done meanwhile.
async fn is_woken(place: &dyn Outboxes, outbox: &mut dyn Outbox, by: impl Future<Output = ()>) {
    let woken = async { futures_util::future::join(outbox.woken(), by).await };
    let over = place.pass(PATIENCE);
    assert!(matches!(select(Box::pin(woken), over).await, Either::Left(_)), "nobody woke it");
}

pub(super) async fn woken(place: &dyn Outboxes) {
    let mut outbox = asleep(place).await;
    is_woken(place, &mut *outbox, add(place, &[draft("k", "1")])).await;
    assert_eq!(next(&mut *outbox).await.len(), 1);
    // It came before it was waited for, and behind the look.
    let mut outbox = asleep(place).await;
    add(place, &[draft("k", "2")]).await;
    is_woken(place, &mut *outbox, std::future::ready(())).await;
    // It is there when it has woken somebody.
    let mut outbox = asleep(place).await;
    let rows = [draft("k", "3"), draft("k", "4")];
    let adds = place.transact(&rows, true, Box::pin(place.pass(Duration::from_millis(20))));
    is_woken(place, &mut *outbox, adds).await;
    assert_eq!(next(&mut *outbox).await.len(), 4);
}

pub(super) async fn woken_by_operators(place: &dyn Outboxes) {
    add(place, &[draft("k", "1"), draft("j", "2")]).await;
    let mut operator = open(place).await;
    let rows = next(&mut *operator).await;
    for row in &rows {
        operator.park(row.id, "why").await.expect("it parks");
    }
    let mut outbox = asleep(place).await;
    let retried = async { assert_eq!(operator.retry(rows[0].id, "it").await, Ok(true)) };
    is_woken(place, &mut *outbox, retried).await;
    let mut outbox = asleep(place).await;
    let discarded = async { assert_eq!(operator.discard(rows[1].id, "it").await, Ok(true)) };
    is_woken(place, &mut *outbox, discarded).await;
}
