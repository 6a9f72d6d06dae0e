//! Commits and ownership: what a former owner may not do, and what one who drains may.

use tidemill_core::ports::{Answer, Change, CommitBatch, Committing, ShardCommit};
use tidemill_core::progress::Progress;
use tidemill_core::record::TopicPartition;

use super::shapes::Did;
use super::{emitted, owning, texts};
use crate::conformance::peer::Peer;
use crate::conformance::scene::{Scene, records_for};

pub(super) async fn fenced(scene: &mut Scene<'_>) {
    let (place, out) = owning(scene).await;
    assert_eq!(scene.peer(0).commit(Did::record(&place, 0).set("a", Some("1"))).await, Answer::Committed);
    let earlier = scene.peer(0).generation(0);
    let commits = scene.peer(0).commits.clone();
    // Another member, and a new ownership.
    scene.drop_peer(0);
    scene.join("group", &["in"]).await;
    scene.until_shared(&[("in", 2)]).await;
    let durable = scene.peer(1).load(&place).await;
    let outputs = records_for(texts(&out, &["stray"]));
    let mut former = ghost(commits, scene).await;
    former.progress = durable.iter().map(|progress| (place.clone(), progress.clone())).collect();
    let answer = former.commit_as(earlier, Did::record(&place, 1).set("a", Some("2")).emit(outputs)).await;
    assert!(matches!(answer, Answer::Fenced(_)), "{answer:?}");
    assert_eq!((scene.peer(1).load(&place).await, scene.peer(1).get(0, "a").await.as_deref()), (durable, Some("1")));
    // The present owner under an earlier number is no better.
    let answer = scene.peer(1).commit_as(earlier, Did::record(&place, 1)).await;
    assert!(matches!(answer, Answer::Fenced(_)), "{answer:?}");
    let outputs = records_for(texts(&out, &["good"]));
    assert_eq!(scene.peer(1).commit(Did::record(&place, 1).emit(outputs)).await, Answer::Committed);
    assert_eq!(emitted(scene, 1).await, ["good"]);
}

/// A member that is gone and whose commits are still around.
async fn ghost(commits: Committing, scene: &mut Scene<'_>) -> Peer {
    let place = scene.join("ghosts", &["in"]).await;
    let mut peer = scene.peers[place].take().expect("it just joined");
    peer.commits = commits;
    peer
}

/// A second member, for which something was asked back of the first; tells what.
pub(super) async fn moving(scene: &mut Scene<'_>) -> TopicPartition {
    owning(scene).await;
    scene.join("group", &["in"]).await;
    scene.until("something is asked back", |peers| peers[0].as_ref().is_some_and(|peer| !peer.asked.is_empty())).await;
    scene.peer(0).asked.first().cloned().expect("one is asked back")
}

/// Lets what is asked back go, until each of the two members holds one partition; tells which.
pub(super) async fn one_each(scene: &mut Scene<'_>) -> (TopicPartition, TopicPartition) {
    scene.give();
    let each = |peers: &[Option<Peer>]| peers.iter().flatten().all(|peer| peer.held.len() == 1);
    scene.until_shared_as(&[("in", 2)], each).await;
    let mut held = |place| scene.peer(place).held.keys().next().cloned().expect("each holds one");
    (held(0), held(1))
}

/// The place of the member that holds a partition.
fn holder(scene: &Scene<'_>, partition: &TopicPartition) -> usize {
    let holds = |peer: &Option<Peer>| peer.as_ref().is_some_and(|peer| peer.held.contains_key(partition));
    scene.peers.iter().position(holds).expect("somebody holds it")
}

pub(super) async fn unchecked(scene: &mut Scene<'_>) {
    let (place, _) = owning(scene).await;
    let generation = scene.peer(0).generation(place.partition);
    let Committing::Batch(commits) = scene.peer(0).commits.clone() else {
        // A transaction of one unit always names its record.
        return;
    };
    let changes = vec![Change { key: "a".into(), value: Some("1".into()) }];
    let part = ShardCommit { shard: place.partition, generation, changes, progress: Vec::new() };
    let answer = commits.commit(CommitBatch { shards: vec![part], units: 1, ..CommitBatch::default() }.into()).await;
    assert!(matches!(answer, Answer::Fenced(_)), "{answer:?}");
    assert_eq!(scene.peer(0).get(place.partition, "a").await, None);
}

pub(super) async fn fenced_when_lost(scene: &mut Scene<'_>) {
    moving(scene).await;
    let (wanted, before) = (scene.peer(0).asked.clone(), scene.peer(0).held.clone());
    scene.meanwhile(scene.fixture.drain() * 2).await;
    assert_eq!(scene.peer(0).lost, wanted);
    // Some may be its own again, and the earlier ownership is over all the same.
    for place in wanted {
        let owner = holder(scene, &place);
        scene.peer(owner).takes_over(&place).await;
        let answer = scene.peer(0).commit_as(before[&place], Did::record(&place, 0)).await;
        assert!(matches!(answer, Answer::Fenced(_)), "{answer:?} of {place}");
        assert_eq!(scene.peer(owner).load(&place).await, None);
    }
}

pub(super) async fn fenced_unawares(scene: &mut Scene<'_>) {
    let place = moving(scene).await;
    let out = scene.partition("out", 0);
    let earlier = scene.peer(0).generation(place.partition);
    scene.peer(0).takes_over(&place).await;
    // It is not polled any more, so nobody tells it what becomes of its ownership.
    let hung = scene.peers[0].take().expect("it is there");
    let taken = |peers: &[Option<Peer>]| peers[1].as_ref().is_some_and(|peer| peer.held.contains_key(&place));
    scene.until("the other has it", taken).await;
    scene.peer(1).takes_over(&place).await;
    let did = Did::record(&place, 0).set("a", Some("1")).emit(records_for(texts(&out, &["stray"])));
    let answer = hung.commit_after(None, earlier, did).await;
    assert!(matches!(answer, Answer::Fenced(_)), "{answer:?}");
    assert_eq!(scene.peer(1).load(&place).await, None);
    assert_eq!(scene.peer(1).get(place.partition, "a").await, None);
    let outputs = records_for(texts(&out, &["good"]));
    assert_eq!(scene.peer(1).commit(Did::record(&place, 0).emit(outputs)).await, Answer::Committed);
    assert_eq!(emitted(scene, 1).await, ["good"]);
}

pub(super) async fn good_while_draining(scene: &mut Scene<'_>) {
    let place = moving(scene).await;
    scene.meanwhile(scene.fixture.drain() / 2).await;
    assert_eq!(scene.peer(0).commit(Did::record(&place, 0).set("a", Some("1"))).await, Answer::Committed);
    one_each(scene).await;
    let owner = holder(scene, &place);
    assert_eq!(scene.peer(owner).load(&place).await, Some(Progress::starting_at(1)));
    assert_eq!(scene.peer(owner).get(place.partition, "a").await.as_deref(), Some("1"));
    assert!(scene.peer(0).lost.is_empty(), "the drain was not over");
}

pub(super) async fn good_after_a_move(scene: &mut Scene<'_>) {
    moving(scene).await;
    let (left, right) = one_each(scene).await;
    // What was not asked back goes on as it was; what was, under the number it came with.
    assert_eq!(scene.peer(0).commit(Did::record(&left, 0)).await, Answer::Committed);
    assert_eq!(scene.peer(1).commit(Did::record(&right, 0)).await, Answer::Committed);
}
