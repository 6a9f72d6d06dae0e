//! Kafka: beside the service, the same work in a loop over the client alone.

use std::time::Duration;

use tidemill::code::Coded;
use tidemill::config::Configuration;
use tidemill::host::Host;
use tidemill_kafka::Settings;
use tidemill_kafka::raw::{self, Route};

use crate::case::Case;
use crate::measure::{BARE_OUTPUT, PARTITIONS};
use crate::meter::now;
use crate::{passthrough, stateful};

/// What the address of a cluster begins with.
const KAFKA: &str = "kafka://";

/// What the bare loop fetches ahead: it waits for its commits, and has enough to read when they are over. With what is
/// enough for a service, which goes on meanwhile, it would be slower.
const FETCH_AHEAD: usize = 32 * 1024 * 1024;

/// A cluster, and how the client reaches it.
pub(crate) struct Cluster(pub(crate) Settings);

impl Cluster {
    /// The cluster that the configuration names, if it names one.
    pub(crate) fn of(configuration: &Configuration) -> Option<Self> {
        let brokers = configuration.broker().strip_prefix(KAFKA)?.to_owned();
        Some(Self(Settings { brokers, fetch_ahead: FETCH_AHEAD, ..Settings::default() }))
    }

    /// Deletes the topics of a run.
    pub(crate) async fn clear(&self, host: &Host) -> Result<(), Coded> {
        let topics = host.topics();
        let topics: Vec<&str> = topics.iter().map(|topic| &**topic).chain([BARE_OUTPUT]).collect();
        raw::delete_topics(self.0.clone(), &topics).await
    }

    /// How long a bare loop takes for so many records.
    pub(crate) fn bare(&self, case: Case, records: u64, commit_every: Duration) -> Result<Duration, Coded> {
        let route = route(case, commit_every);
        match case {
            Case::Passthrough | Case::Latency | Case::Restore | Case::Rows | Case::Relay => {
                raw::run(self.0.clone(), &route, records, &mut passthrough::Pass, now)
            }
            Case::Stateful => {
                let headers = raw::first_headers(self.0.clone(), case.output(), PARTITIONS)?;
                raw::run(self.0.clone(), &route, records, &mut stateful::Counts::new(headers)?, now)
            }
        }
    }
}

/// Where a bare loop reads and writes.
pub(crate) fn route(case: Case, commit_every: Duration) -> Route {
    Route {
        from: case.input().to_owned(),
        to: BARE_OUTPUT.to_owned(),
        partitions: PARTITIONS,
        group: "bench-bare".to_owned(),
        commit_every,
    }
}
