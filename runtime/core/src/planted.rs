//! Bugs that the simulation has to catch: proof that its checkers can fail.
//!
//! They are compiled in with the feature `planted-bugs` alone, which only the simulation asks for, and sleep until one is
//! planted on a thread. Without the feature every question is answered with `false` when the crate is built.

/// A bug, by what it does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// Progress is committed first, and the state it belongs to with the next commit.
    ProgressBeforeState,
    /// A commit says that everything taken is done.
    UndoneForgotten,
    /// Revoked partitions are given up at once, and their shard goes on.
    RevokeForgotten,
    /// What an ownership began that was lost is committed under the next.
    LateCompletion,
    /// A commit that nobody knows of counts as committed; the overlay stays.
    UnknownTakenForCommitted,
    /// A commit that nobody knows of goes out again.
    UnknownTakenForRefused,
    /// The newest record of a lane comes next.
    LaneOrderBroken,
    /// A lane lets two units run at once.
    LaneShared,
    /// State is read from another shard.
    OtherShardsState,
    /// Outputs are committed first, and what they belong to with the next commit.
    OutputsBeforeCommit,
    /// A shard runs with some of its partitions.
    PartialShardRuns,
    /// A unit that is interrupted counts as failed.
    InterruptedFails,
    /// What a failed attempt did stays.
    AttemptLeavesTrace,
    /// Removed entries are not removed where they are durable.
    RemovalForgotten,
    /// Reads see committed values only.
    OverlayIgnored,
    /// A partition that was paused is not resumed.
    ResumeForgotten,
    /// What was emitted and then given up goes out with the next commit.
    OutputsSurviveRestart,
    /// The commit of what trickles in is not waited for.
    AlarmForgotten,
    /// What a handler needs is away, and that counts as its failure.
    AwaySpendsAttempts,
    /// A record becomes a dead letter, and the letter is not written.
    LetterForgotten,
    /// A key whose dead letter holds it goes on.
    HoldForgotten,
    /// A dead letter whose record had its effects stays open.
    LetterLeftOpen,
    /// A redrive does not ask whether its letter is still open when its turn comes.
    RedriveUnchecked,
    /// A new record of a key does not wait behind those that are parked.
    ParkedOvertaken,
    /// What is parked is not found again after a start.
    ParkedForgotten,
    /// A parked record that was handled stays where it is durable.
    ParkedStays,
    /// A parked record begins its attempts from the first.
    PastForgotten,
    /// Nobody wakes up for a parked record.
    DueForgotten,
    /// Copies of events are not looked for.
    InboxForgotten,
    /// An event counts as known when it begins, not when it had its effects.
    KnownBeforeDone,
    /// What was known before a start is not found again.
    InboxLost,
    /// How many copies there were before a start is not found again.
    CopiesForgotten,
    /// Timers are not found again after a start.
    TimersForgotten,
    /// A timer that fired stays where it is durable.
    TimerStays,
    /// A timer that was cancelled fires all the same.
    CancelForgotten,
    /// Of timers that are due, what fires does not wait for its lane.
    TimerOvertakes,
    /// What lies behind the timers in memory is not looked for.
    TimersCut,
    /// What was undone is not crossed off.
    UndoRepeats,
    /// A process that fails ends, and nothing is undone.
    UndoForgotten,
    /// What a step did that failed for good stays.
    StepLeavesTrace,
    /// Events that wait are not looked at again when the state changes.
    WaitingForgotten,
    /// A record that stands under another key than its instance is done, and not handed on.
    HandOnForgotten,
    /// The journal does not tell by how much the times of units differ.
    JournalTimeForgotten,
    /// The journal turns the order of a commit's units round.
    JournalReversed,
    /// The journal does not tell of parked records that were handled.
    JournalForgetsParked,
}

/// Whether a bug is planted on this thread.
#[cfg(not(feature = "planted-bugs"))]
pub(crate) const fn is_planted(_: Bug) -> bool {
    false
}

/// As [`is_planted`], every other time.
#[cfg(not(feature = "planted-bugs"))]
pub(crate) const fn strikes(_: Bug) -> bool {
    false
}

#[cfg(feature = "planted-bugs")]
mod switch {
    use std::cell::Cell;

    use super::Bug;

    thread_local! {
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
        static STRIKES: Cell<bool> = const { Cell::new(false) };
    }

    /// Plants a bug on this thread, in place of the one before.
    pub fn plant(bug: Option<Bug>) {
        PLANTED.set(bug);
    }

    pub(crate) fn is_planted(bug: Bug) -> bool {
        PLANTED.get() == Some(bug)
    }

    pub(crate) fn strikes(bug: Bug) -> bool {
        is_planted(bug) && STRIKES.replace(!STRIKES.get())
    }

    impl Bug {
        /// All of them.
        pub const ALL: [Self; 45] = [
            Self::ProgressBeforeState,
            Self::UndoneForgotten,
            Self::RevokeForgotten,
            Self::LateCompletion,
            Self::UnknownTakenForCommitted,
            Self::UnknownTakenForRefused,
            Self::LaneOrderBroken,
            Self::LaneShared,
            Self::OtherShardsState,
            Self::OutputsBeforeCommit,
            Self::PartialShardRuns,
            Self::InterruptedFails,
            Self::AttemptLeavesTrace,
            Self::RemovalForgotten,
            Self::OverlayIgnored,
            Self::ResumeForgotten,
            Self::OutputsSurviveRestart,
            Self::AlarmForgotten,
            Self::AwaySpendsAttempts,
            Self::LetterForgotten,
            Self::HoldForgotten,
            Self::LetterLeftOpen,
            Self::RedriveUnchecked,
            Self::ParkedOvertaken,
            Self::ParkedForgotten,
            Self::ParkedStays,
            Self::PastForgotten,
            Self::DueForgotten,
            Self::InboxForgotten,
            Self::KnownBeforeDone,
            Self::InboxLost,
            Self::CopiesForgotten,
            Self::TimersForgotten,
            Self::TimerStays,
            Self::CancelForgotten,
            Self::TimerOvertakes,
            Self::TimersCut,
            Self::UndoRepeats,
            Self::UndoForgotten,
            Self::StepLeavesTrace,
            Self::WaitingForgotten,
            Self::HandOnForgotten,
            Self::JournalTimeForgotten,
            Self::JournalReversed,
            Self::JournalForgetsParked,
        ];
    }
}

#[cfg(feature = "planted-bugs")]
pub use switch::plant;
#[cfg(feature = "planted-bugs")]
pub(crate) use switch::{is_planted, strikes};
