//! The contract of both commit shapes. The checks say what a unit did; how it is committed is the shape's matter.

mod fences;
mod shapes;

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use tidemill_core::outputs::Outputs;
use tidemill_core::ports::{
    Answer, Change, CommitBatch, Committing, Done, Entry, Generation, KeyRange, ShardCommit, UnitEffects,
};
use tidemill_core::progress::Progress;
use tidemill_core::record::TopicPartition;
use tidemill_core::time::Timestamp;

use shapes::Did;

use super::scene::{Check, Fixture, Scene, checks, poll_once, records_for, run_all};

const CHECKS: &[Check] = checks![
    "a group that never committed has no progress" => no_progress,
    "progress comes back as it was committed" => progress_comes_back,
    "a load that nobody waits for disturbs no later one" => load_given_up,
    "state is read as it was committed" => state_comes_back,
    "outputs are there with the commit, in order" => outputs_in_order,
    "a commit that fails leaves nothing" => fails_whole,
    "a commit of an earlier ownership is fenced and leaves nothing" => fences::fenced,
    "a commit by which no owner can be checked is fenced" => fences::unchecked,
    "a commit of what was lost is fenced" => fences::fenced_when_lost,
    "a commit of an owner that hung and does not know of its loss is fenced" => fences::fenced_unawares,
    "a commit while the drain lasts is good" => fences::good_while_draining,
    "what everybody holds after a move is good" => fences::good_after_a_move,
    "state of other groups and shards is not seen" => apart,
    "members commit at the same time" => at_the_same_time,
    "a range of state is cut by its bounds and its limit" => ranges,
    "a commit of progress alone is good" => progress_alone,
    "units that a fold does not know stay" => fold_keeps,
    "what goes with a fold is there with it, and of one that is fenced nothing" => fold_brings,
    "a large commit is applied" => large,
    "a record that is done, or an event that is known, is not done again" => done_once,
    "the next owner goes on from what was committed" => next_owner,
];

/// Runs every check of commits, in the shape that the broker's members have, and panics with the names of those that
/// failed.
pub fn commit(fixture: &dyn Fixture) {
    run_all(fixture, "commit", CHECKS);
}

/// One member that holds all of a topic with two partitions and an output topic with one.
async fn owning(scene: &mut Scene<'_>) -> (TopicPartition, TopicPartition) {
    scene.create("in", 2).await;
    scene.create("out", 1).await;
    let (place, out) = (scene.partition("in", 0), scene.partition("out", 0));
    scene.publish(&place, 0..10).await;
    scene.join("group", &["in"]).await;
    scene.until_shared(&[("in", 2)]).await;
    (place, out)
}

fn texts<'a>(place: &'a TopicPartition, values: &[&'a str]) -> Vec<(&'a TopicPartition, &'a str, Timestamp)> {
    values.iter().map(|value| (place, *value, Timestamp::default())).collect()
}

/// What stands in the output topic, read by a group of its own.
async fn emitted(scene: &mut Scene<'_>, count: usize) -> Vec<String> {
    let reader = scene.join("reader", &["out"]).await;
    scene.until("all is read", |peers| peers[reader].as_ref().is_some_and(|peer| peer.read.len() >= count)).await;
    scene.watch().await;
    let text = |record: &tidemill_core::record::Record| {
        String::from_utf8(record.value.as_deref().expect("a value").to_vec()).expect("written as text")
    };
    let texts = scene.peer(reader).read.iter().map(|(_, record)| text(record)).collect();
    scene.drop_peer(reader);
    texts
}

async fn no_progress(scene: &mut Scene<'_>) {
    let (place, _) = owning(scene).await;
    assert_eq!(scene.peer(0).load(&place).await, None);
}

async fn load_given_up(scene: &mut Scene<'_>) {
    let (place, _) = owning(scene).await;
    for offset in [0, 1] {
        assert_eq!(scene.peer(0).commit(Did::record(&place, offset)).await, Answer::Committed);
    }
    for _ in 0..5 {
        poll_once(scene.peer(0).load(&place)).await;
    }
    assert_eq!(scene.peer(0).load(&place).await, Some(Progress::starting_at(2)));
}

async fn progress_comes_back(scene: &mut Scene<'_>) {
    let (place, _) = owning(scene).await;
    for offset in [0, 1, 2] {
        assert_eq!(scene.peer(0).commit(Did::record(&place, offset)).await, Answer::Committed);
    }
    assert_eq!(scene.peer(0).load(&place).await, Some(Progress::starting_at(3)));
    let other = scene.partition("in", 1);
    assert_eq!(scene.peer(0).load(&other).await, None, "the other partition is not touched");
    // Records before it are not done.
    if let Committing::Batch(commits) = &scene.peer(0).commits {
        let commits = Rc::clone(commits);
        let mut progress = Progress::starting_at(3);
        progress.take(3);
        progress.take_done(8);
        let generation = scene.peer(0).generation(0);
        let part = ShardCommit {
            shard: 0,
            generation,
            changes: Vec::new(),
            progress: vec![(place.clone(), progress.clone())],
        };
        let batch = CommitBatch { shards: vec![part], outputs: Outputs::default(), units: 1 };
        assert_eq!(commits.commit(Arc::new(batch)).await, Answer::Committed);
        assert_eq!(scene.peer(0).load(&place).await, Some(progress));
    } else {
        assert_eq!(scene.peer(0).commit(Did::record(&place, 8)).await, Answer::Committed);
        let loaded = scene.peer(0).load(&place).await.expect("units committed");
        assert!(loaded.is_done(8) && !loaded.is_done(3));
        assert!(matches!(scene.peer(0).commit(Did::record(&place, 8)).await, Answer::NotCommitted(_)), "done once");
    }
}

async fn state_comes_back(scene: &mut Scene<'_>) {
    let (place, _) = owning(scene).await;
    assert_eq!(scene.peer(0).get(0, "a").await, None);
    let did = Did::record(&place, 0).set("a", Some("1")).set("b", Some("2")).set("", Some("empty key"));
    assert_eq!(scene.peer(0).commit(did).await, Answer::Committed);
    assert_eq!(scene.peer(0).get(0, "a").await.as_deref(), Some("1"));
    assert_eq!(scene.peer(0).get(0, "").await.as_deref(), Some("empty key"));
    let did = Did::record(&place, 1).set("a", None).set("b", Some("3")).set("c", None);
    assert_eq!(scene.peer(0).commit(did).await, Answer::Committed);
    assert_eq!((scene.peer(0).get(0, "a").await, scene.peer(0).get(0, "b").await.as_deref()), (None, Some("3")));
    let group = scene.name("group");
    let all = KeyRange::prefix(Bytes::new());
    let seen = scene.broker.state(&group, 0, &all, 10).await.expect("it can be read");
    assert_eq!(seen, [("".into(), "empty key".into()), ("b".into(), "3".into())]);
    // Shards below the number that the group never committed have no state; that is no error.
    let shards = scene.broker.shards(&group).await.expect("it can be read");
    assert!(shards >= 1, "{shards} shards, and shard 0 was committed");
    for shard in 1..shards {
        assert_eq!(scene.broker.state(&group, shard, &all, 10).await, Ok(Vec::new()));
    }
    let did = Did::record(&scene.partition("in", 1), 0).set("a", Some("4"));
    assert_eq!(scene.peer(0).commit(did).await, Answer::Committed);
    assert!(scene.broker.shards(&group).await.expect("it can be read") >= 2, "shard 1 was committed");
    assert_eq!(scene.broker.state(&group, 1, &all, 10).await, Ok(vec![("a".into(), "4".into())]));
}

async fn outputs_in_order(scene: &mut Scene<'_>) {
    let (place, out) = owning(scene).await;
    for (offset, values) in [(0, ["a", "b", "c"]), (1, ["d", "e", "f"])] {
        let outputs = records_for(texts(&out, &values));
        assert_eq!(scene.peer(0).commit(Did::record(&place, offset).emit(outputs)).await, Answer::Committed);
    }
    assert_eq!(emitted(scene, 6).await, ["a", "b", "c", "d", "e", "f"]);
}

async fn fails_whole(scene: &mut Scene<'_>) {
    let (place, out) = owning(scene).await;
    if !scene.fixture.refuses_places() {
        return;
    }
    let nowhere = scene.partition("out", 7);
    let outputs = records_for([texts(&out, &["x"]), texts(&nowhere, &["y"])].concat());
    let did = Did::record(&place, 0).set("a", Some("1")).emit(outputs);
    let answer = scene.peer(0).commit(did).await;
    assert!(matches!(answer, Answer::NotCommitted(_)), "{answer:?}");
    assert_eq!((scene.peer(0).load(&place).await, scene.peer(0).get(0, "a").await), (None, None));
    // And it may go on.
    let outputs = records_for(texts(&out, &["z"]));
    assert_eq!(scene.peer(0).commit(Did::record(&place, 0).emit(outputs)).await, Answer::Committed);
    assert_eq!(emitted(scene, 1).await, ["z"]);
}

async fn apart(scene: &mut Scene<'_>) {
    let (place, _) = owning(scene).await;
    scene.join("other", &["in"]).await;
    scene.until("both own", |peers| peers[1].as_ref().is_some_and(|peer| peer.held.len() == 2)).await;
    let sibling = scene.partition("in", 1);
    assert_eq!(scene.peer(0).commit(Did::record(&place, 0).set("a", Some("mine"))).await, Answer::Committed);
    assert_eq!(scene.peer(0).get(1, "a").await, None, "another shard");
    assert_eq!(scene.peer(1).get(0, "a").await, None, "another group");
    assert_eq!(scene.peer(1).load(&place).await, None, "another group");
    assert_eq!(scene.peer(0).commit(Did::record(&sibling, 0).set("a", Some("sibling's"))).await, Answer::Committed);
    assert_eq!(scene.peer(1).commit(Did::record(&place, 0).set("a", Some("other's"))).await, Answer::Committed);
    assert_eq!(scene.peer(0).get(0, "a").await.as_deref(), Some("mine"));
    assert_eq!(scene.peer(0).get(1, "a").await.as_deref(), Some("sibling's"));
    let all = KeyRange::all();
    assert_eq!(scene.peer(0).scan(0, &all, 10).await, [("a".into(), "mine".into())]);
}

async fn at_the_same_time(scene: &mut Scene<'_>) {
    fences::moving(scene).await;
    let (left, right) = fences::one_each(scene).await;
    let out = scene.partition("out", 0);
    let (first, second) = (records_for(texts(&out, &["l1", "l2"])), records_for(texts(&out, &["r1", "r2"])));
    let (mut one, mut two) = (scene.peers[0].take().expect("there"), scene.peers[1].take().expect("there"));
    let answers = futures_util::future::join(
        one.commit(Did::record(&left, 0).set("a", Some("1")).emit(first)),
        two.commit(Did::record(&right, 0).set("a", Some("2")).emit(second)),
    );
    assert_eq!(answers.await, (Answer::Committed, Answer::Committed));
    (scene.peers[0], scene.peers[1]) = (Some(one), Some(two));
    let mut all = emitted(scene, 4).await;
    // How the two lie among each other is nobody's business; each stands in its own order.
    all.sort_by_key(|value| value.starts_with('r'));
    assert_eq!(all, ["l1", "l2", "r1", "r2"]);
}

async fn ranges(scene: &mut Scene<'_>) {
    use std::ops::Bound::{Excluded, Included};
    let (place, _) = owning(scene).await;
    let mut did = Did::record(&place, 0);
    for key in ["a", "b", "b1", "b2", "c", "d"] {
        did = did.set(key, Some(key));
    }
    assert_eq!(scene.peer(0).commit(did).await, Answer::Committed);
    let keys = |entries: Vec<Entry>| -> Vec<String> {
        entries.into_iter().map(|(key, _)| String::from_utf8(key.to_vec()).expect("text")).collect()
    };
    let range = KeyRange { start: Excluded("a".into()), end: Included("c".into()) };
    assert_eq!(keys(scene.peer(0).scan(0, &range, 10).await), ["b", "b1", "b2", "c"]);
    assert_eq!(keys(scene.peer(0).scan(0, &range, 2).await), ["b", "b1"]);
    assert_eq!(keys(scene.peer(0).scan(0, &KeyRange::prefix("b".into()), 10).await), ["b", "b1", "b2"]);
    let none = KeyRange { start: Included("c".into()), end: Excluded("c".into()) };
    assert_eq!(keys(scene.peer(0).scan(0, &none, 10).await), [""; 0]);
}

async fn progress_alone(scene: &mut Scene<'_>) {
    let (place, _) = owning(scene).await;
    scene.peer(0).takes_over(&place).await;
    let generation = scene.peer(0).generation(0);
    let batch = |generation, next| {
        let progress = vec![(place.clone(), Progress::starting_at(next))];
        let part = ShardCommit { shard: 0, generation, changes: Vec::new(), progress };
        Arc::new(CommitBatch { shards: vec![part], outputs: Outputs::default(), units: 0 })
    };
    let answers = match scene.peer(0).commits.clone() {
        Committing::Batch(commits) => {
            (commits.commit(batch(generation, 4)).await, commits.commit(batch(Generation(0), 9)).await)
        }
        Committing::Unit(commits) => {
            (commits.fold(batch(generation, 4)).await, commits.fold(batch(Generation(0), 9)).await)
        }
    };
    assert!(matches!(answers, (Answer::Committed, Answer::Fenced(_))), "{answers:?}");
    assert_eq!(scene.peer(0).load(&place).await, Some(Progress::starting_at(4)));
}

/// A unit is in nobody's progress whose answer did not come before the fold.
async fn fold_keeps(scene: &mut Scene<'_>) {
    let (place, _) = owning(scene).await;
    let Committing::Unit(commits) = scene.peer(0).commits.clone() else { return };
    for offset in [0, 1, 6] {
        assert_eq!(scene.peer(0).commit(Did::record(&place, offset)).await, Answer::Committed);
    }
    let mut progress = Progress::starting_at(2);
    progress.take(6);
    let generation = scene.peer(0).generation(0);
    let part = ShardCommit { shard: 0, generation, changes: Vec::new(), progress: vec![(place.clone(), progress)] };
    let batch = CommitBatch { shards: vec![part], outputs: Outputs::default(), units: 0 };
    assert_eq!(commits.fold(Arc::new(batch)).await, Answer::Committed);
    assert_eq!(scene.peer(0).load(&place).await, Some(Progress::starting_at(7)));
}

/// Changes of state and outputs are of the fold's own commit.
async fn fold_brings(scene: &mut Scene<'_>) {
    let (place, out) = owning(scene).await;
    let Committing::Unit(commits) = scene.peer(0).commits.clone() else { return };
    assert_eq!(scene.peer(0).commit(Did::record(&place, 0).set("note", Some("0"))).await, Answer::Committed);
    let generation = scene.peer(0).generation(0);
    let change = |key: &str, value: Option<&str>| Change {
        key: Bytes::copy_from_slice(key.as_bytes()),
        value: value.map(|value| Bytes::copy_from_slice(value.as_bytes())),
    };
    let batch = |generation, said: &str| {
        let changes = vec![change("note", None), change("last", Some(said))];
        let part = |shard| ShardCommit {
            shard,
            generation,
            changes: if shard == 0 { changes.clone() } else { vec![change("other", Some(said))] },
            progress: vec![(TopicPartition::new(Arc::clone(&place.topic), shard), Progress::starting_at(1))],
        };
        Arc::new(CommitBatch { shards: vec![part(0), part(1)], outputs: records_for(texts(&out, &[said])), units: 1 })
    };
    scene.peer(0).load(&TopicPartition::new(Arc::clone(&place.topic), 1)).await;
    assert!(matches!(commits.fold(batch(Generation(0), "never")).await, Answer::Fenced(_)));
    assert_eq!(commits.fold(batch(generation, "once")).await, Answer::Committed);
    assert_eq!(scene.peer(0).get(0, "note").await, None);
    assert_eq!(scene.peer(0).get(0, "last").await.as_deref(), Some("once"));
    assert_eq!(scene.peer(0).get(1, "other").await.as_deref(), Some("once"));
    assert_eq!(emitted(scene, 1).await, ["once"]);
}

async fn large(scene: &mut Scene<'_>) {
    let (place, out) = owning(scene).await;
    let value = "v".repeat(100_000);
    let outputs = records_for(texts(&out, &[value.as_str(); 30]));
    let mut did = Did::record(&place, 0).emit(outputs);
    for key in 0..2_000 {
        did = did.set(&format!("key-{key:05}"), Some(&value[..100]));
    }
    assert_eq!(scene.peer(0).commit(did).await, Answer::Committed);
    assert_eq!(scene.peer(0).scan(0, &KeyRange::prefix("key-".into()), usize::MAX).await.len(), 2_000);
    let all = emitted(scene, 30).await;
    assert!(all.len() == 30 && all.iter().all(|found| *found == value));
}

async fn done_once(scene: &mut Scene<'_>) {
    let (place, out) = owning(scene).await;
    let Committing::Unit(commits) = scene.peer(0).commits.clone() else { return };
    let outputs = || records_for(texts(&out, &["x"]));
    let change = |value: &str| Change { key: "id".into(), value: Some(Bytes::copy_from_slice(value.as_bytes())) };
    let effects = |offset, value: &str| UnitEffects {
        done: Some(Done { position: place.at(offset), since: 0 }),
        changes: vec![change(value)],
        once: Some("id".into()),
        outputs: outputs(),
    };
    let first = scene.peer(0).begin(&commits, 0).await;
    assert_eq!(first.commit(effects(0, "1")).await, Answer::Committed);
    let generation = scene.peer(0).generation(0);
    for (offset, what) in [(0, "the record is done"), (1, "the event is known")] {
        let transaction = commits.begin(0, generation).await.expect("it owns the shard");
        let answer = transaction.commit(effects(offset, "2")).await;
        assert!(matches!(answer, Answer::NotCommitted(_)), "{what}: {answer:?}");
    }
    assert_eq!(scene.peer(0).get(0, "id").await.as_deref(), Some("1"));
    assert_eq!(scene.peer(0).load(&place).await, Some(Progress::starting_at(1)));
    assert_eq!(emitted(scene, 1).await, ["x"]);
}

async fn next_owner(scene: &mut Scene<'_>) {
    let (place, _) = owning(scene).await;
    assert_eq!(scene.peer(0).commit(Did::record(&place, 0).set("a", Some("1"))).await, Answer::Committed);
    // A commit whose member ends before the answer: it is there whole, or not at all.
    let generation = scene.peer(0).generation(0);
    let before = scene.peer(0).load(&place).await;
    let last = scene.peers[0].take().expect("it is there");
    let did = Did::record(&place, 1).set("a", Some("2"));
    let answer = poll_once(last.commit_after(before, generation, did)).await;
    drop(last);
    scene.join("group", &["in"]).await;
    scene.until_shared(&[("in", 2)]).await;
    let progress = scene.peer(1).load(&place).await.expect("the group committed");
    let state = scene.peer(1).get(0, "a").await;
    let expected = if progress.is_done(1) { "2" } else { "1" };
    assert_eq!(state.as_deref(), Some(expected), "{progress:?}");
    if answer == Some(Answer::Committed) {
        assert!(progress.is_done(1), "answered, and gone");
    }
}
