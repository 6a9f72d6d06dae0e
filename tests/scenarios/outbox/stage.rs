//! The parts: Kafka, Postgres, the storefront, the relay and the service `bookings`, each a process of its own.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Child;

use devkit::kafka::Kafka;
use devkit::postgres::Postgres;
use tempfile::TempDir;

use super::database;
use crate::kafka::{Shows, as_str, committed, until};
use crate::process::{command, example, program, run, run_json, signal};

/// The tables of `bookings`.
const TABLES: &str = "create schema bookings;
    create table bookings.booked (order_id text primary key, customer text not null, total_milli bigint not null);
    create table bookings.customer (name text primary key, orders bigint not null)";

/// A process of ours, which can be started again.
pub(super) struct Process {
    program: PathBuf,
    arguments: Vec<String>,
    said: PathBuf,
    child: Option<Child>,
}

impl Process {
    pub(super) fn start(&mut self) {
        let errors = File::options().append(true).create(true).open(&self.said).expect("the folder is ours");
        let mut command = command(&self.program, &as_str(&self.arguments));
        let spawned = command.stdout(std::process::Stdio::null()).stderr(errors).spawn();
        self.child = Some(spawned.expect("the program can be started"));
    }

    pub(super) fn signal(&self, name: &str) {
        signal(self.child.as_ref().expect("it runs"), name);
    }

    /// Ends it by a signal, and waits for its end: one that was asked to end in order has to end well.
    pub(super) fn end(&mut self, name: &str) {
        self.signal(name);
        let child = self.child.as_mut().expect("it runs");
        let mut status = None;
        until("a process ends", || {
            status = child.try_wait().expect("the child is ours");
            status.is_some()
        });
        self.child = None;
        let is_good = name == "KILL" || status.is_some_and(|status| status.success());
        assert!(is_good, "{} ended with {status:?}: {}", self.program.display(), self.said());
    }

    /// Fails if it ended by itself.
    pub(super) fn lives(&mut self) {
        let Some(child) = &mut self.child else { return };
        let ended = child.try_wait().expect("the child is ours");
        assert!(ended.is_none(), "{} ended by itself with {ended:?}: {}", self.program.display(), self.said());
    }

    /// The last lines of what it said.
    pub(super) fn said(&self) -> String {
        const LINES: usize = 40;
        let said = fs::read_to_string(&self.said).unwrap_or_default();
        let lines: Vec<&str> = said.lines().collect();
        lines[lines.len().saturating_sub(LINES)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // One that ended already cannot be killed, and need not.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// All parts.
pub(super) struct Stage {
    pub(super) kafka: Kafka,
    pub(super) postgres: Postgres,
    /// Where the storefront listens.
    pub(super) address: SocketAddr,
    folder: TempDir,
}

impl Stage {
    /// Nothing where no Kafka or Postgres is asked for.
    pub(super) fn open(what: &str) -> Option<Self> {
        let postgres = devkit::postgres::own_for_tests(what, &devkit::postgres::Options::default())?;
        let kafka = devkit::kafka::own_for_tests(what, &devkit::kafka::Options::default())?;
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let folder = tempfile::tempdir().expect("a temporary folder");
        let stage = Self { kafka, postgres, address: free.expect("a free port"), folder };
        stage.call(&program("storefront"), &["database", "migrate"]);
        database::execute(&stage.postgres.url(), TABLES);
        stage.call(&program("storefront"), &["topics", "create"]);
        stage.call(&example("bookings"), &["topics", "create"]);
        Some(stage)
    }

    fn call(&self, program: &std::path::Path, arguments: &[&str]) {
        let place = self.place();
        let output = run(program, &[arguments, &as_str(&place)].concat());
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// The options that say where everything is.
    pub(super) fn place(&self) -> Vec<String> {
        let (broker, state) = (format!("kafka://{}", self.kafka.address()), self.postgres.url());
        let mut place = vec!["--broker".to_owned(), broker, "--state".to_owned(), state];
        let settings = [
            "outbox.relay=off",
            "outbox.lease=2s",
            "kafka.session_timeout=6s",
            "kafka.heartbeat=500ms",
            "drain=3s",
            "log.format=text",
        ];
        place.extend(settings.iter().flat_map(|setting| ["--set".to_owned(), (*setting).to_owned()]));
        place
    }

    fn process(&self, name: &str, program: PathBuf, arguments: &[&str]) -> Process {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).chain(self.place()).collect();
        let mut process = Process { program, arguments, said: self.folder.path().join(name), child: None };
        process.start();
        process
    }

    pub(super) fn storefront(&self) -> Process {
        self.process("storefront", program("storefront"), &["run", "--listen", &self.address.to_string()])
    }

    /// A relay whose log lies under this name.
    pub(super) fn relay(&self, name: &str) -> Process {
        self.process(name, program("storefront"), &["relay", "run"])
    }

    /// An instance of the service whose log lies under this name.
    pub(super) fn bookings(&self, name: &str) -> Process {
        self.process(name, example("bookings"), &["run", "--set", &format!("instance={name}")])
    }

    /// The one number that a query answers, or none where the database is away.
    pub(super) fn number(&self, query: &str) -> Option<i64> {
        database::number(&self.postgres.url(), query)
    }

    /// The texts that a query answers.
    pub(super) fn texts(&self, query: &str) -> Vec<String> {
        database::texts(&self.postgres.url(), query)
    }

    /// Who holds the relay's lease.
    pub(super) fn holder(&self) -> Vec<String> {
        self.texts("select holder from tidemill.lease")
    }

    /// How many records of its inputs the service has not done.
    pub(super) fn lag(&self) -> u64 {
        let place = self.place();
        let lines = run_json(&example("bookings"), &[&["lag", "--output", "json"], &as_str(&place)[..]].concat());
        let lines = lines.as_array().expect("a list");
        lines.iter().map(|line| line["records"].as_u64().expect("a number")).sum()
    }

    /// Every committed record of a topic as Kafka's own consumer reads it: its key and value, in the order of its partition.
    pub(super) fn records(&self, topic: &str, shows: Shows) -> Vec<(String, String)> {
        committed(&self.kafka, topic, shows)
    }

    /// Waits until everything is at its end: nothing lies in the outbox, and the service has done all.
    pub(super) fn settle(&self) {
        let left = || self.number("select count(*) from tidemill.outbox");
        until("everything is sent and booked", || left() == Some(0) && self.lag() == 0 && left() == Some(0));
    }
}
