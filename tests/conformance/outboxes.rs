//! The outbox of a directory of rows: over memory, sled and fjall.

use std::collections::BTreeSet;
use std::future::ready;
use std::path::Path;
use std::sync::Arc;

use tidemill_core::ports::{OutboxRow, Which};
use tidemill_embedded::store::StoreKind;
use tidemill_embedded::{Local, Settings};
use tidemill_testkit::conformance::{self, Draft, LocalRows, Outboxes as _};
use tidemill_testkit::fakes::{Inline, VirtualClock, block_on};

fn open(kind: StoreKind, directory: &Path) -> LocalRows {
    let (clock, settings) = (VirtualClock::new(), Settings { store: kind, ..Settings::default() });
    let local = Local::open(directory, &settings, Arc::<VirtualClock>::clone(&clock), Arc::new(Inline)).unwrap();
    LocalRows::new(clock, local)
}

fn on_disk(kind: StoreKind) {
    // Gone when the test ends.
    let directory = tempfile::tempdir().unwrap();
    let mut count = 0;
    conformance::outbox(|| {
        count += 1;
        Box::new(open(kind, &directory.path().join(format!("{count}"))))
    });
}

#[test]
fn memory_has_an_outbox() {
    conformance::outbox(|| Box::new(LocalRows::memory()));
}

#[test]
fn sled_carries_an_outbox() {
    on_disk(StoreKind::Sled);
}

#[test]
fn fjall_carries_an_outbox() {
    on_disk(StoreKind::Fjall);
}

/// Adds rows that commit, or do not, and answers what is there then.
async fn add(rows: &LocalRows, values: &[&str], commits: bool) -> Vec<OutboxRow> {
    let draft = |value: &&str| Draft { topic: 0, partition: None, key: Some("k"), value: (*value).to_owned() };
    let drafts: Vec<_> = values.iter().map(draft).collect();
    rows.transact(&drafts, commits, Box::pin(ready(()))).await;
    rows.outbox().list(Which::All, None, usize::MAX).await.unwrap()
}

/// Opens a directory again and again, as after the end of a process that closed nothing. An id that is given out twice would be that
/// of an event which a relay has sent.
fn opened_again(kind: StoreKind) {
    let directory = tempfile::tempdir().unwrap();
    let (mut identities, mut ids) = (BTreeSet::new(), BTreeSet::new());
    let mut expected = Vec::new();
    for life in 1..=6_u64 {
        let rows = open(kind, directory.path());
        block_on(rows.clock(), async {
            let mut outbox = rows.outbox();
            identities.insert(outbox.open().await.unwrap());
            assert_eq!(outbox.list(Which::All, None, usize::MAX).await.unwrap(), expected, "life {life}");
            assert_eq!(outbox.publishes("relay").await, Ok(life - 1));
            add(&rows, &["lost", "lost"], false).await;
            expected = add(&rows, &["one", "two", "three"], true).await;
            let is_new = |row: &OutboxRow| ids.insert(row.id);
            assert_eq!(expected.iter().rev().take(3).map(is_new).filter(|is_new| *is_new).count(), 3, "life {life}");
            // In some lives all of them go, in some the last ones, and in some the very last is discarded and the first stays parked.
            let going: Vec<_> = match life % 3 {
                0 => std::mem::take(&mut expected),
                1 => expected.drain(1..).collect(),
                _ => {
                    let last = expected.pop().unwrap();
                    outbox.park(last.id, "why").await.unwrap();
                    assert_eq!(outbox.discard(last.id, "nobody needs it").await, Ok(true));
                    outbox.park(expected[0].id, "why").await.unwrap();
                    expected[0].parked = Some("why".to_owned());
                    expected.drain(1..).collect()
                }
            };
            let sent: Vec<_> = going.iter().map(|row| (row.id, row.event)).collect();
            outbox.delete(&sent, "relay", life).await.unwrap();
        });
    }
    assert_eq!(identities.len(), 1);
}

#[test]
fn sled_keeps_an_outbox() {
    opened_again(StoreKind::Sled);
}

#[test]
fn fjall_keeps_an_outbox() {
    opened_again(StoreKind::Fjall);
}
