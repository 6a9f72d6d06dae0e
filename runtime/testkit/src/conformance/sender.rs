//! The contract of [`Sender`].

use bytes::Bytes;
use tidemill_core::outputs::Outputs;
use tidemill_core::ports::{Answer, Sender};
use tidemill_core::record::TopicPartition;
use tidemill_core::time::Timestamp;

use super::scene::{Check, Fixture, Scene, checks, poll_once, records_for, run_all};

const CHECKS: &[Check] = checks![
    "a name under which nothing was published has no receipt" => nothing,
    "the next holder reads the last receipt" => handed_on,
    "who does not hold the name publishes nothing" => fenced,
    "a publish that is refused leaves nothing" => refused,
    "what nobody waits for is there whole or not at all" => given_up,
    "names are apart" => apart,
];

/// Runs every check of senders, and panics with the names of those that failed.
pub fn sender(fixture: &dyn Fixture) {
    run_all(fixture, "sender", CHECKS);
}

async fn open(scene: &Scene<'_>, name: &str) -> Box<dyn Sender> {
    let name = scene.name(name);
    if let Some(own) = scene.broker.sender_topic(&name) {
        scene.broker.create_own(&own.name, &[], own.partitions.unwrap_or(1)).await.expect("it can be created");
    }
    scene.broker.sender(&name).expect("it is offered")
}

/// A topic of one partition.
async fn out(scene: &Scene<'_>) -> TopicPartition {
    scene.create("out", 1).await;
    scene.partition("out", 0)
}

fn records(place: &TopicPartition, values: &[&str]) -> Outputs {
    records_for(values.iter().map(|value| (place, *value, Timestamp::from_millis(1_000))))
}

/// What can be read of the topic. Everything that is there, also what was undone, has to come before what is published now.
async fn read(scene: &Scene<'_>, place: &TopicPartition) -> Vec<String> {
    let (mut from, mut read) = (0, Vec::new());
    let (_, end) = scene.broker.topics().offsets(place).await.expect("it is there");
    while from < end {
        let batch = scene.broker.topics().records(place, from, 100).await.expect("it can be read");
        let text = |value: Option<Bytes>| String::from_utf8(value.expect("a value").to_vec()).expect("text");
        read.extend(batch.records.into_iter().map(|record| text(record.value)));
        if batch.next <= from {
            scene.fixture.pass(scene.fixture.watch()).await;
        }
        from = batch.next.max(from);
    }
    read
}

/// Who was put out in the middle of a publish need not know whether it came before; the next receipt tells.
fn is_not_taken(answer: &Answer) {
    assert!(matches!(answer, Answer::Fenced(_) | Answer::Unknown(_)), "{answer:?}");
}

async fn nothing(scene: &mut Scene<'_>) {
    let mut sender = open(scene, "relay").await;
    assert_eq!(sender.take().await, Ok(None));
    assert_eq!(sender.take().await, Ok(None), "taken again");
}

async fn handed_on(scene: &mut Scene<'_>) {
    let place = out(scene).await;
    let mut first = open(scene, "relay").await;
    assert_eq!(first.take().await, Ok(None));
    for (value, receipt) in [("a", "1"), ("b", "2")] {
        assert_eq!(first.send(records(&place, &[value]), receipt.into()).await, Answer::Committed);
    }
    drop(first);
    let mut second = open(scene, "relay").await;
    assert_eq!(second.take().await, Ok(Some("2".into())));
    assert_eq!(second.send(records(&place, &["c"]), "3".into()).await, Answer::Committed);
    assert_eq!(second.take().await, Ok(Some("3".into())), "taken again");
    assert_eq!(read(scene, &place).await, ["a", "b", "c"]);
}

async fn fenced(scene: &mut Scene<'_>) {
    let place = out(scene).await;
    let (mut first, mut second) = (open(scene, "relay").await, open(scene, "relay").await);
    let answer = first.send(records(&place, &["stray"]), "0".into()).await;
    assert!(matches!(answer, Answer::Fenced(_)), "before it was taken: {answer:?}");
    assert_eq!(first.take().await, Ok(None));
    assert_eq!(first.send(records(&place, &["a"]), "1".into()).await, Answer::Committed);
    assert_eq!(second.take().await, Ok(Some("1".into())));
    for _ in 0..2 {
        is_not_taken(&first.send(records(&place, &["stray"]), "stray".into()).await);
    }
    // And the one who was fenced has not fenced its successor.
    assert_eq!(second.send(records(&place, &["b"]), "2".into()).await, Answer::Committed);
    assert_eq!(first.take().await, Ok(Some("2".into())));
    is_not_taken(&second.send(records(&place, &["stray"]), "stray".into()).await);
    assert_eq!(read(scene, &place).await, ["a", "b"]);
}

async fn refused(scene: &mut Scene<'_>) {
    let place = out(scene).await;
    let nowhere = scene.partition("out", 7);
    let mut sender = open(scene, "relay").await;
    assert_eq!(sender.take().await, Ok(None));
    assert_eq!(sender.send(records(&place, &["a"]), "1".into()).await, Answer::Committed);
    let mixed = records_for([(&place, "x", Timestamp::default()), (&nowhere, "y", Timestamp::default())]);
    let answer = sender.send(mixed, "2".into()).await;
    assert!(!matches!(answer, Answer::Committed | Answer::Fenced(_)), "{answer:?}");
    assert_eq!(sender.take().await, Ok(Some("1".into())));
    assert_eq!(sender.send(records(&place, &["b"]), "3".into()).await, Answer::Committed);
    assert_eq!(read(scene, &place).await, ["a", "b"]);
}

async fn given_up(scene: &mut Scene<'_>) {
    let place = out(scene).await;
    let mut first = open(scene, "relay").await;
    assert_eq!(first.take().await, Ok(None));
    let answer = poll_once(first.send(records(&place, &["a"]), "1".into())).await;
    drop(first);
    let mut second = open(scene, "relay").await;
    let receipt = second.take().await.expect("it can be taken");
    assert!(receipt.is_some() || answer.is_none(), "answered, and gone");
    assert_eq!(second.send(records(&place, &["b"]), "2".into()).await, Answer::Committed);
    let expected: &[&str] = if receipt.is_some() { &["a", "b"] } else { &["b"] };
    assert_eq!(read(scene, &place).await, expected);
}

async fn apart(scene: &mut Scene<'_>) {
    let place = out(scene).await;
    let (mut left, mut right) = (open(scene, "left").await, open(scene, "right").await);
    assert_eq!((left.take().await, right.take().await), (Ok(None), Ok(None)));
    assert_eq!(left.send(records(&place, &["l"]), "l".into()).await, Answer::Committed);
    assert_eq!(right.send(records(&place, &["r"]), "r".into()).await, Answer::Committed);
    assert_eq!((left.take().await, right.take().await), (Ok(Some("l".into())), Ok(Some("r".into()))));
}
