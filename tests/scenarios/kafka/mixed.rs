//! Two versions of a service at work at once, of which the newer reads one topic more.

use super::audit;
use super::feed::Feed;
use super::tally::{Instance, PATIENCE, SHARDS, Stage, until};

const NEWER: &[&str] = &["--wide"];

/// Every shard runs in one instance at most; answers how many run.
fn running(instances: &mut [Instance]) -> usize {
    instances.iter_mut().for_each(Instance::lives);
    // A shard that moves ends here before it begins there, so reading one after the other can see it twice. Seen twice for long, it
    // has two owners.
    let begun = std::time::Instant::now();
    loop {
        let mut all: Vec<u32> = instances.iter().flat_map(Instance::running).collect();
        all.sort_unstable();
        let count = all.len();
        all.dedup();
        if all.len() == count {
            return count;
        }
        assert!(begun.elapsed() < PATIENCE, "a shard with two owners");
    }
}

#[test]
fn while_versions_differ_no_shard_has_two_owners_and_in_the_end_all_run() {
    let Some(stage) = Stage::open("two versions of a service on Kafka", &[]) else { return };
    let made = stage.call(&["topics", "--wide"]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let feed = Feed::start(&stage, 300, (0..60).map(|key| format!("key-{key}")).collect());
    let mut instances: Vec<Instance> = (0..4).map(|place| stage.start(&format!("instance-{place}"))).collect();
    until("all shards run in the older version", || running(&mut instances) == SHARDS as usize);
    for place in 0..4 {
        instances[place].stop();
        instances[place] = stage.start_with(&format!("instance-{place}"), NEWER);
        until("the newer version is there", || instances[place].has_joined());
        running(&mut instances);
    }
    until("all shards run in the newer version", || running(&mut instances) == SHARDS as usize);
    let sent: u64 = feed.finish().values().sum();
    until("all is done", || {
        let lag = stage.call(&["lag", "--output", "json"]);
        let lines: serde_json::Value = serde_json::from_slice(&lag.stdout).expect("JSON");
        lines.as_array().expect("a list").iter().all(|line| line["records"] == 0)
    });
    instances.iter_mut().for_each(Instance::stop);
    assert_eq!(audit::applied_once(&stage) as u64, sent);
}
