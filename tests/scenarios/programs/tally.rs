//! A service that counts the records of each key, and says so after each of them.
//!
//! `tally topics`, `tally feed`, `tally run`, `tally audit` and `tally report` take the usual options, and so do the commands of every service. While it runs, the program tells on standard output
//! which shards it runs: `+3` when shard 3 began, `-3` when it ended. What is in its topics is nobody's of ours: the test writes
//! and reads them with Kafka's own tools.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tidemill::code::{Coded, Exit};
use tidemill::command::{Options, execute, print_json};
use tidemill::config::Configuration;
use tidemill::host::{Host, Until};
use tidemill::ports::Observer;
use tidemill::prelude::*;
use tidemill::publisher::Publication;
use tidemill::query::{self, Query};
use tidemill::time::Timestamp;

/// How long the handler takes over a record of this key.
const SLOW_KEY: &str = "slow";
const SLOW: Duration = Duration::from_secs(4);
/// How much it says of a record of this key: more than a topic takes unless told to.
const LARGE_KEY: &str = "large";
const LARGE_BYTES: usize = 2_000_000;
/// Keys that begin so fail for a while, one record of them in ten.
const SHAKY_KEY: &str = "shaky";
const SHAKY_RECORDS: u64 = 10;
/// The most attempts that fail.
const MOST_FAILURES: u64 = 8;
/// What the handler needs from outside.
const LEDGER: &str = "ledger";
/// With the bug, one record in so many of keys that begin so fails for good.
const BAD_KEY: &str = "bad";
const BAD_RECORDS: u64 = 40;
/// Of so many keys that are fed, one is shaky.
const KEYS_FOR_ONE: u64 = 20;
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
    /// Which attempt it was, and its time in milliseconds since the epoch.
    attempt: u32,
    at: i64,
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

/// How the service goes wrong.
#[derive(Debug, Clone, Default, clap::Args)]
struct Wrong {
    /// While this file is there, what the handler needs is not.
    #[arg(long)]
    away: Option<PathBuf>,
    /// Some records fail for good.
    #[arg(long)]
    bug: bool,
}

impl Wrong {
    fn fails(&self, step: &Step, attempt: u32) -> Result<(), HandlerError> {
        if self.away.as_ref().is_some_and(|file| file.exists()) {
            return Err(HandlerError::unavailable(LEDGER, "it is away"));
        }
        if self.bug && step.key.starts_with(BAD_KEY) && step.number % BAD_RECORDS == 1 {
            return Err(HandlerError::permanent("it has a bug"));
        }
        if step.key.starts_with(SHAKY_KEY) && step.number % SHAKY_RECORDS == 1 {
            let failures = 1 + step.number / SHAKY_RECORDS % MOST_FAILURES;
            if u64::from(attempt) <= failures {
                return Err(HandlerError::transient("it fails for a while"));
            }
        }
        Ok(())
    }
}

struct Count(Wrong);

#[async_trait(?Send)]
impl Handler<Step> for Count {
    async fn handle(&self, step: &Step, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        if step.key == SLOW_KEY {
            cx.blocking(|| std::thread::sleep(SLOW)).await?;
        }
        self.0.fails(step, cx.attempt())?;
        let count = cx.get(COUNT).await?.unwrap_or(0) + 1;
        cx.set(COUNT, count);
        let padding = if step.key == LARGE_KEY { "x".repeat(LARGE_BYTES) } else { String::new() };
        let (attempt, at) = (cx.attempt(), cx.now().as_millis());
        cx.emit(Counted { key: step.key.clone(), number: step.number, count, attempt, at, padding });
        Ok(())
    }
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
        wrong: Wrong,
        #[command(flatten)]
        options: Options,
    },
    /// Publishes records over some keys in turn, each key's numbered from 1.
    Feed {
        #[command(flatten)]
        amount: Amount,
        #[command(flatten)]
        options: Options,
    },
    /// Feeds, runs until everything is done, and audits, in one process.
    Whole {
        #[command(flatten)]
        amount: Amount,
        #[command(flatten)]
        options: Options,
    },
    /// Prints what was said of each key: whether all of it, in order, and once.
    Audit(Options),
    /// Prints the count of each key.
    Report(Options),
}

#[derive(Debug, Clone, Copy, clap::Args)]
struct Amount {
    #[arg(long, default_value_t = 100_000)]
    records: u64,
    #[arg(long, default_value_t = 1_000)]
    keys: u64,
    /// No key fails.
    #[arg(long)]
    steady: bool,
}

/// What was said, and how fast of keys that never fail.
#[derive(Debug, Default, Serialize)]
struct Audit {
    records: u64,
    keys: usize,
    /// Records that were counted out of their order, or not once.
    wrong: u64,
    steady_per_second: f64,
}

/// Publishes the records.
async fn feed(host: &Host, amount: Amount) -> Result<(), Coded> {
    /// Records of one publication.
    const TOGETHER: u64 = 1_000;
    host.create_topics(host.topics()).await?;
    let mut publisher = host.publisher("/tests/feed");
    publisher.declare::<Step>().await?;
    for place in 0..amount.records {
        let (key, number) = (place % amount.keys, place / amount.keys + 1);
        let is_shaky = key % KEYS_FOR_ONE == 0 && !amount.steady;
        let key = format!("{}-{key}", if is_shaky { SHAKY_KEY } else { "steady" });
        let id = place.to_string();
        let event = Step { key, number };
        publisher.publish(Publication { event: &event, id: &id, time: Timestamp::default() })?;
        if place % TOGETHER == TOGETHER - 1 {
            publisher.flush().await?;
        }
    }
    publisher.flush().await
}

/// Reads what was said.
async fn audit(host: &Host) -> Result<Audit, Coded> {
    let (mut found, mut last) = (Audit::default(), BTreeMap::<String, u64>::new());
    let (mut steady, mut times) = (0_u32, Vec::new());
    query::records(&**host.broker(), Counted::TOPIC, &mut Vec::new(), |_, record| {
        let said: Counted = serde_json::from_slice(record.value.as_deref().expect("an event")).expect("a count");
        found.records += 1;
        if !said.key.starts_with(SHAKY_KEY) {
            steady += 1;
            times.push(record.timestamp);
        }
        let before = last.insert(said.key, said.number).unwrap_or(0);
        found.wrong += u64::from(said.number != before + 1 || said.count != said.number);
    })
    .await?;
    found.keys = last.len();
    if let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) {
        found.steady_per_second = f64::from(steady) / last.since(*first).as_secs_f64().max(0.001);
    }
    Ok(found)
}

fn service(wide: bool, wrong: Wrong) -> ServiceBuilder {
    let service = Service::builder("tally")
        .handler("count", Count(wrong), |handler| handler.on::<Step>().needs(LEDGER))
        .emits::<Counted>();
    if wide { service.on::<Extra>("look", look) } else { service }
}

/// The service as it is when nothing goes wrong.
fn sound() -> ServiceBuilder {
    service(false, Wrong::default())
}

fn host(options: &Options, service: ServiceBuilder) -> Result<Host, Coded> {
    let mut host = Host::open(Configuration::load(options)?)?;
    host.add(service)?;
    Ok(host)
}

async fn work(command: Command) -> Result<Exit, Coded> {
    match command {
        Command::Topics { wide, options } => {
            let host = host(&options, service(wide, Wrong::default()))?;
            host.create_topics(host.topics()).await?;
        }
        Command::Run { until_drained, wide, wrong, options } => {
            let mut host = host(&options, service(wide, wrong))?;
            host.observe(Arc::new(Shards));
            return host.run(if until_drained { Until::Drained } else { Until::Stopped }).await;
        }
        Command::Feed { amount, options } => feed(&host(&options, sound())?, amount).await?,
        Command::Whole { amount, options } => {
            let host = host(&options, sound())?;
            feed(&host, amount).await?;
            let ended = host.run(Until::Drained).await?;
            print_json(&audit(&host).await?)?;
            return Ok(ended);
        }
        Command::Audit(options) => print_json(&audit(&host(&options, sound())?).await?)?,
        Command::Report(options) => {
            let mut counts = BTreeMap::new();
            let host = host(&options, sound())?;
            let query = Query::new(host.broker().clone(), "tally");
            query.cells("count", COUNT, |key, count| counts.extend([(key.to_owned(), count)])).await?;
            print_json(&counts)?;
        }
    }
    Ok(Exit::Done)
}

/// The commands here, and those that every service has.
fn main() -> ExitCode {
    let own = std::env::args()
        .nth(1)
        .is_none_or(|command| ["topics", "feed", "whole", "run", "audit", "report"].contains(&&*command));
    if own { execute(work) } else { tidemill::main(sound()) }
}
