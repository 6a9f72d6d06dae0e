//! Goes through what the shop's topics tell of its checkout, and says whether the sums hold. It knows the events, and nothing of the
//! services or their state.
//!
//! With `--run FILE` it first runs the whole shop on that file, in this process: the one way to look into the topics of `memory:`. With
//! `--orders N` it runs the checkout and whom it asks on so many small orders instead, and tells how quick that was.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use checkout::{OrderConfirmed, OrderFailed};
use clap::Parser;
use ingest::{Input, Survey};
use inventory::{StockReleased, StockReserved};
use orders::{OrderItem, OrderPlaced, OrderRequested};
use payments::{PaymentAuthorised, PaymentRefunded};
use serde::Serialize;
use shipping::OrderShipped;
use tidemill::code::{Code, Coded, Exit};
use tidemill::codec::Codec;
use tidemill::command::{self, Options};
use tidemill::config::Configuration;
use tidemill::event::Event;
use tidemill::headers;
use tidemill::host::{Host, Until};
use tidemill::publisher::Publication;
use tidemill::query;
use tidemill::time::Timestamp;

/// As in the shop's programs, so that what is measured is theirs.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Violations that are told of.
const TOLD: usize = 10;

#[derive(Debug, Parser)]
struct Ledger {
    /// Runs the whole shop on this file first.
    #[arg(long, value_name = "FILE")]
    run: Option<PathBuf>,
    /// Runs the checkout on so many orders of two products first.
    #[arg(long, value_name = "N", conflicts_with = "run")]
    orders: Option<u32>,
    /// The seed of the carriers then.
    #[arg(long, default_value_t = shipping::SEED)]
    carriers: u64,
    #[command(flatten)]
    common: Options,
}

/// What was told of one order.
#[derive(Debug, Default)]
struct Account {
    placed: u64,
    reserved: i64,
    released: i64,
    shipped: i64,
    authorised: i64,
    refunded: i64,
    confirmed: Vec<OrderConfirmed>,
    failed: Vec<OrderFailed>,
}

/// What all orders come to.
#[derive(Debug, Default, Serialize)]
struct Sums {
    orders: usize,
    /// How many orders ended how.
    endings: BTreeMap<String, u64>,
    reasons: BTreeMap<String, u64>,
    reserved: i64,
    released: i64,
    shipped: i64,
    authorised_milli: i64,
    refunded_milli: i64,
    confirmed_milli: i64,
    /// Checkouts that ended in a second, where orders were made up.
    #[serde(skip_serializing_if = "Option::is_none")]
    per_second: Option<f64>,
    /// What does not hold, the first of it.
    violations: Vec<String>,
}

/// Hands over every event of a type.
async fn all<E: Event>(host: &Host, mut each: impl FnMut(E)) -> Result<(), Coded> {
    let codec = E::Codec::open()?;
    let (mut unreadable, mut from) = (None, Vec::new());
    let found = query::records(&**host.broker(), E::TOPIC, &mut from, |_, record| {
        if record.headers.get(headers::TYPE) != Some(E::NAME.as_bytes()) {
            return;
        }
        match codec.decode(&record.value.unwrap_or_default()) {
            Ok(event) => each(event),
            Err(error) => unreadable = Some(error),
        }
    });
    if !found.await? {
        return Err(Coded::new(Code::TOPIC_MISSING, format!("there is no topic {}", E::TOPIC)));
    }
    match unreadable {
        // Bytes that are no events are published on purpose where faults are asked for.
        Some(error) if E::NAME != OrderPlaced::NAME => {
            Err(Coded::new(Code::DAMAGED, format!("an event {} cannot be read: {error}", E::NAME)))
        }
        _ => Ok(()),
    }
}

async fn accounts(host: &Host) -> Result<BTreeMap<String, Account>, Coded> {
    let mut all_of = BTreeMap::<String, Account>::new();
    all::<OrderPlaced>(host, |event| all_of.entry(event.invoice).or_default().placed += 1).await?;
    all::<OrderRequested>(host, |event| all_of.entry(event.order).or_default().placed += 1).await?;
    all::<StockReserved>(host, |event| all_of.entry(event.order).or_default().reserved += event.units).await?;
    all::<StockReleased>(host, |event| all_of.entry(event.order).or_default().released += event.units).await?;
    all::<OrderShipped>(host, |event| all_of.entry(event.order).or_default().shipped += event.units).await?;
    all::<PaymentAuthorised>(host, |event| all_of.entry(event.order).or_default().authorised += event.amount_milli)
        .await?;
    all::<PaymentRefunded>(host, |event| all_of.entry(event.order).or_default().refunded += event.amount_milli).await?;
    all::<OrderConfirmed>(host, |event| all_of.entry(event.order.clone()).or_default().confirmed.push(event)).await?;
    all::<OrderFailed>(host, |event| all_of.entry(event.order.clone()).or_default().failed.push(event)).await?;
    Ok(all_of)
}

impl Account {
    /// What does not hold of one order.
    fn violation(&self) -> Option<String> {
        let Self { placed, reserved, released, shipped, authorised, refunded, confirmed, failed } = self;
        if *placed == 0 {
            return Some("it was never placed".to_owned());
        }
        if confirmed.len() + failed.len() != 1 {
            return Some(format!("it was confirmed {} times, and failed {} times", confirmed.len(), failed.len()));
        }
        let (units, total) = confirmed.first().map_or((0, 0), |order| (order.units, order.total_milli));
        if reserved - released != *shipped || *shipped != units {
            return Some(format!(
                "{reserved} units reserved, {released} released, {shipped} shipped, {units} confirmed"
            ));
        }
        if authorised - refunded != total {
            return Some(format!("{authorised} authorised, {refunded} refunded, {total} confirmed"));
        }
        None
    }
}

fn sums(accounts: &BTreeMap<String, Account>) -> Sums {
    let mut sums = Sums::default();
    for (order, account) in accounts {
        sums.orders += 1;
        sums.reserved += account.reserved;
        sums.released += account.released;
        sums.shipped += account.shipped;
        sums.authorised_milli += account.authorised;
        sums.refunded_milli += account.refunded;
        for confirmed in &account.confirmed {
            sums.confirmed_milli += confirmed.total_milli;
            *sums.endings.entry("confirmed".to_owned()).or_default() += 1;
        }
        for failed in &account.failed {
            *sums.endings.entry(failed.outcome.clone()).or_default() += 1;
            *sums.reasons.entry(failed.reason.clone()).or_default() += 1;
        }
        if let Some(violation) = account.violation().filter(|_| sums.violations.len() < TOLD) {
            sums.violations.push(format!("order {order}: {violation}"));
        }
    }
    sums
}

/// The checkout, and whom it asks.
async fn add(host: &mut Host, carriers: u64) -> Result<(), Coded> {
    host.add(inventory::service())?;
    host.add(payments::service(None))?;
    host.add(shipping::service(carriers))?;
    host.add(checkout::service())?;
    host.create_topics(host.topics()).await.map(drop)
}

/// Runs the whole shop on a file until nothing is left to do.
async fn run(host: &mut Host, file: PathBuf, carriers: u64) -> Result<Exit, Coded> {
    host.add(orders::service())?;
    add(host, carriers).await?;
    let survey = Survey::of(Input::File(file))?;
    let publisher = host.publisher(ingest::SOURCE);
    let feed = async { survey.publish(publisher, None, |_| {}).await.map(drop) };
    host.run_with(feed, Until::Drained).await
}

/// Runs the checkout on orders that were placed before, and tells how many of them ended in a second.
async fn measure(host: &mut Host, orders: u32, carriers: u64) -> Result<(Exit, f64), Coded> {
    add(host, carriers).await?;
    let mut publisher = host.publisher("/tests/ledger");
    publisher.declare::<OrderPlaced>().await?;
    for number in 0..orders {
        let item = |stock_code: u32| OrderItem {
            stock_code: format!("P{stock_code}"),
            quantity: 1 + i64::from(number % 5),
            unit_price_milli: 2_550,
            month: "2010-12".to_owned(),
        };
        let items = vec![item(number % 997), item(1_000 + number % 991)];
        let total_milli = items.iter().map(OrderItem::amount_milli).sum();
        let (invoice, id) = (format!("{}", 600_000 + number), number.to_string());
        let (customer, country) = (Some("17850".to_owned()), "France".to_owned());
        let event = OrderPlaced { invoice, customer, country, at: 0, lines: 2, items, total_milli };
        publisher.publish(Publication { event: &event, id: &id, time: Timestamp::default() })?;
        if number % 10_000 == 0 {
            publisher.flush().await?;
        }
    }
    publisher.flush().await?;
    let begun = Instant::now();
    let exit = host.run(Until::Drained).await?;
    let elapsed = begun.elapsed();
    Ok((exit, f64::from(orders) / elapsed.as_secs_f64()))
}

async fn check(ledger: Ledger) -> Result<Exit, Coded> {
    let mut host = Host::open(Configuration::load(&ledger.common)?)?;
    let (mut exit, mut per_second) = (Exit::Done, None);
    if let Some(file) = ledger.run {
        exit = run(&mut host, file, ledger.carriers).await?;
    } else if let Some(orders) = ledger.orders {
        let (ended, rate) = measure(&mut host, orders, ledger.carriers).await?;
        (exit, per_second) = (ended, Some(rate.round()));
    }
    if exit != Exit::Done {
        return Ok(exit);
    }
    let sums = Sums { per_second, ..sums(&accounts(&host).await?) };
    command::print_json(&sums)?;
    Ok(if sums.violations.is_empty() { Exit::Done } else { Exit::Problems })
}

fn main() -> std::process::ExitCode {
    command::execute(check)
}
