//! Instances of the program `tally` as processes of their own, on one Kafka.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Output};
use std::time::{Duration, Instant};

use devkit::kafka::{Kafka, Options};
use tempfile::TempDir;

use crate::process::{command, example, run, run_json, signal};

/// Partitions of every topic.
pub(super) const SHARDS: u32 = 12;
/// A member that is silent for so long loses its shards.
pub(super) const SESSION: Duration = Duration::from_secs(6);
/// How long anything may take that has to come about, on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_mins(2);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A Kafka, and the program's topics on it.
pub(super) struct Stage {
    pub(super) kafka: Kafka,
    program: PathBuf,
    folder: TempDir,
    settings: Vec<String>,
}

impl Stage {
    /// Nothing where no Kafka is asked for. `settings` are those of the program beside the stage's own, as `KEY=VALUE`.
    pub(super) fn open(what: &str, settings: &[&str]) -> Option<Self> {
        let stage = Self::without_topics(what, &Options::default(), settings)?;
        let made = run(&stage.program, &as_str(&stage.arguments(&["topics"])));
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Some(stage)
    }

    /// The same on a Kafka with these options, before the topics are made.
    pub(super) fn without_topics(what: &str, options: &Options, settings: &[&str]) -> Option<Self> {
        let kafka = devkit::kafka::own_for_tests(what, options)?;
        let session = format!("kafka.session_timeout={}s", SESSION.as_secs());
        let own = [session.as_str(), "kafka.heartbeat=500ms", "drain=3s", "topics.partitions=12", "log.format=text"];
        let settings = own.iter().chain(settings).flat_map(|setting| ["--set".to_owned(), (*setting).to_owned()]);
        let (program, folder) = (example("tally"), tempfile::tempdir().expect("a temporary folder"));
        Some(Self { kafka, program, folder, settings: settings.collect() })
    }

    fn arguments(&self, command: &[&str]) -> Vec<String> {
        self.arguments_at(&self.kafka.address(), command)
    }

    fn arguments_at(&self, address: &str, command: &[&str]) -> Vec<String> {
        let (first, rest) = command.split_first().expect("a command");
        let rest = rest.iter().map(|word| (*word).to_owned());
        std::iter::once((*first).to_owned()).chain(self.place(address)).chain(rest).collect()
    }

    /// The options that say where, and the settings.
    fn place(&self, address: &str) -> Vec<String> {
        let broker = ["--broker".to_owned(), format!("kafka://{address}")];
        broker.into_iter().chain(self.settings.iter().cloned()).collect()
    }

    /// Starts an instance whose state lies under this name.
    pub(super) fn start(&self, name: &str) -> Instance {
        self.start_with(name, &[])
    }

    /// The same with options.
    pub(super) fn start_with(&self, name: &str, more: &[&str]) -> Instance {
        let folder = self.folder.path().join(name);
        fs::create_dir_all(&folder).expect("the folder is ours");
        let (told, said) = (folder.join("told"), folder.join("said"));
        let state = folder.join("state");
        let mut arguments = self.arguments(&[&["run", "--store", "fjall"], more].concat());
        arguments.extend(["--state-dir".to_owned(), state.display().to_string()]);
        let mut command = command(&self.program, &as_str(&arguments));
        // What it tells belongs to this process; what it said before is kept for whoever looks for a cause.
        let file = File::create(&told).expect("the folder is ours");
        let errors = File::options().append(true).create(true).open(&said).expect("the folder is ours");
        let child = command.stdout(file).stderr(errors).spawn().expect("the program can be started");
        Instance { child, told, said, state }
    }

    /// Runs an instance more until everything in the topics is done, or it cannot go on.
    pub(super) fn run(&self, settings: &[&str]) -> Output {
        let more = settings.iter().flat_map(|setting| ["--set", setting]);
        self.call(&["run", "--until-drained"].into_iter().chain(more).collect::<Vec<_>>())
    }

    /// Runs a command of the program.
    pub(super) fn call(&self, command: &[&str]) -> Output {
        run(&self.program, &as_str(&self.arguments(command)))
    }

    /// Runs a command with a subcommand, as operators do.
    pub(super) fn operate(&self, command: &[&str]) -> Output {
        run(&self.program, &[command, &as_str(&self.place(&self.kafka.address()))].concat())
    }

    /// All dead letters of the service, open or not.
    pub(super) fn letters(&self) -> serde_json::Value {
        let place = self.place(&self.kafka.address());
        let list = ["dead-letters", "list", "--all", "--output", "json"];
        run_json(&self.program, &[&list[..], &as_str(&place)].concat())
    }

    /// A file beside the instances' state.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a command of the program on another Kafka.
    pub(super) fn call_at(&self, address: &str, command: &[&str]) -> Output {
        run(&self.program, &as_str(&self.arguments_at(address, command)))
    }

    /// Runs an instance more until everything in the topics is done.
    pub(super) fn drain(&self) {
        let drained = self.run(&[]);
        assert!(drained.status.success(), "{}", String::from_utf8_lossy(&drained.stderr));
    }

    /// The count of each key, as the service keeps it.
    pub(super) fn report(&self) -> serde_json::Value {
        run_json(&self.program, &as_str(&self.arguments(&["report"])))
    }

    /// What one of Kafka's own tools says.
    pub(super) fn tool(&self, name: &str, arguments: &[&str]) -> String {
        let address = self.kafka.admin_address();
        let arguments = [&["--bootstrap-server", &address], arguments].concat();
        let output = self.kafka.tool(name, &arguments).expect("the tool can be started");
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("tools speak text")
    }

    /// Transactions that are open, as the broker knows them.
    pub(super) fn open_transactions(&self) -> Vec<String> {
        let all = self.tool("transactions", &["list"]);
        all.lines().filter(|line| line.contains("Ongoing")).map(str::to_owned).collect()
    }
}

/// Arguments as programs take them.
pub(crate) fn as_str(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}

/// One process of the service.
pub(super) struct Instance {
    child: Child,
    told: PathBuf,
    said: PathBuf,
    state: PathBuf,
}

impl Instance {
    /// How many shards it runs at this moment.
    pub(super) fn shards(&self) -> usize {
        self.running().len()
    }

    /// The shards that it runs at this moment.
    pub(super) fn running(&self) -> BTreeSet<u32> {
        let told = self.told();
        let mut running = BTreeSet::new();
        for line in told.lines() {
            match line.split_at_checked(1) {
                Some(("+", shard)) => running.extend(shard.parse::<u32>()),
                Some(("-", shard)) => running.retain(|known| shard.parse() != Ok(*known)),
                _ => {}
            }
        }
        running
    }

    /// Everything it told of its shards.
    pub(super) fn told(&self) -> String {
        fs::read_to_string(&self.told).expect("the file is ours")
    }

    /// Whether it was given anything yet.
    pub(super) fn has_joined(&self) -> bool {
        let said = fs::read_to_string(&self.said).expect("the file is ours");
        let since = said.rfind("starting").unwrap_or_default();
        self.shards() > 0 || said[since..].contains("shard waits")
    }

    /// The name under which it is known to the cluster.
    pub(super) fn name(&self) -> String {
        fs::read_to_string(self.state.join("tally.instance")).expect("it keeps its name with its state")
    }

    /// Fails if it ended by itself.
    pub(super) fn lives(&mut self) {
        let ended = self.child.try_wait().expect("the child is ours");
        assert!(ended.is_none(), "an instance ended by itself with {ended:?}: {}", self.errors());
    }

    /// The last lines of what it wrote on standard error.
    pub(super) fn errors(&self) -> String {
        const LINES: usize = 40;
        let said = fs::read_to_string(&self.said).expect("the file is ours");
        let lines: Vec<&str> = said.lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }

    pub(super) fn kill(&mut self) {
        self.child.kill().expect("the child is ours");
        self.child.wait().expect("the child is ours");
    }

    pub(super) fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// Waits for it to end by itself, and answers its exit code.
    pub(super) fn ends(&mut self) -> Option<i32> {
        let mut status = None;
        until("an instance ends", || {
            status = self.child.try_wait().expect("the child is ours");
            status.is_some()
        });
        status.and_then(|status| status.code())
    }

    /// Asks it to stop, and waits for its end, which has to be good.
    pub(super) fn stop(&mut self) {
        self.signal("TERM");
        until("an instance stops", || self.child.try_wait().expect("the child is ours").is_some());
        let status = self.child.wait().expect("the child is ours");
        assert!(status.success(), "{status}: {}", self.errors());
    }

    /// Its copy of the state is gone. It must not run.
    pub(super) fn forget(&self) {
        forget(&self.state);
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // One that ended already cannot be killed, and need not.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn forget(folder: &Path) {
    if folder.exists() {
        fs::remove_dir_all(folder).expect("the folder is ours");
    }
}

/// Waits until something has come about.
pub(crate) fn until(what: &str, mut come: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !come() {
        assert!(begun.elapsed() < PATIENCE, "it did not come about within {PATIENCE:?} that {what}");
        std::thread::sleep(LOOK_EVERY);
    }
}
