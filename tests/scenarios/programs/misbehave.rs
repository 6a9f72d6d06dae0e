//! Two services in one process that read the same topic: one keeps to the rules, the other does as it is told.
//!
//! `misbehave feed --broker B` publishes numbers, `misbehave run HOW --broker B` runs both services until everything is done,
//! `misbehave report --broker B` prints how many records each of them has counted.

use std::process::ExitCode;
use std::time::Duration;

use tidemill::code::{Coded, Exit};
use tidemill::command::{Options, execute, print_json};
use tidemill::config::Configuration;
use tidemill::failure::Policies;
use tidemill::host::{Host, Until};
use tidemill::prelude::*;
use tidemill::publisher::Publication;
use tidemill::query::Query;
use tidemill::retry::Retry;
use tidemill::time::Timestamp;

/// So many that the one service is at work for a while after the other stopped.
const NUMBERS: i64 = 200_000;
/// The number at which the one service misbehaves.
const BAD: i64 = 7_777;
const KEYS: i64 = 50;
const FLUSH_BYTES: usize = 1024 * 1024;
const TIMEOUT: Duration = Duration::from_millis(200);
const FOR_EVER: Duration = Duration::from_hours(1);
const COUNT: Cell<i64> = Cell::named("count");

#[derive(Debug, Serialize, Deserialize, Event)]
#[event(name = "tests.number", version = 1, topic = "numbers", key = key, codec = json)]
struct Number {
    key: String,
    number: i64,
}

#[derive(Debug, Serialize, Deserialize, Event)]
#[event(name = "tests.undeclared", version = 1, topic = "nowhere", key = key, codec = json)]
struct Undeclared {
    key: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum How {
    /// Keeps to the rules.
    Well,
    /// Panics.
    Panic,
    /// Waits for something that never comes.
    Wait,
    /// Emits an event that was not declared.
    Undeclared,
    /// Blocks its thread.
    Block,
}

struct Count(How);

#[async_trait(?Send)]
impl Handler<Number> for Count {
    async fn handle(&self, number: &Number, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let count = cx.get(COUNT).await?.unwrap_or(0);
        cx.set(COUNT, count + 1);
        if number.number == BAD {
            match self.0 {
                How::Well => {}
                How::Panic => panic!("this handler was told to panic"),
                How::Wait => std::future::pending().await,
                How::Undeclared => cx.emit(Undeclared { key: number.key.clone() }),
                How::Block => std::thread::sleep(FOR_EVER),
            }
        }
        Ok(())
    }
}

fn service(name: &'static str, how: How) -> ServiceBuilder {
    let once_again = Policies::stopping().with_retry(&Retry { attempts: 2, ..Retry::default() });
    Service::builder(name).failures(once_again).handler("count", Count(how), |handler| {
        let handler = handler.on::<Number>();
        // Where a handler waits, its time-out has to end it; where it blocks, nothing but the watchdog may.
        if how == How::Wait { handler.timeout(TIMEOUT) } else { handler }
    })
}

#[derive(Debug, clap::Parser)]
enum Command {
    Feed(Options),
    Run {
        #[arg(value_enum)]
        how: How,
        #[command(flatten)]
        options: Options,
    },
    Report(Options),
}

async fn work(command: Command) -> Result<Exit, Coded> {
    match command {
        Command::Feed(options) => {
            let mut host = Host::open(Configuration::load(&options)?)?;
            host.add(service("moody", How::Well))?;
            host.add(service("steady", How::Well))?;
            host.create_topics(host.topics()).await?;
            let mut publisher = host.publisher("/tests/numbers");
            publisher.declare::<Number>().await?;
            for number in 0..NUMBERS {
                let event = Number { key: format!("key-{}", number % KEYS), number };
                let id = number.to_string();
                publisher.publish(Publication { event: &event, id: &id, time: Timestamp::from_millis(number) })?;
                if publisher.pending_bytes() >= FLUSH_BYTES {
                    publisher.flush().await?;
                }
            }
            publisher.flush().await?;
        }
        Command::Run { how, options } => {
            let mut host = Host::open(Configuration::load(&options)?)?;
            host.add(service("moody", how))?;
            host.add(service("steady", How::Well))?;
            return host.run(Until::Drained).await;
        }
        Command::Report(options) => {
            let host = Host::open(Configuration::load(&options)?)?;
            let mut counts = std::collections::BTreeMap::new();
            for service in ["moody", "steady"] {
                let mut sum = 0;
                Query::new(host.broker().clone(), service).cells("count", COUNT, |_, count| sum += count).await?;
                counts.insert(service, sum);
            }
            print_json(&counts)?;
        }
    }
    Ok(Exit::Done)
}

fn main() -> ExitCode {
    execute(work)
}
