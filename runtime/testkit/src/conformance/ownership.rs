//! The contract of [`Log`](tidemill_core::ports::Log) about ownership: who holds what, and how it moves.
//!
//! A broker may ask back what has to move, or everything of everybody, whenever a member comes or goes; what stays with its
//! member then comes again with a greater number. The checks hold for both.

use std::collections::BTreeSet;

use tidemill_core::ports::Start;

use super::peer::Peer;
use super::scene::{Check, Fixture, Scene, checks, run_all};

const CHECKS: &[Check] = checks![
    "all partitions are shared among the members" => shared,
    "partitions of one number stay together" => together,
    "members of different subscriptions read what they asked for" => different_subscriptions,
    "what is asked back stays until it is released" => stays_until_released,
    "a drain that is over is a loss, and the partitions go on" => lost_and_handed_on,
    "a late release does no harm" => late_release,
    "a start of what was lost meanwhile does no harm" => late_start,
    "a member that is dropped leaves its partitions" => dropped,
    "one that is dropped and did not hear what was asked of it, too" => dropped_unheard,
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

/// Whether the first two members hold two partitions each.
fn two_each(peers: &[Option<Peer>]) -> bool {
    (held(peers, 0), held(peers, 1)) == (2, 2)
}

/// Lets the first member hold all, then adds a second and waits until something was asked back.
async fn moving(scene: &mut Scene<'_>) {
    scene.create("in", 4).await;
    scene.join("group", &["in"]).await;
    scene.until_shared(&[("in", 4)]).await;
    scene.join("group", &["in"]).await;
    scene.until("something is asked back", |peers| asked(peers, 0) > 0).await;
}

async fn shared(scene: &mut Scene<'_>) {
    moving(scene).await;
    scene.give();
    scene.until_shared_as(&[("in", 4)], two_each).await;
    scene.watch().await;
    assert!(two_each(&scene.peers), "nobody came or went");
    // More members than partitions: some have nothing, and that is fine.
    for _ in 0..4 {
        scene.join("group", &["in"]).await;
    }
    scene.give();
    let one_at_most = |peers: &[Option<Peer>]| peers.iter().flatten().all(|peer| peer.held.len() <= 1);
    scene.until_shared_as(&[("in", 4)], one_at_most).await;
    assert!(scene.peers.iter().flatten().all(|peer| peer.lost.is_empty()), "lost what was given up in time");
}

async fn together(scene: &mut Scene<'_>) {
    scene.create("left", 5).await;
    scene.create("right", 5).await;
    for _ in 0..3 {
        scene.join("group", &["left", "right"]).await;
    }
    scene.give();
    let none_idle = |peers: &[Option<Peer>]| peers.iter().flatten().all(|peer| !peer.held.is_empty());
    scene.until_shared_as(&[("left", 5), ("right", 5)], none_idle).await;
    let (left, right) = (scene.name("left"), scene.name("right"));
    for peer in scene.peers.iter().flatten() {
        let numbers = |topic: &str| -> BTreeSet<u32> {
            peer.held.keys().filter(|place| *place.topic == *topic).map(|place| place.partition).collect()
        };
        assert_eq!(numbers(&left), numbers(&right));
    }
}

async fn different_subscriptions(scene: &mut Scene<'_>) {
    scene.create("both", 2).await;
    scene.create("one", 2).await;
    scene.join("group", &["both", "one"]).await;
    scene.join("group", &["both"]).await;
    scene.give();
    let none_idle = |peers: &[Option<Peer>]| peers.iter().flatten().all(|peer| !peer.held.is_empty());
    scene.until_shared_as(&[("both", 2), ("one", 2)], none_idle).await;
    let one = scene.name("one");
    assert!(scene.peer(1).held.keys().all(|place| place.topic != one), "it did not ask for that topic");
}

async fn stays_until_released(scene: &mut Scene<'_>) {
    moving(scene).await;
    scene.meanwhile(scene.fixture.drain() / 2).await;
    assert_eq!((held(&scene.peers, 0), held(&scene.peers, 1)), (4, 0), "handed on before it was released");
    scene.give();
    scene.until_shared_as(&[("in", 4)], two_each).await;
    assert!(scene.peer(0).lost.is_empty());
}

/// A second member joins, and the first does not give up what is asked back, until that is lost and handed on. Tells what.
async fn lost(scene: &mut Scene<'_>) -> BTreeSet<tidemill_core::record::TopicPartition> {
    moving(scene).await;
    let (wanted, before) = (scene.peer(0).asked.clone(), scene.peer(0).held.clone());
    scene.meanwhile(scene.fixture.drain() * 2).await;
    assert_eq!(scene.peer(0).lost, wanted);
    assert!(two_each(&scene.peers), "not handed on");
    assert!(scene.peer(1).held.keys().all(|place| wanted.contains(place)), "taken without being asked back");
    for place in &wanted {
        let again = scene.peer(0).held.get(place).copied();
        assert!(again.is_none_or(|again| again > before[place]), "{place} came back as if it had not been lost");
    }
    wanted
}

async fn lost_and_handed_on(scene: &mut Scene<'_>) {
    lost(scene).await;
}

async fn late_release(scene: &mut Scene<'_>) {
    let late: Vec<_> = lost(scene).await.into_iter().collect();
    scene.peer(0).log.release(&late);
    scene.watch().await;
    assert!(two_each(&scene.peers), "taken from its owner");
    assert!(scene.peer(1).lost.is_empty() && scene.peer(1).asked.is_empty());
    // Not in the books alone: what each holds it reads.
    for number in 0..4 {
        scene.publish(&scene.partition("in", number), 0..1).await;
    }
    let read = |peers: &[Option<Peer>]| peers.iter().flatten().all(|peer| peer.read.len() == 2);
    scene.until("both read what they hold", read).await;
}

async fn late_start(scene: &mut Scene<'_>) {
    moving(scene).await;
    let late = scene.peer(0).asked.first().cloned().expect("something was asked back");
    // The member hangs: it is not polled while its drain ends, and starts the partition before it hears of that.
    let hung = scene.peers[0].take();
    let taken = |peers: &[Option<Peer>]| peers[1].as_ref().is_some_and(|peer| peer.held.contains_key(&late));
    scene.until("the other has it", taken).await;
    scene.peers[0] = hung;
    scene.peer(0).start(&late, Start::Earliest);
    scene.publish(&late, 0..3).await;
    scene.peer(1).gives = true;
    scene.until("it hears of its loss", |peers| peers[0].as_ref().is_some_and(|peer| peer.lost.contains(&late))).await;
    // From here on records fail the check, unless the partition comes back to it by right.
    scene.give();
    scene.peer(0).read.clear();
    let reads = |peers: &[Option<Peer>]| {
        peers.iter().flatten().any(|peer| peer.held.contains_key(&late) && peer.numbers(&late).ends_with(&[0, 1, 2]))
    };
    scene.until("its owner reads it", reads).await;
    scene.watch().await;
}

async fn dropped(scene: &mut Scene<'_>) {
    moving(scene).await;
    scene.drop_peer(0);
    scene.until_shared(&[("in", 4)]).await;
    scene.join("group", &["in"]).await;
    scene.until("something is asked back", |peers| asked(peers, 1) > 0).await;
    scene.drop_peer(2);
    scene.give();
    scene.until_shared(&[("in", 4)]).await;
}

async fn dropped_unheard(scene: &mut Scene<'_>) {
    moving(scene).await;
    scene.give();
    scene.until_shared_as(&[("in", 4)], two_each).await;
    // Another one comes, and what is asked of the first for that stays unread.
    let unheard = scene.peers[0].take();
    scene.join("group", &["in"]).await;
    scene.give();
    scene.watch().await;
    drop(unheard);
    scene.until_shared(&[("in", 4)]).await;
}

async fn leaves(scene: &mut Scene<'_>) {
    scene.create("in", 2).await;
    scene.join("group", &["in"]).await;
    scene.until_shared(&[("in", 2)]).await;
    scene.peer(0).log.leave();
    scene.until("all is asked back", |peers| asked(peers, 0) == 2).await;
    scene.peer(0).release_all();
    scene.watch().await;
    assert_eq!(held(&scene.peers, 0), 0, "it left, and was given something");
    scene.join("group", &["in"]).await;
    scene.until("the other has all", |peers| held(peers, 1) == 2).await;
}

async fn generations_grow(scene: &mut Scene<'_>) {
    scene.create("in", 1).await;
    let place = scene.partition("in", 0);
    let mut last = None;
    for peer in 0..4 {
        scene.join("group", &["in"]).await;
        scene.until_shared(&[("in", 1)]).await;
        let generation = scene.peer(peer).held.get(&place).copied();
        assert!(generation > last, "{generation:?} after {last:?}");
        last = generation;
        scene.drop_peer(peer);
    }
}

async fn one_name(scene: &mut Scene<'_>) {
    scene.create("in", 1).await;
    scene.join("group", &["in"]).await;
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
