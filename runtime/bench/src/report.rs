//! The figures of a run.

#![expect(clippy::cast_precision_loss, reason = "figures to read")]

use std::time::Duration;

use serde::Serialize;
use tidemill::code::Coded;
use tidemill::command::{self, Output};

use crate::case::Case;
use crate::latency::Percentiles;
use crate::meter::Usage;
use crate::relay::Seen;
use crate::restore::Load;

/// How every record is handled.
const GUARANTEE: &str = "exactly-once";
/// Records in a million.
const MILLION: f64 = 1e6;

/// What a run has shown. The names are those of the JSON, which stay.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    case: Case,
    /// What the service promises for each record; the bare loop too.
    guarantee: &'static str,
    records: u64,
    records_per_second: u64,
    raw_records_per_second: u64,
    ratio: f64,
    /// `None` where the system does not say.
    cpu_seconds_per_million: Option<f64>,
    allocations_per_record: f64,
    /// Millions of bytes; `None` where the system does not say.
    peak_rss_mb: Option<f64>,
}

impl Report {
    /// Puts what the service used beside the time that the bare loop took, for so many records each.
    pub(crate) fn new(case: Case, records: u64, service: Usage, bare: Duration) -> Self {
        let Usage { took, cpu, allocations, peak_bytes } = service;
        Self {
            case,
            guarantee: GUARANTEE,
            records,
            records_per_second: per_second(records, took),
            raw_records_per_second: per_second(records, bare),
            ratio: rounded(bare.as_secs_f64() / took.as_secs_f64()),
            cpu_seconds_per_million: cpu.map(|cpu| rounded(cpu.as_secs_f64() * MILLION / records as f64)),
            allocations_per_record: rounded(allocations as f64 / records as f64),
            peak_rss_mb: peak_bytes.map(|bytes| rounded(bytes as f64 / MILLION)),
        }
    }

    fn table(&self) -> String {
        let lines = [
            ("case", self.case.name().to_owned()),
            ("guarantee", self.guarantee.to_owned()),
            ("records", self.records.to_string()),
            ("records_per_second", self.records_per_second.to_string()),
            ("raw_records_per_second", self.raw_records_per_second.to_string()),
            ("ratio", self.ratio.to_string()),
            ("cpu_seconds_per_million", known(self.cpu_seconds_per_million)),
            ("allocations_per_record", self.allocations_per_record.to_string()),
            ("peak_rss_mb", known(self.peak_rss_mb)),
        ];
        lay_out(&lines)
    }
}

fn known(figure: Option<f64>) -> String {
    figure.map_or_else(|| "not known".to_owned(), |figure| figure.to_string())
}

fn lay_out(lines: &[(&str, String)]) -> String {
    let line = |(name, figure): &(&str, String)| format!("{name:<24} {figure:>12}");
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// What a run at a steady rate has shown.
#[derive(Debug, Serialize)]
pub(crate) struct LatencyReport {
    case: Case,
    guarantee: &'static str,
    records: u64,
    p50_ms: f64,
    p99_ms: f64,
    raw_p50_ms: f64,
    raw_p99_ms: f64,
}

impl LatencyReport {
    /// Puts what the service needed beside what the bare loop needed.
    pub(crate) fn new(records: u64, service: Percentiles, bare: Percentiles) -> Self {
        let millis = |time: Duration| rounded(time.as_secs_f64() * 1_000.0);
        Self {
            case: Case::Latency,
            guarantee: GUARANTEE,
            records,
            p50_ms: millis(service.p50),
            p99_ms: millis(service.p99),
            raw_p50_ms: millis(bare.p50),
            raw_p99_ms: millis(bare.p99),
        }
    }

    fn table(&self) -> String {
        lay_out(&[
            ("case", self.case.name().to_owned()),
            ("guarantee", self.guarantee.to_owned()),
            ("records", self.records.to_string()),
            ("p50_ms", self.p50_ms.to_string()),
            ("p99_ms", self.p99_ms.to_string()),
            ("raw_p50_ms", self.raw_p50_ms.to_string()),
            ("raw_p99_ms", self.raw_p99_ms.to_string()),
        ])
    }
}

/// What a start with lost state, and one with state that was kept, have shown.
#[derive(Debug, Serialize)]
pub(crate) struct RestoreReport {
    case: Case,
    guarantee: &'static str,
    records: u64,
    records_per_second: u64,
    lost_seconds: f64,
    kept_seconds: f64,
    /// `None` where the system does not say.
    peak_rss_mb: Option<f64>,
}

impl RestoreReport {
    /// For so many keys of state.
    pub(crate) fn new(records: u64, lost: Load, kept: Load) -> Self {
        Self {
            case: Case::Restore,
            guarantee: GUARANTEE,
            records,
            records_per_second: per_second(records, lost.took),
            lost_seconds: rounded(lost.took.as_secs_f64()),
            kept_seconds: rounded(kept.took.as_secs_f64()),
            peak_rss_mb: lost.peak_bytes.map(|bytes| rounded(bytes as f64 / MILLION)),
        }
    }

    fn table(&self) -> String {
        lay_out(&[
            ("case", self.case.name().to_owned()),
            ("guarantee", self.guarantee.to_owned()),
            ("records", self.records.to_string()),
            ("records_per_second", self.records_per_second.to_string()),
            ("lost_seconds", self.lost_seconds.to_string()),
            ("kept_seconds", self.kept_seconds.to_string()),
            ("peak_rss_mb", known(self.peak_rss_mb)),
        ])
    }
}

/// What rows have shown that were written for each record.
#[derive(Debug, Serialize)]
pub(crate) struct RowsReport {
    case: Case,
    guarantee: &'static str,
    records: u64,
    records_per_second: u64,
    raw_rows_per_second: u64,
    ratio: f64,
}

impl RowsReport {
    /// For so many records: how long the service took, and the bare loop.
    pub(crate) fn new(records: u64, (service, bare): (Duration, Duration)) -> Self {
        Self {
            case: Case::Rows,
            guarantee: GUARANTEE,
            records,
            records_per_second: per_second(records, service),
            raw_rows_per_second: per_second(records, bare),
            ratio: rounded(bare.as_secs_f64() / service.as_secs_f64()),
        }
    }

    fn table(&self) -> String {
        lay_out(&[
            ("case", self.case.name().to_owned()),
            ("guarantee", self.guarantee.to_owned()),
            ("records", self.records.to_string()),
            ("records_per_second", self.records_per_second.to_string()),
            ("raw_rows_per_second", self.raw_rows_per_second.to_string()),
            ("ratio", self.ratio.to_string()),
        ])
    }
}

/// What a relay has shown.
#[derive(Debug, Serialize)]
pub(crate) struct RelayReport {
    case: Case,
    guarantee: &'static str,
    rows: u64,
    rows_per_second: u64,
    raw_rows_per_second: u64,
    ratio: f64,
    idle_p50_ms: f64,
    idle_p99_ms: f64,
}

impl RelayReport {
    /// For so many rows.
    pub(crate) fn new(rows: u64, seen: &Seen) -> Self {
        let millis = |time: Duration| rounded(time.as_secs_f64() * 1_000.0);
        Self {
            case: Case::Relay,
            guarantee: GUARANTEE,
            rows,
            rows_per_second: per_second(rows, seen.relay),
            raw_rows_per_second: per_second(rows, seen.bare),
            ratio: rounded(seen.bare.as_secs_f64() / seen.relay.as_secs_f64()),
            idle_p50_ms: millis(seen.idle.p50),
            idle_p99_ms: millis(seen.idle.p99),
        }
    }

    fn table(&self) -> String {
        lay_out(&[
            ("case", self.case.name().to_owned()),
            ("guarantee", self.guarantee.to_owned()),
            ("rows", self.rows.to_string()),
            ("rows_per_second", self.rows_per_second.to_string()),
            ("raw_rows_per_second", self.raw_rows_per_second.to_string()),
            ("ratio", self.ratio.to_string()),
            ("idle_p50_ms", self.idle_p50_ms.to_string()),
            ("idle_p99_ms", self.idle_p99_ms.to_string()),
        ])
    }
}

/// What a run has shown, of whatever case.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Figures {
    Speed(Report),
    Latency(LatencyReport),
    Restore(RestoreReport),
    Rows(RowsReport),
    Relay(RelayReport),
}

impl Figures {
    /// Prints them.
    pub(crate) fn print(&self, output: Output) -> Result<(), Coded> {
        match (output, self) {
            (Output::Json, figures) => command::print_json(figures),
            (Output::Table, Self::Speed(report)) => command::print(report.table()),
            (Output::Table, Self::Latency(report)) => command::print(report.table()),
            (Output::Table, Self::Restore(report)) => command::print(report.table()),
            (Output::Table, Self::Rows(report)) => command::print(report.table()),
            (Output::Table, Self::Relay(report)) => command::print(report.table()),
        }
    }
}

/// Whole records in a second.
fn per_second(records: u64, took: Duration) -> u64 {
    let rate = u128::from(records) * 1_000_000_000 / took.as_nanos().max(1);
    u64::try_from(rate).unwrap_or(u64::MAX)
}

/// With three digits behind the point; there is more noise than that in all of them.
fn rounded(figure: f64) -> f64 {
    (figure * 1_000.0).round() / 1_000.0
}
