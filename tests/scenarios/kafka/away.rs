//! What a service needs is away for a while: it waits, and goes on.

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::audit::{self, number};
use super::feed::Feed;
use super::kills::variable;
use super::tally::{Instance, SESSION, SHARDS, Stage, until};

const RECORDS_PER_SECOND: u64 = 500;
const KEYS: usize = 100;
/// How long it goes well before, and how long the test looks on after.
const PEACE: Duration = Duration::from_secs(5);
/// How long it is away, in seconds by the variable.
const AWAY: Duration = Duration::from_secs(15);
const LONGER: &str = "TIDEMILL_TEST_AWAY";
/// By when everything has to be done that waited, on a busy machine.
const SOON: u64 = 30;

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later");
    u64::try_from(now.as_millis()).expect("it is not that late")
}

#[test]
fn while_what_is_needed_is_away_nothing_is_spent_and_then_all_goes_on() {
    let Some(stage) = Stage::open("a dependency that is away", &[]) else { return };
    let away = variable(LONGER).map_or(AWAY, Duration::from_secs);
    assert!(away > SESSION, "or the group would not notice");
    let sign = stage.file("away");
    let option = ["--away", &sign.to_string_lossy()];
    let mut instances = [stage.start_with("one", &option), stage.start_with("two", &option)];
    let feed = Feed::start(&stage, RECORDS_PER_SECOND, (0..KEYS).map(|key| format!("key-{key}")).collect());
    until("all shards run", || instances.iter().map(Instance::shards).sum::<usize>() == SHARDS as usize);
    std::thread::sleep(PEACE);
    let told = instances.each_ref().map(Instance::told);
    fs::write(&sign, "").expect("the folder is ours");
    let from = now();
    std::thread::sleep(away);
    fs::remove_file(&sign).expect("it is there");
    let back = now();
    std::thread::sleep(PEACE);
    instances.iter_mut().for_each(Instance::lives);
    assert_eq!(instances.each_ref().map(Instance::told), told, "no shard moved");
    let sent: u64 = feed.finish().values().sum();
    stage.drain();
    instances.iter_mut().for_each(Instance::stop);
    assert_eq!(audit::applied_once(&stage) as u64, sent);
    assert_eq!(stage.letters(), json!([]));
    let done: Vec<(u64, u64)> = audit::read(&stage, "counts")
        .iter()
        .map(|(_, value)| (number(value, "at"), number(value, "attempt")))
        .collect();
    assert!(done.iter().all(|(_, attempt)| *attempt == 1), "no attempt is spent");
    let between = |from: u64, to: u64| done.iter().filter(|(at, _)| (from..to).contains(at)).count() as u64;
    let second = 1_000;
    assert_eq!(between(from + second, back), 0, "nothing is done while it is away");
    // As many as came in since it went away, at the rate at which they came in.
    let caught_up = (1..=SOON).find(|seconds| {
        let due = (back - from) / second * RECORDS_PER_SECOND;
        between(back, back + seconds * second) >= due + seconds * RECORDS_PER_SECOND * 9 / 10
    });
    let caught_up = caught_up.expect("what waited is done soon");
    eprintln!("away for {} s, and {caught_up} s after its return all that had waited was done", away.as_secs());
}
