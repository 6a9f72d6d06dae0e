//! The contract of [`Log`](tidemill_core::ports::Log) about ownership: who holds what, and how it moves.

use std::collections::BTreeSet;

use tidemill_core::ports::Start;

use super::scene::{Check, Fixture, Peer, Scene, checks, run_all};

const CHECKS: &[Check] = checks![
    "all partitions are shared among the members" => shared,
    "partitions of one number stay together" => together,
    "members of different subscriptions read what they asked for" => different_subscriptions,
    "what is asked back stays until it is released" => stays_until_released,
    "a drain that is over is a loss, and the partitions go on" => lost_and_handed_on,
    "a late release does no harm" => late_release,
    "a start of what was lost meanwhile does no harm" => late_start,
    "a member that is dropped leaves its partitions" => dropped,
    "who leaves gives everything back and gets nothing" => leaves,
    "later ownerships have greater numbers" => generations_grow,
    "a second member of one name is refused" => one_name,
];

/// Runs every check of how ownership moves, and panics with the names of those that failed.
pub fn ownership(fixture: &dyn Fixture) {
    run_all(fixture, "owner", CHECKS);
}

fn held(peers: &[Option<Peer>], place: usize) -> usize {
    peers[place].as_ref().map_or(0, |peer| peer.held.len())
}

fn asked(peers: &[Option<Peer>], place: usize) -> usize {
    peers[place].as_ref().map_or(0, |peer| peer.asked.len())
}

/// Lets the first member hold all, then adds a second and waits until something was asked back.
async fn moving(scene: &mut Scene<'_>) {
    scene.create("in", 4).await;
    scene.join("group", &["in"]);
    scene.until_shared(&[("in", 4)]).await;
    scene.join("group", &["in"]);
    scene.until("something is asked back", |peers| asked(peers, 0) > 0).await;
}

async fn shared(scene: &mut Scene<'_>) {
    moving(scene).await;
    scene.peer(0).release_all();
    scene.until_shared(&[("in", 4)]).await;
    assert_eq!((held(&scene.peers, 0), held(&scene.peers, 1)), (2, 2));
    // More members than partitions: some have nothing, and that is fine.
    for _ in 0..4 {
        scene.join("group", &["in"]);
    }
    for _ in 0..6 {
        scene.watch().await;
        for peer in scene.peers.iter_mut().flatten().filter(|peer| !peer.asked.is_empty()) {
            peer.release_all();
        }
    }
    scene.until_shared(&[("in", 4)]).await;
    assert!(scene.peers.iter().flatten().all(|peer| peer.held.len() <= 1));
}

async fn together(scene: &mut Scene<'_>) {
    scene.create("left", 5).await;
    scene.create("right", 5).await;
    for _ in 0..3 {
        scene.join("group", &["left", "right"]);
    }
    for _ in 0..4 {
        scene.watch().await;
        for peer in scene.peers.iter_mut().flatten().filter(|peer| !peer.asked.is_empty()) {
            peer.release_all();
        }
    }
    scene.until_shared(&[("left", 5), ("right", 5)]).await;
    let (left, right) = (scene.name("left"), scene.name("right"));
    for peer in scene.peers.iter().flatten() {
        let numbers = |topic: &str| -> BTreeSet<u32> {
            peer.held.keys().filter(|place| *place.topic == *topic).map(|place| place.partition).collect()
        };
        assert_eq!(numbers(&left), numbers(&right));
        assert!(!peer.held.is_empty());
    }
}

async fn different_subscriptions(scene: &mut Scene<'_>) {
    scene.create("both", 2).await;
    scene.create("one", 2).await;
    scene.join("group", &["both", "one"]);
    scene.join("group", &["both"]);
    for _ in 0..4 {
        scene.watch().await;
        for peer in scene.peers.iter_mut().flatten().filter(|peer| !peer.asked.is_empty()) {
            peer.release_all();
        }
    }
    scene.until_shared(&[("both", 2), ("one", 2)]).await;
    let one = scene.name("one");
    assert!(scene.peer(1).held.keys().all(|place| place.topic != one), "it did not ask for that topic");
}

async fn stays_until_released(scene: &mut Scene<'_>) {
    moving(scene).await;
    scene.meanwhile(scene.fixture.drain() / 2).await;
    assert_eq!((held(&scene.peers, 0), held(&scene.peers, 1)), (4, 0), "handed on before it was released");
    scene.peer(0).release_all();
    scene.until_shared(&[("in", 4)]).await;
    assert!(scene.peer(0).lost.is_empty());
}

async fn lost_and_handed_on(scene: &mut Scene<'_>) {
    moving(scene).await;
    let wanted = scene.peer(0).asked.clone();
    scene.meanwhile(scene.fixture.drain() * 2).await;
    assert_eq!(scene.peer(0).lost, wanted);
    assert_eq!(scene.peer(1).held.keys().cloned().collect::<BTreeSet<_>>(), wanted);
}

async fn late_release(scene: &mut Scene<'_>) {
    moving(scene).await;
    let late: Vec<_> = scene.peer(0).asked.iter().cloned().collect();
    scene.meanwhile(scene.fixture.drain() * 2).await;
    scene.peer(0).log.release(&late);
    scene.watch().await;
    scene.until_shared(&[("in", 4)]).await;
    assert_eq!(held(&scene.peers, 1), late.len(), "taken from its new owner");
    assert!(scene.peer(1).lost.is_empty() && scene.peer(1).asked.is_empty());
}

async fn late_start(scene: &mut Scene<'_>) {
    moving(scene).await;
    let late = scene.peer(0).asked.first().cloned().expect("something was asked back");
    // The member hangs: it is not polled while its drain ends, and starts the partition before it hears of that.
    let hung = scene.peers[0].take();
    scene.meanwhile(scene.fixture.drain() * 2).await;
    assert!(scene.peer(1).held.contains_key(&late));
    scene.peers[0] = hung;
    scene.peer(0).log.start(&late, Start::Earliest).expect("harmless");
    scene.publish(&late, 0..3).await;
    scene.until("it hears of its loss", |peers| peers[0].as_ref().is_some_and(|peer| peer.lost.contains(&late))).await;
    scene.until("the owner reads", |peers| peers[1].as_ref().is_some_and(|peer| peer.read.len() == 3)).await;
    scene.peer(0).read.clear();
    scene.watch().await;
    assert_eq!(scene.peer(0).read.len(), 0, "records after the loss");
}

async fn dropped(scene: &mut Scene<'_>) {
    moving(scene).await;
    scene.drop_peer(0);
    scene.until_shared(&[("in", 4)]).await;
    scene.join("group", &["in"]);
    scene.until("something is asked back", |peers| asked(peers, 1) > 0).await;
    scene.drop_peer(2);
    scene.peer(1).release_all();
    scene.until_shared(&[("in", 4)]).await;
}

async fn leaves(scene: &mut Scene<'_>) {
    scene.create("in", 2).await;
    scene.join("group", &["in"]);
    scene.until_shared(&[("in", 2)]).await;
    scene.peer(0).log.leave();
    scene.until("all is asked back", |peers| asked(peers, 0) == 2).await;
    scene.peer(0).release_all();
    scene.watch().await;
    assert_eq!(held(&scene.peers, 0), 0, "it left, and was given something");
    scene.join("group", &["in"]);
    scene.until("the other has all", |peers| held(peers, 1) == 2).await;
}

async fn generations_grow(scene: &mut Scene<'_>) {
    scene.create("in", 1).await;
    let place = scene.partition("in", 0);
    let mut last = None;
    for peer in 0..4 {
        scene.join("group", &["in"]);
        scene.until_shared(&[("in", 1)]).await;
        let generation = scene.peer(peer).held.get(&place).copied();
        assert!(generation > last, "{generation:?} after {last:?}");
        last = generation;
        scene.drop_peer(peer);
    }
}

async fn one_name(scene: &mut Scene<'_>) {
    scene.create("in", 1).await;
    scene.join("group", &["in"]);
    scene.until_shared(&[("in", 1)]).await;
    let again = tidemill_core::ports::Subscription {
        group: scene.name("group"),
        member: "member-0".into(),
        topics: vec![scene.name("in")],
    };
    assert!(scene.broker.join(again).is_err());
    scene.watch().await;
    assert_eq!(held(&scene.peers, 0), 1, "the first is not harmed");
}
