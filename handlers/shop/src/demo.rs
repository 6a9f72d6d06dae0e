//! The demo, which is the whole shop in one process, and `run`, which is its services alone.

use std::sync::Arc;
use std::time::Instant;

use ingest::{Summary, Survey};
use tidemill::code::{Coded, Exit};
use tidemill::config::Configuration;
use tidemill::host::{Host, Until};

use crate::faults;
use crate::feed::{self, create_missing};
use crate::options::{Demo, Luck, Run};
use crate::progress::{Counts, Progress, Work};
use crate::report::Report;
use crate::services;

/// Feeds the input to all services while they run, waits until everything is done, and reports.
///
/// In a directory that holds data already, the services go on from there, the input is fed on top of it, and the report tells
/// of everything in the directory.
pub(crate) async fn demo(options: Demo, luck: Luck) -> Result<Exit, Coded> {
    #[expect(clippy::disallowed_methods, reason = "the shop is a program, and reports how long it took")]
    let begun = Instant::now();
    let configuration = Configuration::load(&options.common)?;
    // Looked at before anything is made: a bad input leaves no directory behind.
    let survey = Survey::of(options.source.input())?;
    let mut host = Host::open(configuration)?;
    for service in services::all(luck) {
        host.add(service)?;
    }
    create_missing(&host).await?;
    let counts = Arc::new(Counts::default());
    host.observe(Arc::clone(&counts) as _);
    let progress = Progress::show(work_of(&survey), &counts);
    let mut summary = Summary::default();
    let feed = async {
        summary = feed::publish(survey, &host, &options.source, &counts).await?;
        faults::publish(&host, luck.faults, summary.invoices).await
    };
    let ended = host.run_with(feed, Until::Drained).await;
    drop(progress);
    feed::tell_rejected(&summary, &options.source);
    match ended? {
        Exit::Done => {}
        // Told to stop: what was left is logged, and a report would tell of a part.
        exit => return Ok(exit),
    }
    let report = Report::read(host.broker(), host.services(), luck.faults.is_some()).await?;
    #[expect(clippy::disallowed_methods, reason = "as above")]
    report.taking(begun.elapsed()).print(options.output)?;
    Ok(Exit::Done)
}

/// Runs services until they are told to stop, or until nothing is left to do.
pub(crate) async fn run(options: Run, luck: Luck) -> Result<Exit, Coded> {
    let services = services::named(&options.services, luck)?;
    let mut host = Host::open(Configuration::load(&options.common)?)?;
    for service in services {
        host.add(service)?;
    }
    host.run(if options.until.until_drained { Until::Drained } else { Until::Stopped }).await
}

/// How much work an input is: `orders` handles its lines and the ends of its invoices; `inventory` invoices and items; `sales`
/// invoices, then one event for their country and, nearly always, one for their month; `payments` charges invoices; and nearly every item
/// is asked for and answered, and nearly every invoice is paid and shipped.
fn work_of(survey: &Survey) -> Work {
    let (lines, invoices) = (survey.lines(), survey.invoices());
    Work { lines, events: 4 * lines + 11 * invoices }
}
