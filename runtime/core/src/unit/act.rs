//! What is done with a record that its handler does not take, or not now, and what is told of it.

use bytes::Bytes;

use crate::code::Coded;
use crate::failure::Then;
use crate::inbox::Chore;
use crate::internal::Command;
use crate::journal::Ending;
use crate::ports::Disposition;
use crate::time::Timestamp;
use crate::unit::judge::Failed;

/// What is to be done with a record.
pub(super) enum Act {
    /// It is parked behind others of its lane.
    Queue,
    /// It is parked until then.
    Park { until: Timestamp, failed: Failed },
    /// It becomes a dead letter.
    Letter { then: Then, failed: Failed },
    /// It is parked for an operator, without a letter, which cannot be written.
    Hold { failed: Failed },
    /// It is redriven, and its letter is open no more.
    Refuse,
    /// An operator's command is done.
    Command(Box<Command>),
    /// The shard's mark is written, or removed.
    Mark(Option<Bytes>),
    /// It is a copy of an event that had its effects: it has none.
    Copy,
    /// It had its effects before a backfill, which is another handler's.
    Pass,
    /// Something of the inbox is written, or removed.
    Chore(Chore),
}

impl Act {
    /// How a unit ended, for the journal.
    pub(super) fn ended(&self) -> Option<Ending> {
        let code = |failed: &Failed| failed.cause.code.to_string();
        Some(match self {
            Self::Queue => Ending::Queued,
            Self::Park { until, .. } => Ending::Parked(until.as_millis()),
            Self::Letter { then: Then::Hold, failed } => Ending::LetterHeld(code(failed)),
            Self::Letter { failed, .. } => Ending::Letter(code(failed)),
            Self::Hold { failed } => Ending::Held(code(failed)),
            Self::Refuse => Ending::Refused,
            Self::Command(_) => Ending::Commanded,
            Self::Copy => Ending::Copy,
            Self::Pass => Ending::Passed,
            Self::Mark(_) | Self::Chore(_) => return None,
        })
    }

    /// What is told of a unit that ended so.
    pub(super) fn told(&self) -> (Option<Coded>, Disposition) {
        match self {
            Self::Queue => (None, Disposition::Queued),
            Self::Park { failed, .. } => (Some(failed.cause.clone()), Disposition::Parked),
            Self::Letter { then: Then::Hold, failed } | Self::Hold { failed } => {
                (Some(failed.cause.clone()), Disposition::Held)
            }
            Self::Letter { failed, .. } => (Some(failed.cause.clone()), Disposition::DeadLettered),
            Self::Refuse | Self::Command(_) => (None, Disposition::Commanded),
            Self::Mark(_) => (None, Disposition::Marked),
            Self::Copy => (None, Disposition::Copy),
            Self::Pass => (None, Disposition::Passed),
            Self::Chore(_) => (None, Disposition::Kept),
        }
    }
}
