//! A service that counts the records of each key, and says so after each of them.
//!
//! `tally topics`, `tally run` and `tally report` take the usual options, and so do the commands of every service. While it runs, the program tells on standard output
//! which shards it runs: `+3` when shard 3 began, `-3` when it ended. What is in its topics is nobody's of ours: the test writes
//! and reads them with Kafka's own tools.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tidemill::code::{Coded, Exit};
use tidemill::command::{Options, execute, print_json};
use tidemill::config::Configuration;
use tidemill::host::{Host, Until};
use tidemill::ports::Observer;
use tidemill::prelude::*;
use tidemill::query::Query;

/// How long the handler takes over a record of this key.
const SLOW_KEY: &str = "slow";
const SLOW: Duration = Duration::from_secs(4);
/// How much it says of a record of this key: more than a topic takes unless told to.
const LARGE_KEY: &str = "large";
const LARGE_BYTES: usize = 2_000_000;
const COUNT: Cell<u64> = Cell::named("count");

#[derive(Debug, Serialize, Deserialize, Event)]
#[event(name = "tests.step", version = 1, topic = "steps", key = key, codec = json)]
struct Step {
    key: String,
    number: u64,
}

#[derive(Debug, Serialize, Deserialize, Event)]
#[event(name = "tests.counted", version = 1, topic = "counts", key = key, codec = json)]
struct Counted {
    key: String,
    number: u64,
    count: u64,
    padding: String,
}

/// What the newer version of the service reads too.
#[derive(Debug, Serialize, Deserialize, Event)]
#[event(name = "tests.extra", version = 1, topic = "extras", key = key, codec = json)]
struct Extra {
    key: String,
}

async fn look(_extra: &Extra, _cx: &mut Context<'_>) -> Result<(), HandlerError> {
    Ok(())
}

async fn count(step: &Step, cx: &mut Context<'_>) -> Result<(), HandlerError> {
    if step.key == SLOW_KEY {
        cx.blocking(|| std::thread::sleep(SLOW)).await?;
    }
    let count = cx.get(COUNT).await?.unwrap_or(0) + 1;
    cx.set(COUNT, count);
    let padding = if step.key == LARGE_KEY { "x".repeat(LARGE_BYTES) } else { String::new() };
    cx.emit(Counted { key: step.key.clone(), number: step.number, count, padding });
    Ok(())
}

/// Tells which shards run here.
struct Shards;

impl Shards {
    fn tell(sign: char, shard: u32) {
        let mut out = std::io::stdout();
        let told = writeln!(out, "{sign}{shard}").and_then(|()| out.flush());
        told.expect("the test reads it");
    }
}

impl Observer for Shards {
    fn shard_started(&self, shard: u32) {
        Self::tell('+', shard);
    }

    fn shard_ended(&self, shard: u32, _interrupted: usize) {
        Self::tell('-', shard);
    }
}

#[derive(Debug, clap::Parser)]
enum Command {
    /// Creates the topics.
    Topics {
        #[arg(long)]
        wide: bool,
        #[command(flatten)]
        options: Options,
    },
    /// Runs the service until it is told to stop, or until everything is done.
    Run {
        #[arg(long)]
        until_drained: bool,
        /// As the service's next version, which reads one topic more.
        #[arg(long)]
        wide: bool,
        #[command(flatten)]
        options: Options,
    },
    /// Prints the count of each key.
    Report(Options),
}

fn service(wide: bool) -> ServiceBuilder {
    let service = Service::builder("tally").on::<Step>("count", count).emits::<Counted>();
    if wide { service.on::<Extra>("look", look) } else { service }
}

fn host(options: &Options, wide: bool) -> Result<Host, Coded> {
    let mut host = Host::open(Configuration::load(options)?)?;
    host.add(service(wide))?;
    host.observe(Arc::new(Shards));
    Ok(host)
}

async fn work(command: Command) -> Result<Exit, Coded> {
    match command {
        Command::Topics { wide, options } => {
            let host = host(&options, wide)?;
            host.create_topics(host.topics()).await?;
        }
        Command::Run { until_drained, wide, options } => {
            return host(&options, wide)?.run(if until_drained { Until::Drained } else { Until::Stopped }).await;
        }
        Command::Report(options) => {
            let mut counts = BTreeMap::new();
            let host = host(&options, false)?;
            let query = Query::new(host.broker().clone(), "tally");
            query.cells("count", COUNT, |key, count| counts.extend([(key.to_owned(), count)])).await?;
            print_json(&counts)?;
        }
    }
    Ok(Exit::Done)
}

/// The commands here, and those that every service has.
fn main() -> ExitCode {
    let own = std::env::args().nth(1).is_none_or(|command| ["topics", "run", "report"].contains(&&*command));
    if own { execute(work) } else { tidemill::main(service(false)) }
}
