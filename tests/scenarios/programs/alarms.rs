//! A service of timers: each key is wound up, and rings when it is due.
//!
//! `alarms wind` publishes what winds them up; it takes the commands of every service beside that.

use std::process::ExitCode;
use std::time::Duration;

use tidemill::code::{Coded, Exit};
use tidemill::command::{Options, execute, print_json};
use tidemill::config::Configuration;
use tidemill::host::Host;
use tidemill::prelude::*;
use tidemill::publisher::Publication;
use tidemill::query;
use tidemill::time::Timestamp;

/// One timer in so many is cancelled by the unit that schedules it, and does not count.
const REGRETTED: u64 = 10;
const FIRST_MILLIS: u64 = 2_000;

/// A timer is to ring.
#[derive(Debug, Serialize, Deserialize, Event)]
#[event(name = "tests.wound", version = 1, topic = "wound", key = key, codec = json)]
struct Wound {
    key: String,
    number: u64,
    after_millis: u64,
}

#[derive(Debug, Serialize, Deserialize, Event)]
#[event(name = "tests.ring", version = 1, codec = json)]
struct Ring {
    number: u64,
}

/// A timer rang. Times are in milliseconds since the epoch.
#[derive(Debug, Serialize, Deserialize, Event)]
#[event(name = "tests.rang", version = 1, topic = "rang", key = key, codec = json)]
struct Rang {
    key: String,
    number: u64,
    due: i64,
    at: i64,
}

struct Alarms;

#[async_trait(?Send)]
impl Handler<Wound> for Alarms {
    async fn handle(&self, wound: &Wound, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let (number, name) = (wound.number, format!("alarm-{}", wound.number));
        cx.schedule(&name, Duration::from_millis(wound.after_millis), Ring { number }).await?;
        if number % REGRETTED == 0 {
            cx.cancel(&name).await?;
        }
        Ok(())
    }
}

#[async_trait(?Send)]
impl Handler<Ring> for Alarms {
    async fn handle(&self, ring: &Ring, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let (due, at) = (cx.metadata().timestamp().as_millis(), cx.now().as_millis());
        let key = String::from_utf8(cx.metadata().key().unwrap_or_default().to_vec())?;
        cx.emit(Rang { key, number: ring.number, due, at });
        Ok(())
    }
}

fn service() -> ServiceBuilder {
    let alarms = Service::builder("alarms").emits::<Rang>();
    alarms.handler("alarms", Alarms, |handler| handler.on::<Wound>().on_timer::<Ring>())
}

#[derive(Debug, clap::Parser)]
enum Command {
    /// Winds up timers that are due one after the other, in the time that is given.
    Wind {
        #[arg(long)]
        timers: u64,
        #[arg(long)]
        keys: u64,
        #[arg(long)]
        seconds: u64,
        #[command(flatten)]
        options: Options,
    },
    /// Prints what rang, in the order of each partition.
    Rang(Options),
}

async fn work(command: Command) -> Result<Exit, Coded> {
    let (timers, keys, seconds, options) = match command {
        Command::Wind { timers, keys, seconds, options } => (timers, keys, seconds, options),
        Command::Rang(options) => return rang(&options).await,
    };
    let mut host = Host::open(Configuration::load(&options)?)?;
    host.writes(Wound::TOPIC);
    let mut publisher = host.publisher("/tests/alarms");
    publisher.declare::<Wound>().await?;
    for number in 0..timers {
        // Not in the order in which they ring, and none before the last is wound up.
        let after_millis = FIRST_MILLIS + number * 7_919 % timers * seconds * 1_000 / timers;
        let event = Wound { key: format!("key-{}", number % keys), number, after_millis };
        let id = number.to_string();
        publisher.publish(Publication { event: &event, id: &id, time: Timestamp::default() })?;
    }
    publisher.flush().await?;
    Ok(Exit::Done)
}

async fn rang(options: &Options) -> Result<Exit, Coded> {
    let (host, mut all) = (Host::open(Configuration::load(options)?)?, Vec::<Rang>::new());
    query::records(&**host.broker(), Rang::TOPIC, &mut Vec::new(), |_, record| {
        all.push(serde_json::from_slice(record.value.as_deref().expect("an event")).expect("what rang"));
    })
    .await?;
    print_json(&all)?;
    Ok(Exit::Done)
}

fn main() -> ExitCode {
    let is_own = std::env::args().nth(1).is_some_and(|command| ["wind", "rang"].contains(&&*command));
    if is_own { execute(work) } else { tidemill::main(service()) }
}
