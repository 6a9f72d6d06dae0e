//! A unit that ran before and runs again, alone, as the journal says.

use std::collections::VecDeque;

use crate::code::{Code, Coded};
use crate::failure::Then;
use crate::handler::{Failure, HandlerError};
use crate::journal::{Answered, Ending};
use crate::outputs::Outputs;
use crate::time::Timestamp;
use crate::unit::act::Act;
use crate::unit::judge::{Failed, failed_again};
use crate::unit::run::{attempt_once, learn_missing};
use crate::unit::settle::{conclude, settle};
use crate::unit::{Outcome, Step, Unit};

/// Answers from outside that were kept, and whether what has none may call.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recorded {
    pub(crate) answers: VecDeque<Answered>,
    pub(crate) may_call: bool,
}

/// What a unit came to when it ran again.
#[derive(Debug)]
pub(crate) struct Again {
    /// Whether its handler was called, or what stands for it.
    pub(crate) is_handled: bool,
    /// What it failed with.
    pub(crate) failure: Option<Coded>,
    /// What its handler emitted although it had no effects then.
    pub(crate) beyond: Option<Outputs>,
}

/// Runs a unit again, which ended so when it ran before. What it did then is what it leaves; what its handler does now is told.
pub(crate) async fn again(unit: &mut Unit, step: Step, ending: &Ending, attempt: u32) -> Result<Again, Coded> {
    let untouched = Again { is_handled: false, failure: None, beyond: None };
    let act = match (ending, step) {
        (Ending::Copy, _) => Act::Copy,
        (Ending::Queued, _) => Act::Queue,
        (Ending::Refused, _) => Act::Refuse,
        (Ending::Passed, _) => Act::Pass,
        (Ending::Commanded, Step::Command(command)) => Act::Command(command),
        // It was a command to the build before.
        (Ending::Commanded, _) => return Ok(untouched),
        (_, step) => return handled(unit, step, ending, attempt).await,
    };
    enact(unit, &act).await?;
    Ok(untouched)
}

async fn handled(unit: &mut Unit, step: Step, ending: &Ending, attempt: u32) -> Result<Again, Coded> {
    unit.attempt = attempt.saturating_sub(1);
    unit.muted = (*ending == Ending::Muted).then_some(false);
    let answer = match step {
        // Once more, it would end this process.
        _ if code_of(ending) == Some(Code::CRASHES) => Err(Failure::Crashed),
        Step::GiveUp(failure) | Step::Hold(failure) => Err(failure),
        _ => {
            let learned = learn_missing(unit).await;
            unit.begin();
            match learned {
                Ok(()) => attempt_once(unit).await,
                Err(error) => Err(Failure::Undecodable(error)),
            }
        }
    };
    let is_done = ending.is_done();
    let (failed, beyond) = match answer {
        Ok(()) if is_done => {
            conclude(unit);
            return Ok(Again { is_handled: true, failure: None, beyond: None });
        }
        Ok(()) => {
            let beyond = std::mem::replace(&mut unit.outputs, unit.home.env.outputs());
            let failure = Failure::Handler(HandlerError::permanent("it failed then, and does not now"));
            (failed_again(unit, failure), Some(beyond))
        }
        Err(failure) => (failed_again(unit, failure), None),
    };
    let failure = beyond.is_none().then(|| failed.cause.clone());
    match act_of(ending, failed) {
        Some(act) => enact(unit, &act).await?,
        None => unit.goes_without_effects(),
    }
    Ok(Again { is_handled: true, failure, beyond })
}

/// The code with which it failed then, where it failed for good.
fn code_of(ending: &Ending) -> Option<Code> {
    ending.code()?.strip_prefix("TM-").and_then(|number| Code::from_number(number.parse().ok()?))
}

fn act_of(ending: &Ending, failed: Failed) -> Option<Act> {
    Some(match ending {
        Ending::Parked(until) => Act::Park { until: Timestamp::from_millis(*until), failed },
        Ending::Letter(_) => Act::Letter { then: Then::Continue, failed },
        Ending::LetterHeld(_) => Act::Letter { then: Then::Hold, failed },
        Ending::Held(_) => Act::Hold { failed },
        Ending::Done
        | Ending::Muted
        | Ending::Passed
        | Ending::Copy
        | Ending::Queued
        | Ending::Refused
        | Ending::Commanded => return None,
    })
}

async fn enact(unit: &mut Unit, act: &Act) -> Result<(), Coded> {
    match settle(unit, act).await {
        Outcome::Stop(cause) => Err(cause),
        Outcome::Whole(..) | Outcome::Away | Outcome::NoRoom | Outcome::Restart(_) => Ok(()),
    }
}
