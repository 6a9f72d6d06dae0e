//! Retries under exactly once: keys that fail for a while, on instances that are killed and moved about.

use std::time::Duration;

use super::audit;
use super::feed::Feed;
use super::tally::{Instance, SHARDS, Stage, until};

const RECORDS_PER_SECOND: u64 = 500;
const KEYS: usize = 256;
/// Of so many keys, one fails for a while, again and again.
const KEYS_FOR_ONE: usize = 8;
const INSTANCES: usize = 3;
const KILLS: usize = 4;
/// How long it goes well between two kills.
const PEACE: Duration = Duration::from_secs(3);

#[test]
fn retried_and_moved_about_every_record_has_its_effects_once_in_order() {
    let soon = [
        "failures.transient.first_delay=5ms",
        "failures.transient.delayed_first=200ms",
        "failures.transient.delayed_longest=1s",
    ];
    let Some(stage) = Stage::open("retries on Kafka", &soon) else { return };
    let name = |key: usize| if key.is_multiple_of(KEYS_FOR_ONE) { "shaky" } else { "steady" };
    let feed = Feed::start(&stage, RECORDS_PER_SECOND, (0..KEYS).map(|key| format!("{}-{key}", name(key))).collect());
    let start = |place: usize| stage.start(&format!("instance-{place}"));
    let mut instances: Vec<Instance> = (0..INSTANCES).map(start).collect();
    for kill in 0..KILLS {
        until("all shards run", || {
            instances.iter_mut().for_each(Instance::lives);
            instances.iter().map(Instance::shards).sum::<usize>() == SHARDS as usize
        });
        std::thread::sleep(PEACE);
        let place = kill % INSTANCES;
        if kill % 2 == 0 {
            instances[place].kill();
        } else {
            instances[place].stop();
        }
        instances[place] = start(place);
    }
    let sent: u64 = feed.finish().values().sum();
    instances.iter_mut().for_each(Instance::stop);
    stage.drain();
    let applied = audit::applied_once(&stage);
    assert_eq!(applied as u64, sent, "the producer was told that all are there");
    eprintln!("{applied} records had their effects once, with retries");
}
