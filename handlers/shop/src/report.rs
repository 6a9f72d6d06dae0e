//! The shop's report: read from the services' state, through the runtime's query.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use checkout::{Ending, Outcome};
use ingest::Kind;
use serde::Serialize;
use tidemill::code::{Coded, Exit};
use tidemill::command::{Output, print, print_json};
use tidemill::config::Configuration;
use tidemill::ports::Broker;
use tidemill::query::Query;
use tidemill::service::Service;

use crate::faults::Faults;
use crate::{feed, options};

/// How many countries the table shows before it sums up the rest.
const COUNTRIES_SHOWN: usize = 10;

/// What orders came to, in numbers of orders.
#[derive(Debug, Default, PartialEq, Serialize)]
struct Checkouts {
    confirmed: u64,
    declined: u64,
    out_of_stock: u64,
    compensated: u64,
}

impl Checkouts {
    fn count(&mut self, ending: Ending) {
        *match ending {
            Ending::Confirmed => &mut self.confirmed,
            Ending::Declined => &mut self.declined,
            Ending::OutOfStock => &mut self.out_of_stock,
            Ending::Compensated => &mut self.compensated,
        } += 1;
    }
}

/// What the services know when they are asked.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(crate) struct Report {
    /// Lines of closed invoices.
    lines: i64,
    /// Closed invoices.
    invoices: i64,
    /// Invoices that were orders.
    orders: u64,
    /// Invoices that cancelled an order.
    cancellations: u64,
    /// Invoices that adjusted the books.
    adjustments: u64,
    /// Products that moved.
    products: u64,
    /// The sum of all lines in thousandths of a pound.
    revenue_milli: i64,
    /// By country.
    countries: BTreeMap<String, sales::Totals>,
    /// Revenue in thousandths of a pound, by month.
    months: BTreeMap<String, i64>,
    /// Lines that could not be read.
    rejected_lines: u64,
    /// Records that had no effects on orders, because they were copies of others.
    copies_suppressed: u64,
    /// What the orders came to.
    checkout: Checkouts,
    /// Why orders came to nothing, and how many of them.
    checkout_reasons: BTreeMap<String, u64>,
    /// Records that all services together have done.
    events: u64,
    /// How long the run, or the reading of the report, took.
    elapsed_seconds: f64,
    /// What went wrong with payments, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    faults: Option<Faults>,
}

impl Report {
    /// Asks the services.
    pub(crate) async fn read(broker: &Arc<dyn Broker>, services: &[Arc<Service>], faults: bool) -> Result<Self, Coded> {
        let mut report = Self::default();
        let orders = Query::new(Arc::clone(broker), orders::NAME);
        orders
            .cells(orders::INVOICES, orders::OUTCOME, |_, outcome| match outcome.kind {
                Kind::Order => report.orders += 1,
                Kind::Cancellation => report.cancellations += 1,
                Kind::Adjustment => report.adjustments += 1,
            })
            .await?;
        orders.cells(orders::REJECTIONS, orders::REJECTED, |_, rejected| report.rejected_lines += rejected).await?;
        report.copies_suppressed = orders.copies_suppressed().await?.values().sum();
        let inventory = Query::new(Arc::clone(broker), inventory::NAME);
        inventory.cells(inventory::STOCK, inventory::UNITS, |_, _| report.products += 1).await?;
        let sales = Query::new(Arc::clone(broker), sales::NAME);
        sales
            .cells(sales::COUNTRIES, sales::TOTALS, |country, totals| {
                report.countries.insert(country.to_owned(), totals);
            })
            .await?;
        sales
            .cells(sales::MONTHS, sales::REVENUE, |month, revenue| {
                report.months.insert(month.to_owned(), revenue);
            })
            .await?;
        for totals in report.countries.values() {
            report.lines += totals.lines;
            report.invoices += totals.invoices;
            report.revenue_milli += totals.revenue_milli;
        }
        let checkout = Query::new(Arc::clone(broker), checkout::NAME);
        checkout
            .cells(checkout::SAGA, checkout::OUTCOME, |_, Outcome { ending, reason }| {
                report.checkout.count(ending);
                if ending != Ending::Confirmed {
                    *report.checkout_reasons.entry(reason).or_default() += 1;
                }
            })
            .await?;
        if faults {
            report.faults = Some(Faults::read(broker).await?);
        }
        for service in services {
            report.events += done(broker, service).await?;
        }
        Ok(report)
    }

    /// The same report with the time that the run took.
    pub(crate) fn taking(self, elapsed: Duration) -> Self {
        const MILLIS_PER_SECOND: f64 = 1000.0;
        Self { elapsed_seconds: (elapsed.as_secs_f64() * MILLIS_PER_SECOND).round() / MILLIS_PER_SECOND, ..self }
    }

    /// Prints the report on standard output.
    pub(crate) fn print(&self, output: Output) -> Result<(), Coded> {
        match output {
            Output::Table => print(self),
            Output::Json => print_json(self),
        }
    }
}

/// Reads the report of a directory, without running anything.
pub(crate) async fn report(options: options::Report, luck: options::Luck) -> Result<Exit, Coded> {
    #[expect(clippy::disallowed_methods, reason = "the shop is a program, and reports how long it took")]
    let begun = Instant::now();
    let host = feed::open(Configuration::load(&options.common)?, luck)?;
    feed::require_topics(&host).await?;
    let report = Report::read(host.broker(), host.services(), luck.faults.is_some()).await?;
    #[expect(clippy::disallowed_methods, reason = "as above")]
    report.taking(begun.elapsed()).print(options.output)?;
    Ok(Exit::Done)
}

/// How many records a service has done and committed.
async fn done(broker: &Arc<dyn Broker>, service: &Service) -> Result<u64, Coded> {
    let topics: Vec<Arc<str>> = service.input_topics().cloned().collect();
    let mut done = 0;
    for lag in broker.lag(service.name(), &topics).await? {
        let (oldest, end) = broker.topics().offsets(&lag.partition).await?;
        done += (end - oldest).saturating_sub(lag.records);
    }
    Ok(done)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "The shop")?;
        for (name, value) in [
            ("order lines", number(self.lines)),
            ("invoices", number(self.invoices)),
            ("  orders", number(self.orders)),
            ("    confirmed", number(self.checkout.confirmed)),
            ("    declined", number(self.checkout.declined)),
            ("    out of stock", number(self.checkout.out_of_stock)),
            ("    compensated", number(self.checkout.compensated)),
            ("  cancellations", number(self.cancellations)),
            ("  adjustments", number(self.adjustments)),
            ("products", number(self.products)),
            ("revenue", pounds(self.revenue_milli)),
            ("rejected lines", number(self.rejected_lines)),
            ("copies suppressed", number(self.copies_suppressed)),
        ] {
            writeln!(f, "  {name:<18} {value:>18}")?;
        }
        writeln!(f, "\nBy country {:>21} {:>10} {:>16}", "invoices", "lines", "revenue")?;
        let mut countries: Vec<_> = self.countries.iter().collect();
        countries.sort_by_key(|(name, totals)| (-totals.revenue_milli, *name));
        for (country, totals) in countries.iter().take(COUNTRIES_SHOWN) {
            let (invoices, lines) = (number(totals.invoices), number(totals.lines));
            writeln!(f, "  {country:<20} {invoices:>9} {lines:>10} {:>16}", pounds(totals.revenue_milli))?;
        }
        if let Some(rest) = countries.len().checked_sub(COUNTRIES_SHOWN).filter(|rest| *rest > 0) {
            writeln!(f, "  and {rest} more (--output json shows all)")?;
        }
        writeln!(f, "\nBy month {:>51}", "revenue")?;
        for (month, revenue) in &self.months {
            writeln!(f, "  {month:<40} {:>16}", pounds(*revenue))?;
        }
        if let Some(faults) = &self.faults {
            writeln!(f, "\n{faults}")?;
        }
        let seconds = self.elapsed_seconds;
        write!(f, "\n{} events in {seconds:.1} s", number(self.events))
    }
}

/// A number with its thousands apart.
fn number(value: impl TryInto<i128>) -> String {
    let value = value.try_into().unwrap_or_default();
    let digits = value.unsigned_abs().to_string();
    let mut text = if value < 0 { "-".to_owned() } else { String::new() };
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// An amount in pounds and pence; what is less than a penny is cut off, never rounded up.
fn pounds(milli: i64) -> String {
    let pence = milli.unsigned_abs() / 10;
    let mut text = String::new();
    let sign = if milli < 0 { "-" } else { "" };
    write!(text, "{sign}£{}.{:02}", number(pence / 100), pence % 100).expect("a string takes everything");
    text
}

#[cfg(test)]
mod tests;
