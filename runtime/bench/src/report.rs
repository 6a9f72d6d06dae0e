//! The figures of a run.

#![expect(clippy::cast_precision_loss, reason = "figures to read")]

use std::time::Duration;

use serde::{Serialize, Serializer};
use tidemill::code::Coded;
use tidemill::command::{self, Output};

use crate::case::Case;
use crate::latency::Percentiles;
use crate::meter::Usage;
use crate::restore::Load;

/// How every record is handled.
const GUARANTEE: &str = "exactly-once";
/// Records in a million.
const MILLION: f64 = 1e6;

/// One figure.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Figure {
    Word(&'static str),
    Whole(u64),
    /// `None` where the system does not say.
    Real(Option<f64>),
}

impl Figure {
    /// With three digits behind the point; there is more noise than that in all of them.
    fn rounded(figure: f64) -> Self {
        Self::Real(Some((figure * 1_000.0).round() / 1_000.0))
    }

    fn seconds(time: Duration) -> Self {
        Self::rounded(time.as_secs_f64())
    }

    fn millis(time: Duration) -> Self {
        Self::rounded(time.as_secs_f64() * 1_000.0)
    }

    /// How often the second time goes into the first.
    fn ratio(first: Duration, second: Duration) -> Self {
        Self::rounded(first.as_secs_f64() / second.as_secs_f64())
    }

    /// So many in a second, of those that took this long.
    fn per_second(records: u64, took: Duration) -> Self {
        let rate = u128::from(records) * 1_000_000_000 / took.as_nanos().max(1);
        Self::Whole(u64::try_from(rate).unwrap_or(u64::MAX))
    }

    /// Millions of bytes.
    fn megabytes(bytes: Option<u64>) -> Self {
        bytes.map_or(Self::Real(None), |bytes| Self::rounded(bytes as f64 / MILLION))
    }

    fn text(&self) -> String {
        match self {
            Self::Word(word) => (*word).to_owned(),
            Self::Whole(number) => number.to_string(),
            Self::Real(Some(number)) => number.to_string(),
            Self::Real(None) => "not known".to_owned(),
        }
    }
}

/// What a run has shown, in the order in which it is printed. The names are those of the JSON, which stay.
#[derive(Debug)]
pub(crate) struct Figures(Vec<(&'static str, Figure)>);

impl Serialize for Figures {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, figure)| (name, figure)))
    }
}

impl Figures {
    fn of<const N: usize>(case: Case, records: u64, more: [(&'static str, Figure); N]) -> Self {
        let all = [
            ("case", Figure::Word(case.name())),
            // What the service promises for each record; the bare loop too, unless it is said.
            ("guarantee", Figure::Word(GUARANTEE)),
            ("records", Figure::Whole(records)),
        ];
        Self(all.into_iter().chain(more).collect())
    }

    /// What the service used beside the time that the bare loop took, for so many records each.
    pub(crate) fn speed(case: Case, records: u64, service: Usage, bare: Duration) -> Self {
        let Usage { took, cpu, allocations, peak_bytes } = service;
        let cpu = cpu.map(|cpu| cpu.as_secs_f64() * MILLION / records as f64);
        let figures = [
            ("records_per_second", Figure::per_second(records, took)),
            ("raw_records_per_second", Figure::per_second(records, bare)),
            ("ratio", Figure::ratio(bare, took)),
            ("cpu_seconds_per_million", cpu.map_or(Figure::Real(None), Figure::rounded)),
            ("allocations_per_record", Figure::rounded(allocations as f64 / records as f64)),
            ("peak_rss_mb", Figure::megabytes(peak_bytes)),
        ];
        Self::of(case, records, figures)
    }

    /// What the service needed beside what the bare loop needed, at a steady rate.
    pub(crate) fn latency(records: u64, service: Percentiles, bare: Percentiles) -> Self {
        let figures = [
            ("p50_ms", Figure::millis(service.p50)),
            ("p99_ms", Figure::millis(service.p99)),
            ("raw_p50_ms", Figure::millis(bare.p50)),
            ("raw_p99_ms", Figure::millis(bare.p99)),
        ];
        Self::of(Case::Latency, records, figures)
    }

    /// A start with lost state, and one with state that was kept, of so many keys.
    pub(crate) fn restore(records: u64, lost: Load, kept: Load) -> Self {
        let figures = [
            ("records_per_second", Figure::per_second(records, lost.took)),
            ("lost_seconds", Figure::seconds(lost.took)),
            ("kept_seconds", Figure::seconds(kept.took)),
            ("peak_rss_mb", Figure::megabytes(lost.peak_bytes)),
        ];
        Self::of(Case::Restore, records, figures)
    }

    /// Rows that were written for so many records: how long the service took, and the bare loop.
    pub(crate) fn rows(records: u64, service: Duration, bare: Duration) -> Self {
        let figures = [
            ("records_per_second", Figure::per_second(records, service)),
            ("raw_rows_per_second", Figure::per_second(records, bare)),
            ("ratio", Figure::ratio(bare, service)),
        ];
        Self::of(Case::Rows, records, figures)
    }

    /// How long a relay took for so many rows, and the bare loop; and how long a row waited where no other did.
    pub(crate) fn relay(rows: u64, relay: Duration, bare: Duration, idle: Percentiles) -> Self {
        let figures = [
            ("rows_per_second", Figure::per_second(rows, relay)),
            ("raw_rows_per_second", Figure::per_second(rows, bare)),
            ("ratio", Figure::ratio(bare, relay)),
            ("idle_p50_ms", Figure::millis(idle.p50)),
            ("idle_p99_ms", Figure::millis(idle.p99)),
        ];
        Self::of(Case::Relay, rows, figures)
    }

    /// Prints them.
    pub(crate) fn print(&self, output: Output) -> Result<(), Coded> {
        match output {
            Output::Json => command::print_json(self),
            Output::Table => {
                let line = |(name, figure): &(&str, Figure)| format!("{name:<24} {:>12}", figure.text());
                command::print(self.0.iter().map(line).collect::<Vec<_>>().join("\n"))
            }
        }
    }
}
