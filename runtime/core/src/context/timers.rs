//! Timers of the record's key.

use std::time::Duration;

use bytes::Bytes;

use crate::books::Entered;
use crate::code::{Code, Coded};
use crate::context::Context;
use crate::context::emit::Lineage;
use crate::emitted::Stamp;
use crate::event::Event;
use crate::handler::HandlerError;
use crate::headers;
use crate::id::EventId;
use crate::limits::KEY_LIMIT;
use crate::outputs::Address;
use crate::planted::{Bug, is_planted};
use crate::state::StateId;
use crate::time::Timestamp;
use crate::timers::{Timer, When, all, name_suffix, owner};
use crate::unit::{Unit, kept};

impl Context<'_> {
    /// Has this handler get the event after some time, in the order of this key. The timer's name is one of this handler and key: a timer
    /// that was scheduled under it and has not fired is replaced.
    ///
    /// A timer is state: it is there if and only if the unit commits, and fires once, however long the service was away meanwhile. It fails
    /// as other records do. The handler declares its events with
    /// [`HandlerBuilder::on_timer`](crate::service::HandlerBuilder::on_timer). An event that is not declared, or is larger than a dead
    /// letter may be, fails the attempt for good, and so does a record without a key.
    pub async fn schedule<E: Event>(&mut self, name: &str, after: Duration, event: E) -> Result<(), HandlerError> {
        self.schedule_at(name, self.unit.now + after, event).await
    }

    /// As [`Context::schedule`], at a point in time; at once if that is over.
    pub async fn schedule_at<E: Event>(&mut self, name: &str, at: Timestamp, event: E) -> Result<(), HandlerError> {
        let (state, before) = self.timer(name).await?;
        let id = EventId::timer(self.unit.id_base(), self.unit.timers);
        self.unit.timers += 1;
        let when = When { due: at.max(self.unit.now), scheduled: self.unit.now, id };
        let timer = self.unit.timer(&state, name, id, &event)?;
        if let Some(before) = before {
            self.unit.unschedule(before);
        }
        let names = owner(&self.unit.registered().name, &state.key);
        self.unit.keep(all(), when.suffix(), Some(timer.to_bytes()));
        self.unit.keep(names, name_suffix(name), Some(when.to_value()));
        let lane = self.unit.home.env.service.lane_of(&timer.handler, state.key);
        let lane = lane.expect("it is the handler of this unit");
        self.unit.entered.push(Entered::Scheduled { when, lane });
        Ok(())
    }

    /// Cancels the timer of this name, of this handler and key. Tells whether there was one that has not fired.
    pub async fn cancel(&mut self, name: &str) -> Result<bool, HandlerError> {
        let (state, before) = self.timer(name).await?;
        let Some(before) = before else { return Ok(false) };
        let names = owner(&self.unit.registered().name, &state.key);
        self.unit.unschedule(before);
        self.unit.keep(names, name_suffix(name), None);
        Ok(true)
    }

    /// When the timer of this name, of this handler and key, is due; `None` where there is none that has not fired.
    pub async fn due(&mut self, name: &str) -> Result<Option<Timestamp>, HandlerError> {
        Ok(self.timer(name).await?.1.map(|when| when.due))
    }

    /// Whose timers these are, and when the one of this name is due.
    async fn timer(&mut self, name: &str) -> Result<(StateId, Option<When>), HandlerError> {
        let Some(state) = self.unit.state.clone() else {
            let position = self.unit.position();
            return Err(HandlerError::permanent(format!("{position} has no key, and only a key has timers")));
        };
        let length = state.key.len() + name.len();
        if length > KEY_LIMIT {
            let message = format!("a timer's key and name have {length} bytes, and {KEY_LIMIT} is the limit");
            return Err(HandlerError::permanent(message));
        }
        let (names, suffix) = (owner(&self.unit.registered().name, &state.key), name_suffix(name));
        let found = match self.unit.kept.iter().find(|kept| kept.id == names && kept.suffix == suffix) {
            Some(kept) => Ok(kept.value.clone()),
            None => kept(&self.unit.home, self.unit.transaction.as_mut(), &names, suffix).await,
        };
        let read = |value: Bytes| {
            When::from_value(&value).ok_or_else(|| {
                let handler = &self.unit.registered().name;
                Coded::new(Code::STATE_UNREADABLE, format!("timer {name} of handler {handler} cannot be read"))
            })
        };
        let when = found.and_then(|value| value.map(read).transpose());
        Ok((state, self.grounded(when)?))
    }
}

impl Unit {
    /// An event as it lies in state until it is due.
    fn timer<E: Event>(&mut self, state: &StateId, name: &str, id: EventId, event: &E) -> Result<Timer, HandlerError> {
        let env = std::rc::Rc::clone(&self.home.env);
        let handler = self.registered().name.to_string();
        let Some(emitted) = env.service.scheduled::<E>(self.handler) else {
            let (event, name) = (E::NAME, std::any::type_name::<E>());
            let message = format!("event {event} is not declared; add .on_timer::<{name}>() to handler {handler}");
            return Err(HandlerError::permanent(message));
        };
        let letters = env.service.dead_letters;
        let address = Address { topic: letters, partition: 0, timestamp: self.now };
        let [correlation, cause, trace] =
            self.record.headers.get_all([headers::CORRELATION_ID, headers::ID, headers::TRACE_PARENT]);
        let own_id = self.derived_own_id();
        let lineage = Lineage::of(correlation, cause.unwrap_or(own_id.as_bytes()), trace);
        let mut scratch = env.outputs();
        let stamp = Stamp { id: &id.to_text(), time: &env.time_text(self.now), key: Some(&state.key) };
        let written = emitted.write(event, stamp, address, |block| lineage.write(block), &mut scratch);
        let fits = written.and_then(|()| env.fits(letters, scratch.bytes()));
        fits.map_err(|error| HandlerError::permanent(format!("event {} cannot be scheduled: {error}", E::NAME)))?;
        let output = scratch.iter().next().expect("it was written");
        let value = output.value.unwrap_or_default().to_vec();
        let timer =
            Timer { handler, key: state.key.to_vec(), name: name.to_owned(), headers: output.headers.to_vec(), value };
        scratch.clear();
        env.recycle(scratch);
        Ok(timer)
    }

    /// A timer is there no more; its name is the caller's matter.
    fn unschedule(&mut self, when: When) {
        if !is_planted(Bug::CancelForgotten) {
            self.keep(all(), when.suffix(), None);
        }
        self.entered.push(Entered::Cancelled { when });
    }
}
