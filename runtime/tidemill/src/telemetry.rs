//! Logs: on standard error, text on a terminal and JSON elsewhere.

mod capture;

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tidemill_core::code::Coded;
use tidemill_core::ports::{Committed, Disposition, Observer, Retrying, UnitEnded};
use tidemill_core::record::TopicPartition;
use tidemill_core::relay::Relayed;
use tracing_subscriber::filter::dynamic_filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

use crate::config::Configuration;

pub(crate) use capture::{capture, captured};

/// Starts logging as configured. In a program that logs already, nothing changes.
pub fn start(configuration: &Configuration) {
    let terminal = std::io::stderr().is_terminal();
    // Every part was checked to be a level or a target with its level, so the lossy reading loses nothing.
    let levels = EnvFilter::builder().parse_lossy(configuration.text("log.level"));
    let text = match configuration.text("log.format") {
        "text" => true,
        "json" => false,
        _ => terminal,
    };
    let layer = fmt::layer().with_writer(std::io::stderr).with_ansi(terminal);
    let layer: Box<dyn Layer<_> + Send + Sync> =
        if text { Box::new(layer.with_target(false)) } else { Box::new(layer.json().flatten_event(true)) };
    let unless_captured = dynamic_filter_fn(|_, _| !capture::is_on());
    let started = tracing_subscriber::registry()
        .with(levels)
        .with(layer.with_filter(unless_captured))
        .with(capture::Captures)
        .try_init();
    // Only a subscriber that the program has set up itself makes this fail, and then that one stays.
    drop(started);
}

/// Logs what the workers of one service do. Names, positions and numbers only: never the key or the value of a record.
pub(crate) struct Log {
    service: Arc<str>,
    is_paused: AtomicBool,
}

impl Log {
    pub(crate) fn new(service: Arc<str>) -> Self {
        Self { service, is_paused: AtomicBool::new(false) }
    }
}

impl Observer for Log {
    fn shard_started(&self, shard: u32) {
        tracing::debug!(service = %self.service, shard, "shard started");
    }

    fn paused(&self, is_paused: bool) {
        let service = &self.service;
        // Each of the service's workers says so.
        if self.is_paused.swap(is_paused, Ordering::Relaxed) == is_paused {
            return;
        }
        if is_paused {
            tracing::warn!(%service, "paused by an operator; it begins nothing new until `{service} resume`");
        } else {
            tracing::info!(%service, "resumed by an operator");
        }
    }

    fn shard_waits(&self, shard: u32, missing: &[TopicPartition]) {
        let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
        tracing::info!(service = %self.service, shard, missing = missing.join(", "), "shard waits for partitions");
    }

    fn shard_ended(&self, shard: u32, interrupted: usize) {
        tracing::debug!(service = %self.service, shard, interrupted, "shard ended");
    }

    fn unit_ended(&self, unit: &UnitEnded<'_>) {
        let UnitEnded { handler, shard, position, failure, disposition } = unit;
        let service = &self.service;
        if *disposition == Disposition::Copy {
            tracing::debug!(%service, handler, shard, %position, "a copy of an event that had its effects");
        }
        let Some(Coded { code, message }) = failure else { return };
        match disposition {
            Disposition::Parked => {
                tracing::warn!(%service, handler, shard, %position, %code, "unit failed, its record is parked: {message}");
            }
            Disposition::DeadLettered => {
                tracing::error!(%service, handler, shard, %position, %code, "unit failed, its record is a dead letter: {message}");
            }
            Disposition::Held => {
                tracing::error!(%service, handler, shard, %position, %code, "unit failed, its key is held: {message}");
            }
            _ => tracing::error!(%service, handler, shard, %position, %code, "unit failed: {message}"),
        }
    }

    fn breaker(&self, dependency: &str, is_open: bool, cause: &str) {
        let service = &self.service;
        if is_open {
            tracing::warn!(%service, dependency, "it is away, and records that need it wait: {cause}");
        } else {
            tracing::info!(%service, dependency, "it is back");
        }
    }

    fn retrying(&self, retrying: &Retrying<'_>) {
        let Retrying { handler, position, attempt, delay, cause } = retrying;
        tracing::warn!(service = %self.service, handler, %position, attempt, ?delay, "attempt failed: {cause}");
    }

    fn inbox_forgot(&self, shard: u32) {
        let service = &self.service;
        tracing::warn!(%service, shard, "no room for all ids of events: copies of the oldest are not known any more; raise inbox.memory");
    }

    fn committed(&self, commit: Committed) {
        let Committed { units, outputs, took } = commit;
        tracing::debug!(service = %self.service, units, outputs, ?took, "committed");
    }

    fn commit_failed(&self, cause: &Coded, what_follows: &str) {
        let Coded { code, message } = cause;
        tracing::warn!(service = %self.service, %code, "commit failed, {what_follows}: {message}");
    }

    fn relayed(&self, relayed: Relayed) {
        let Relayed { rows, waited } = relayed;
        tracing::debug!(service = %self.service, rows, ?waited, "rows of the outbox sent");
    }

    fn relay_waits(&self, cause: &Coded) {
        let Coded { code, message } = cause;
        tracing::warn!(service = %self.service, %code, "the relay cannot go on, and tries until it can: {message}");
    }

    fn row_parked(&self, id: u64, why: &str) {
        tracing::error!(service = %self.service, id, "a row of the outbox is parked, and others of its key wait behind it: {why}");
    }
}
