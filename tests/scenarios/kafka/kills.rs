//! Instances killed, stopped, frozen and robbed of their state, and a broker that goes away, under a steady load.

use std::time::Duration;

use super::audit;
use super::feed::Feed;
use super::tally::{Instance, SESSION, SHARDS, Stage, until};

/// Kills that hit a member which owned shards; more by the variable.
const KILLS: usize = 8;
const MORE: &str = "TIDEMILL_TEST_KILLS";
const SEED: &str = "TIDEMILL_TEST_SEED";
const INSTANCES: usize = 3;
const RECORDS_PER_SECOND: u64 = 500;
const KEYS: usize = 101;

/// Draws whose seed is printed.
struct Draws(u64);

impl Draws {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        usize::try_from(self.0 >> 33).expect("31 bits") % bound
    }

    fn wait(&mut self, most_millis: usize) {
        std::thread::sleep(Duration::from_millis(self.below(most_millis) as u64));
    }
}

/// A number that a variable of the environment gives.
pub(super) fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} has to be a number")))
}

/// What happens between two kills.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    /// An instance is asked to stop, and started again.
    Stop,
    /// The broker dies and comes back.
    BrokerDies,
    /// An instance stands still for longer than its session lasts.
    Freeze,
    /// All instances stop, and none of them finds its state again.
    StateGone,
    /// The broker stops in order and comes back.
    BrokerRestarts,
}

const TROUBLES: [Trouble; 7] = [
    Trouble::Stop,
    Trouble::BrokerDies,
    Trouble::Freeze,
    Trouble::StateGone,
    Trouble::Stop,
    Trouble::BrokerRestarts,
    Trouble::Freeze,
];

struct Kills {
    stage: Stage,
    instances: Vec<Instance>,
    draws: Draws,
}

impl Kills {
    fn start(&self, place: usize) -> Instance {
        self.stage.start(&format!("instance-{place}"))
    }

    /// Waits until an instance owns shards, and draws one of those that do.
    fn owner(&mut self) -> usize {
        let mut owners = Vec::new();
        until("an instance owns shards", || {
            self.instances.iter_mut().for_each(Instance::lives);
            owners = (0..INSTANCES).filter(|place| self.instances[*place].shards() > 0).collect();
            !owners.is_empty()
        });
        owners[self.draws.below(owners.len())]
    }

    fn kill(&mut self, with_state: bool) {
        let place = self.owner();
        self.instances[place].kill();
        if with_state {
            self.instances[place].forget();
        }
        self.draws.wait(2_000);
        self.instances[place] = self.start(place);
    }

    fn meet(&mut self, trouble: Trouble) {
        eprintln!("{trouble:?}");
        match trouble {
            Trouble::Stop => {
                let place = self.owner();
                self.instances[place].stop();
                let name = self.instances[place].name();
                let open = self.stage.open_transactions();
                assert!(open.iter().all(|line| !line.contains(&name)), "left open by {name}, which stopped: {open:?}");
                self.instances[place] = self.start(place);
            }
            Trouble::BrokerDies => {
                self.stage.kafka.kill();
                self.draws.wait(3_000);
                self.stage.kafka.restart().expect("it starts again");
            }
            Trouble::BrokerRestarts => self.stage.kafka.restart().expect("it starts again"),
            Trouble::Freeze => {
                let place = self.owner();
                self.instances[place].signal("STOP");
                std::thread::sleep(SESSION + Duration::from_secs(3));
                self.instances[place].signal("CONT");
            }
            Trouble::StateGone => {
                self.instances.iter_mut().for_each(Instance::stop);
                self.instances.iter().for_each(Instance::forget);
                self.instances = (0..INSTANCES).map(|place| self.start(place)).collect();
            }
        }
    }
}

#[test]
fn killed_and_moved_about_every_record_has_its_effects_once() {
    let Some(stage) = Stage::open("killing instances on Kafka", &[]) else { return };
    let kills = variable(MORE).map_or(KILLS, |more| usize::try_from(more).expect("64-bit machine").max(KILLS));
    let seed = variable(SEED).unwrap_or_else(|| u64::from(std::process::id()));
    eprintln!("{kills} kills; repeat the draws with {SEED}={seed}");
    let keys = (0..KEYS).map(|key| format!("key-{key}")).collect();
    let feed = Feed::start(&stage, RECORDS_PER_SECOND, keys);
    let mut run = Kills { stage, instances: Vec::new(), draws: Draws(seed) };
    run.instances = (0..INSTANCES).map(|place| run.start(place)).collect();
    for kill in 0..kills {
        run.kill(kill % 3 == 2);
        run.draws.wait(3_000);
        if let Some(trouble) = TROUBLES.get(kill) {
            run.meet(*trouble);
        }
    }
    until("all shards run again", || {
        run.instances.iter_mut().for_each(Instance::lives);
        run.instances.iter().map(Instance::shards).sum::<usize>() == SHARDS as usize
    });
    let sent: u64 = feed.finish().values().sum();
    run.stage.drain();
    run.instances.iter_mut().for_each(Instance::stop);
    assert_eq!(run.stage.open_transactions(), [""; 0], "left open");
    let applied = audit::applied_once(&run.stage);
    assert_eq!(applied as u64, sent, "the producer was told that all are there");
    eprintln!("{kills} kills hit an owner; {applied} records had their effects once");
}
