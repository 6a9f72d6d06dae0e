//! What can be chosen about a connection to Kafka.

use std::path::PathBuf;
use std::time::Duration;

use tidemill_core::internal;

/// The protocol by which members of a group agree on who reads what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GroupProtocol {
    /// The protocol that every broker knows: all partitions are asked back whenever a member comes or goes.
    #[default]
    Classic,
    /// KIP-848, of brokers from version 4.0 on: only what has to move is asked back. Session time-out and heartbeat are
    /// settings of the broker.
    Consumer,
}

/// How Kafka is reached and used.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// The brokers to begin with: `host:port`, with commas between them.
    pub brokers: String,
    /// The protocol of the groups.
    pub protocol: GroupProtocol,
    /// Whether members are static: one that stops keeps its partitions until its session is over, and has them back at once when it
    /// comes under its name again before that.
    pub static_members: bool,
    /// How long a member may take to give revoked partitions up.
    pub drain: Duration,
    /// How long a member may be silent before its partitions go to others (classic protocol).
    pub session_timeout: Duration,
    /// How often a member tells that it is alive (classic protocol).
    pub heartbeat: Duration,
    /// How long a transaction may stay open before the broker aborts it. Only completed units are put into one, so handlers
    /// may be slower than this.
    pub transaction_timeout: Duration,
    /// Whether the services of this process keep their state and progress here. Where they keep them elsewhere, groups have no
    /// changelog.
    pub keeps_state: bool,
    /// Whether passwords may go over connections that are not encrypted.
    pub allow_sasl_plaintext: bool,
    /// The file with the token for SASL OAUTHBEARER, which somebody keeps fresh.
    pub token_file: Option<PathBuf>,
    /// Bytes that are fetched ahead for each worker, over all its partitions; each holds one fetch at least.
    pub fetch_ahead: usize,
    /// Copies of each record of a topic that is created; the broker's own default unless set.
    pub replication: Option<i32>,
    /// For how long, and how many bytes of a partition, a topic of events that is created keeps records; the broker's own defaults unless
    /// set.
    pub retention: (Option<Duration>, Option<u64>),
    /// Settings of librdkafka, passed on as they are; what the runtime owns is refused when it is opened.
    pub client: Vec<(String, String)>,
}

impl Default for Settings {
    fn default() -> Self {
        const MIB: usize = 1024 * 1024;
        Self {
            brokers: String::new(),
            protocol: GroupProtocol::Classic,
            static_members: false,
            drain: Duration::from_secs(10),
            session_timeout: Duration::from_secs(10),
            heartbeat: Duration::from_secs(1),
            transaction_timeout: Duration::from_secs(10),
            keeps_state: true,
            allow_sasl_plaintext: false,
            token_file: None,
            fetch_ahead: 16 * MIB,
            replication: None,
            retention: (None, None),
            client: Vec::new(),
        }
    }
}

impl Settings {
    /// Whether producers send records smaller than they are.
    pub(crate) fn compresses(&self) -> bool {
        self.codec().is_some_and(|codec| codec != "none")
    }

    /// Whether records of this topic are packed by themselves: dead letters are, unless users chose how all records are sent.
    pub(crate) fn packs(&self, topic: &str) -> bool {
        topic.ends_with(internal::DEAD_LETTERS) && self.codec().is_none()
    }

    fn codec(&self) -> Option<&str> {
        let names = ["compression.codec", "compression.type"];
        let mut chosen = self.client.iter().rev().filter(|(name, _)| names.contains(&name.as_str()));
        chosen.next().map(|(_, codec)| codec.as_str())
    }
}

impl std::fmt::Debug for Settings {
    /// Values that may be secret are left out.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.client.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Settings")
            .field("brokers", &self.brokers)
            .field("protocol", &self.protocol)
            .field("client", &names)
            .finish_non_exhaustive()
    }
}
