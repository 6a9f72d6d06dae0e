//! Named bounds: memory and delay do not grow with the backlog.

use std::time::Duration;

/// One mebibyte.
const MIB: usize = 1024 * 1024;

/// The longest key, in bytes: of a record that is emitted or published, and of state, where it is the record's key, the name
/// of the cell or map and the key of the entry together. The embedded store takes keys of 4 KiB; the other half is for the
/// names of the service and the handler that stand before it.
pub const KEY_LIMIT: usize = 2 * 1024;

/// The longest name of a service or a handler, in bytes. Names of topics derive from it, and Kafka bounds those to 249.
pub const NAME_LIMIT: usize = 200;

/// The bounds of one worker. What they bound is held back, never dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Units under way at once whose handlers wait for something; each shard may always have one.
    pub in_flight: usize,
    /// Records queued behind the unit under way in one lane.
    pub lane_queue: usize,
    /// Bytes of records read and not yet taken by a lane, shared evenly by the partitions.
    pub read_ahead: usize,
    /// Taken records of one partition that are not done; at least 1.
    pub undone: usize,
    /// Bytes of outputs and state changes that fill a commit; when the next one is full too, no more records are taken.
    pub commit_bytes: usize,
    /// The longest time between two commits under load.
    pub commit_interval: Duration,
    /// How long a commit waits for more units once the input is drained.
    pub commit_linger: Duration,
    /// Bytes of committed state kept in memory for reading it again.
    pub state_cache: usize,
    /// How long a handler may take for one attempt.
    pub handler_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            in_flight: 1_000,
            lane_queue: 1_000,
            read_ahead: 4 * MIB,
            undone: 10_000,
            commit_bytes: 16 * MIB,
            commit_interval: Duration::from_millis(100),
            commit_linger: Duration::from_millis(1),
            state_cache: 8 * MIB,
            handler_timeout: Duration::from_secs(30),
        }
    }
}
