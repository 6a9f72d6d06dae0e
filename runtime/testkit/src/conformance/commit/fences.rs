//! Commits and ownership: what a former owner may not do, and what one who drains may.

use tidemill_core::ports::{Answer, Change, CommitBatch, Committing, ShardCommit};
use tidemill_core::progress::Progress;
use tidemill_core::record::TopicPartition;

use super::{Did, emitted, owning, texts};
use crate::conformance::scene::{Peer, Scene, records_for};

pub(super) async fn fenced(scene: &mut Scene<'_>) {
    let (place, out) = owning(scene).await;
    assert_eq!(scene.peer(0).commit(Did::record(&place, 0).set("a", Some("1"))).await, Answer::Committed);
    let earlier = scene.peer(0).generation(0);
    let commits = scene.peer(0).commits.clone();
    // The same member's name comes back with a new ownership.
    scene.drop_peer(0);
    scene.join("group", &["in"]);
    scene.until_shared(&[("in", 2)]).await;
    let durable = scene.peer(1).load(&place).await;
    let outputs = records_for(texts(&out, &["stray"]));
    let mut former = ghost(commits, scene);
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
fn ghost(commits: Committing, scene: &mut Scene<'_>) -> Peer {
    let place = scene.join("ghosts", &["in"]);
    let peer = scene.peers[place].take().expect("it just joined");
    Peer { commits, held: std::collections::BTreeMap::new(), ..peer }
}

/// A second member to which shard 1 moves.
pub(super) async fn moving(scene: &mut Scene<'_>) -> TopicPartition {
    owning(scene).await;
    scene.join("group", &["in"]);
    scene.until("something is asked back", |peers| peers[0].as_ref().is_some_and(|peer| !peer.asked.is_empty())).await;
    scene.peer(0).asked.first().cloned().expect("one is asked back")
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
    let place = moving(scene).await;
    let earlier = scene.peer(0).generation(place.partition);
    scene.meanwhile(scene.fixture.drain() * 2).await;
    assert!(scene.peer(0).lost.contains(&place));
    let answer = scene.peer(0).commit_as(earlier, Did::record(&place, 0)).await;
    assert!(matches!(answer, Answer::Fenced(_)), "{answer:?}");
    assert_eq!(scene.peer(1).load(&place).await, None);
}

pub(super) async fn good_while_draining(scene: &mut Scene<'_>) {
    let place = moving(scene).await;
    scene.meanwhile(scene.fixture.drain() / 2).await;
    assert_eq!(scene.peer(0).commit(Did::record(&place, 0).set("a", Some("1"))).await, Answer::Committed);
    scene.peer(0).release_all();
    scene.until_shared(&[("in", 2)]).await;
    assert_eq!(scene.peer(1).load(&place).await, Some(Progress::starting_at(1)));
    assert_eq!(scene.peer(1).get(place.partition, "a").await.as_deref(), Some("1"));
}

pub(super) async fn good_when_others_move(scene: &mut Scene<'_>) {
    let moved = moving(scene).await;
    let stays = scene.partition("in", 1 - moved.partition);
    let generation = scene.peer(0).generation(stays.partition);
    scene.peer(0).release_all();
    scene.until_shared(&[("in", 2)]).await;
    assert_eq!(scene.peer(0).commit_as(generation, Did::record(&stays, 0)).await, Answer::Committed);
    assert_eq!(scene.peer(1).commit(Did::record(&moved, 0)).await, Answer::Committed);
}
