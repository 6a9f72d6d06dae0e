//! Calls to the outside whose answers are kept for a replay.

use std::future::Future;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::code::{Code, Coded};
use crate::context::Context;
use crate::handler::{Class, HandlerError};
use crate::journal::{Answered, MOST_ANSWERED};
use crate::state::{decode, encode};
use crate::unit::Unit;

impl Context<'_> {
    /// Calls something outside, and keeps its answer in the service's journal: a replay gives the handler the same answer, and does not call.
    /// The answer of the last attempt counts. Names tell a unit's calls apart for people; calls are answered in their order.
    ///
    /// The call happens at least once, as everything outside does; pass [`Context::idempotency_key`] on where it is accepted. An answer of more
    /// than 64 KiB is not kept, and neither is any where the journal is off.
    pub async fn call<T, F>(&mut self, name: &str, outside: F) -> Result<T, HandlerError>
    where
        T: Serialize + DeserializeOwned,
        F: Future<Output = Result<T, HandlerError>>,
    {
        match self.unit.recorded(name) {
            Recorded::Live => {}
            Recorded::Refused(cause) => return self.grounded(Err(cause)),
            Recorded::Failed(error) => return Err(error),
            Recorded::Value(value) => {
                return decode(&value).map_err(|error| {
                    HandlerError::permanent(format!("the answer of call {name} that was kept cannot be read: {error}"))
                });
            }
        }
        let answer = outside.await;
        let (value, error) = match &answer {
            Ok(value) => {
                let value = encode(value).map_err(|error| {
                    HandlerError::permanent(format!("the answer of call {name} cannot be kept: {error}"))
                })?;
                (Some(value).filter(|value| value.len() <= MOST_ANSWERED), None)
            }
            Err(error) => (None, Some((matches!(error.class(), Class::Permanent), error.message().to_owned()))),
        };
        self.unit.answers.push(Answered { name: name.to_owned(), value, error });
        answer
    }
}

/// What is known of a call before it happens.
enum Recorded {
    /// It has to happen.
    Live,
    /// It must not happen.
    Refused(Coded),
    Value(Vec<u8>),
    Failed(HandlerError),
}

impl Unit {
    /// What is known of the unit's next call.
    fn recorded(&mut self, name: &str) -> Recorded {
        let Some(recorded) = &mut self.recorded else { return Recorded::Live };
        let answered = recorded.answers.pop_front().filter(|answered| answered.name == name);
        match answered {
            Some(Answered { value: Some(value), .. }) => Recorded::Value(value),
            Some(Answered { error: Some((true, said)), .. }) => Recorded::Failed(HandlerError::permanent(said)),
            Some(Answered { error: Some((false, said)), .. }) => Recorded::Failed(HandlerError::transient(said)),
            _ if recorded.may_call => Recorded::Live,
            _ => {
                let message = format!("{} calls {name}, of which no answer was kept", self.position());
                Recorded::Refused(Coded::new(Code::CALL_NOT_RECORDED, message))
            }
        }
    }
}
