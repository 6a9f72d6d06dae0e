//! Error codes an operator can meet. Each has a page in `docs/errors/` with its cause and its remedy.

use std::fmt;

/// How a process ends; the numbers are the exit codes of every tidemill program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    /// Everything asked for was done.
    Done = 0,
    /// The work ran and found problems.
    Problems = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// A precondition does not hold; nothing was changed.
    Refused = 3,
    /// The caller may not do this.
    NotAllowed = 4,
    /// A part that is needed does not answer.
    Unreachable = 5,
    /// Some of what was asked for was done.
    Partly = 6,
}

/// An error code. Printed as `TM-0101`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(u16);

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $exit:ident;)*) => {
        impl Code {
            $($(#[$doc])* pub const $name: Self = Self($number);)*

            /// Every code there is, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// How a process that ends because of this error exits.
            pub const fn exit(self) -> Exit {
                match self.0 {
                    $($number => Exit::$exit,)*
                    _ => Exit::Problems,
                }
            }
        }
    };
}

codes! {
    /// A configuration key that does not exist.
    UNKNOWN_KEY = 101, Usage;
    /// A configuration value that cannot be read.
    BAD_VALUE = 102, Usage;
    /// A broker address of a scheme that this build does not know.
    UNKNOWN_BROKER = 103, Usage;
    /// A service, handler or topic name that does not exist here.
    UNKNOWN_NAME = 104, Usage;
    /// A configuration file that cannot be read.
    UNREADABLE_FILE = 105, Usage;
    /// An input file that cannot be read.
    UNREADABLE_INPUT = 201, Refused;
    /// An input file without the columns or the lines it needs.
    UNUSABLE_INPUT = 202, Refused;
    /// A report that was asked for and cannot be written.
    REPORT_NOT_WRITTEN = 203, Refused;
    /// The directory is held by another process.
    DIRECTORY_IN_USE = 301, Refused;
    /// The directory was written in another format version.
    FORMAT_VERSION = 302, Refused;
    /// The directory holds something that is not ours.
    FOREIGN_DIRECTORY = 303, Refused;
    /// The directory is ours and damaged.
    DAMAGED = 304, Refused;
    /// Writing to the directory failed.
    WRITE_FAILED = 305, Problems;
    /// The directory was made with another store.
    OTHER_STORE = 306, Refused;
    /// Records that were not yet read are gone.
    RECORDS_LOST = 307, Refused;
    /// A topic that is needed does not exist.
    TOPIC_MISSING = 401, Refused;
    /// Input topics of one service have different numbers of partitions.
    NOT_CO_PARTITIONED = 402, Refused;
    /// An event's schema and its Rust type do not agree.
    SCHEMA_MISMATCH = 403, Refused;
    /// A service whose parts contradict each other.
    BAD_SERVICE = 404, Usage;
    /// A topic exists with another number of partitions than is asked for.
    TOPIC_EXISTS = 405, Refused;
    /// What becomes of a service's state was not said, and has to be.
    STATE_UNDECIDED = 406, Refused;
    /// The group has members, and must not.
    GROUP_ACTIVE = 407, Refused;
    /// What was asked for is not offered by this broker.
    NOT_OFFERED = 408, Refused;
    /// Nothing matches that something was to be done to, or it is open no more.
    NOTHING_MATCHES = 409, Refused;
    /// An edited record that its handler could not read.
    EDIT_UNREADABLE = 410, Refused;
    /// A handler failed for good and its service stopped.
    HANDLER_FAILED = 501, Problems;
    /// A handler blocks its thread.
    HANDLER_BLOCKS = 502, Problems;
    /// A record whose bytes cannot be read as its event.
    UNDECODABLE = 503, Problems;
    /// A record of an event type that the service does not handle.
    UNKNOWN_TYPE = 504, Problems;
    /// A value in state that cannot be read.
    STATE_UNREADABLE = 505, Problems;
    /// A commit was refused because another instance owns the shard.
    FENCED = 506, Problems;
    /// The log or the store failed while the service ran.
    BACKEND_FAILED = 507, Unreachable;
    /// A worker panicked outside its handlers.
    WORKER_PANICKED = 508, Problems;
    /// What a unit emitted or changed is not taken by the broker.
    EFFECTS_REFUSED = 509, Problems;
    /// Records are parked for a handler that the service has no more.
    HANDLER_GONE = 510, Refused;
    /// Too many of the newest records became dead letters.
    TOO_MANY_LETTERS = 511, Problems;
    /// As much is parked as may be, and the service is to stop then.
    PARKING_FULL = 512, Problems;
    /// The process ended, again and again, while one record was handled.
    CRASHES = 513, Problems;
    /// No broker of the cluster answers.
    BROKER_UNREACHABLE = 601, Unreachable;
    /// The cluster does not accept who asks.
    NOT_AUTHENTICATED = 602, NotAllowed;
    /// The cluster does not allow what is asked.
    NOT_AUTHORISED = 603, NotAllowed;
    /// The offsets of a group are gone or were set back, and its state is not.
    OFFSETS_LOST = 604, Refused;
    /// A topic was made again, or ends before what a group has done of it.
    TOPIC_REPLACED = 605, Refused;
    /// Two processes commit under one name.
    DUPLICATE_INSTANCE = 606, Problems;
    /// The topic that state is kept in is set to something that loses state.
    CHANGELOG_UNFIT = 607, Refused;
    /// The schema registry does not answer.
    REGISTRY_UNREACHABLE = 701, Unreachable;
    /// The schema registry does not let us in.
    REGISTRY_REFUSES = 702, NotAllowed;
    /// A schema that is needed is not in the registry.
    SCHEMA_NOT_REGISTERED = 703, Refused;
    /// The database does not answer.
    DATABASE_UNREACHABLE = 801, Unreachable;
    /// The database does not let us in, or not do what we need.
    DATABASE_REFUSES = 802, NotAllowed;
    /// The database has no tables of ours, or older ones than this program works with.
    DATABASE_OUTDATED = 803, Refused;
    /// The tables in the database are newer than this program knows.
    DATABASE_NEWER = 804, Refused;
    /// The database takes no writes.
    DATABASE_READ_ONLY = 805, Refused;
    /// The outbox lies in another database than the one that was relayed last.
    OUTBOX_REPLACED = 806, Refused;
    /// The journal does not hold what a replay needs.
    JOURNAL_INCOMPLETE = 901, Refused;
    /// A range that no record lies in any more, or not yet.
    RANGE_NOT_KEPT = 902, Refused;
    /// A handler calls something outside in a replay, and no answer was kept.
    CALL_NOT_RECORDED = 903, Refused;
    /// The file of a case, of a snapshot or of exported events cannot be read, or is of no use here.
    UNUSABLE_CASE = 904, Refused;
}

impl Code {
    /// The code with this number, if there is one.
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.0 == number)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TM-{:04}", self.0)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An error that an operator can meet: a code, a sentence with the names and values, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Coded {
    /// Names the page with cause and remedy.
    pub code: Code,
    /// One sentence that names what failed.
    pub message: String,
}

impl Coded {
    /// An error with its sentence.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}
