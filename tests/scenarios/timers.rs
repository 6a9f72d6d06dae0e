//! Timers of real processes that are killed: each rings once, in order, and none before its time.

use std::collections::BTreeMap;
use std::process::Child;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::kafka::{Shows, as_str, committed, until};
use crate::process::{command, example, run, run_json, signal};

const KEYS: u64 = 101;
/// Two thousand that ring, and those that are cancelled.
const TIMERS: u64 = 2_222;
/// One of so many is cancelled as soon as it is scheduled.
const REGRETTED: u64 = 10;
/// How long an instance is dead.
const DEATH: Duration = Duration::from_millis(500);

/// Where the service runs, and how.
struct Place {
    options: Vec<String>,
    /// Of each instance beside that.
    instances: Vec<Vec<String>>,
    /// How many timers there are, and in how many seconds all are due.
    timers: u64,
    seconds: u64,
    /// How long nobody is killed: as long as it takes until a new owner has the timers of the one before, and longer.
    life: Duration,
}

impl Place {
    fn new(options: &[&str], instances: Vec<Vec<String>>, seconds: u64, life: Duration) -> Self {
        let settings = ["kafka.session_timeout=6s", "kafka.heartbeat=500ms", "drain=2s", "log.format=text"];
        let settings = settings.iter().flat_map(|setting| ["--set", *setting]);
        let options = options.iter().copied().chain(settings).map(str::to_owned).collect();
        Self { options, instances, timers: TIMERS, seconds, life }
    }

    fn call(&self, arguments: &[&str]) {
        let output = run(&example("alarms"), &[arguments, &as_str(&self.options)].concat());
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    fn start(&self, place: usize) -> Child {
        let arguments = [&["run"], &as_str(&self.options)[..], &as_str(&self.instances[place])].concat();
        let mut command = command(&example("alarms"), &arguments);
        command.stdout(std::process::Stdio::null()).spawn().expect("the program can be started")
    }

    /// Winds up all timers, kills instances until all are due and some time more, and waits until none is left.
    fn run(&self) {
        self.call(&["topics", "create"]);
        let (timers, keys, seconds) = (self.timers.to_string(), KEYS.to_string(), self.seconds.to_string());
        let wind = ["wind", "--timers", &timers, "--keys", &keys, "--seconds", &seconds];
        self.call(&wind);
        let mut instances: Vec<Child> = (0..self.instances.len()).map(|place| self.start(place)).collect();
        let begun = Instant::now();
        let mut victims = (0..instances.len()).cycle();
        while begun.elapsed() < Duration::from_secs(self.seconds) {
            std::thread::sleep(self.life);
            let victim = victims.next().expect("it goes on for ever");
            kill(&mut instances[victim]);
            std::thread::sleep(DEATH);
            instances[victim] = self.start(victim);
        }
        if let [only] = &mut instances[..] {
            // A directory is read by one process at a time.
            kill(only);
            until("no timer is left", || {
                self.call(&["run", "--until-drained"]);
                self.waiting() == 0
            });
        } else {
            until("no timer is left", || self.waiting() == 0);
            for instance in &mut instances {
                signal(instance, "TERM");
                assert!(instance.wait().expect("the child is ours").success());
            }
        }
    }

    fn waiting(&self) -> usize {
        let list = ["timers", "list", "--output", "json"];
        let listed = run_json(&example("alarms"), &[&list[..], &as_str(&self.options)].concat());
        listed.as_array().expect("a list").len()
    }

    /// Looks at what rang, in the order of each partition.
    fn check(&self, rang: impl Iterator<Item = Value>) {
        let mut times = BTreeMap::<u64, u64>::new();
        let mut last = BTreeMap::<String, i64>::new();
        for rang in rang {
            let (number, due) = (rang["number"].as_u64().expect("a number"), rang["due"].as_i64().expect("a time"));
            assert!(rang["at"].as_i64().expect("a time") >= due, "before it was due: {rang}");
            *times.entry(number).or_default() += 1;
            let before = last.insert(rang["key"].to_string(), due);
            assert!(before.is_none_or(|before| before <= due), "not in order: {rang} behind {before:?}");
        }
        let wanted = (0..self.timers).filter(|number| number % REGRETTED != 0).map(|number| (number, 1));
        assert_eq!(times, wanted.collect(), "how often each rang");
    }
}

fn kill(instance: &mut Child) {
    instance.kill().expect("it runs");
    instance.wait().expect("the child is ours");
}

#[test]
fn on_kafka_timers_ring_once_and_in_order_whoever_is_killed() {
    let kafka = devkit::kafka::own_for_tests("timers on Kafka", &devkit::kafka::Options::default());
    let Some(kafka) = kafka else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let broker = format!("kafka://{}", kafka.address());
    let state = |name: &str| vec!["--state-dir".to_owned(), folder.path().join(name).display().to_string()];
    let place = Place::new(&["--broker", &broker], vec![state("a"), state("b")], 30, Duration::from_secs(8));
    place.run();
    let rang = committed(&kafka, "rang", Shows::Values);
    place.check(rang.into_iter().map(|(_, value)| serde_json::from_str(&value).expect("JSON")));
}

/// Runs the service on a directory, with its state where `more` says, and looks at what rang there.
fn in_a_directory(more: &[&str]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let broker = format!("embedded:{}", folder.path().join("log").display());
    let place = Place::new(&[&["--broker", &broker], more].concat(), vec![Vec::new()], 9, Duration::from_millis(2_500));
    place.run();
    let listed = run_json(&example("alarms"), &[&["rang"], &as_str(&place.options)[..]].concat());
    place.check(listed.as_array().expect("a list").iter().cloned());
}

#[test]
fn in_a_directory_timers_ring_once_and_in_order_whoever_is_killed() {
    in_a_directory(&[]);
}

#[test]
fn with_state_in_postgres_timers_ring_once_and_in_order_whoever_is_killed() {
    let options = devkit::postgres::Options::default();
    let Some(postgres) = devkit::postgres::own_for_tests("timers in Postgres", &options) else { return };
    let url = postgres.url();
    let migrated = run(&example("alarms"), &["database", "migrate", "--state", &url]);
    assert!(migrated.status.success(), "{}", String::from_utf8_lossy(&migrated.stderr));
    in_a_directory(&["--state", &url]);
}
