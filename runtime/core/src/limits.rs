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
    /// Timers of one shard that are read from the store at once, the next ones: twice as many are in memory at the most, and as many that
    /// are due wait for their lanes.
    pub timers: usize,
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
    /// Parked records of one shard.
    pub parked: usize,
    /// Bytes of them.
    pub parked_bytes: usize,
    /// Parked records of one lane.
    pub lane_parked: usize,
    /// Bytes of them.
    pub lane_parked_bytes: usize,
    /// What happens when as much is parked as may be.
    pub when_parked_full: WhenFull,
    /// So many of a hundred records may become dead letters; with more, the service stops.
    pub letter_percent: u32,
    /// How many of the newest records that is measured over, in each worker.
    pub letter_window: u64,
    /// For how much of the service's running time the ids of events are kept that had their effects, so that copies are known;
    /// zero keeps none.
    pub inbox_retention: Duration,
    /// Bytes of memory that the ids may take in one worker. Most of them are on disk, with filters in memory over them; where
    /// there is no room for those, the oldest ids are dropped before their time.
    pub inbox_memory: usize,
    /// Whether a record that ends the process again and again is found, and given up. It costs each shard one small commit when it
    /// starts and one when it is given up.
    pub crash_guard: bool,
}

/// What happens to a record that has to be parked where there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WhenFull {
    /// Its partition waits, until there is.
    #[default]
    HoldBack,
    /// The service stops.
    Stop,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            in_flight: 1_000,
            lane_queue: 1_000,
            timers: 1_000,
            read_ahead: 4 * MIB,
            undone: 10_000,
            commit_bytes: 8 * MIB,
            commit_interval: Duration::from_millis(100),
            commit_linger: Duration::from_millis(1),
            state_cache: 8 * MIB,
            handler_timeout: Duration::from_secs(30),
            parked: 10_000,
            parked_bytes: 64 * MIB,
            lane_parked: 2_000,
            lane_parked_bytes: 16 * MIB,
            when_parked_full: WhenFull::HoldBack,
            letter_percent: 50,
            letter_window: 1_000,
            inbox_retention: Duration::from_hours(24),
            inbox_memory: 128 * MIB,
            crash_guard: true,
        }
    }
}
