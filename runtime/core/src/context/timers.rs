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
use crate::service::source;
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
        let when = self.unit.when(at);
        let timer = self.unit.timer_of(&state, name, when.id, &event)?;
        self.unit.schedule(state, name, before, when, &timer);
        Ok(())
    }

    /// As [`Context::schedule_at`], for this record as it is.
    pub(crate) async fn wait(&mut self, name: &str, at: Timestamp, value: Bytes) -> Result<(), HandlerError> {
        let when = self.unit.when(at);
        self.wait_until(name, when, value).await
    }

    /// The same, directly behind another timer.
    pub(crate) async fn wait_behind(&mut self, name: &str, last: When, value: Bytes) -> Result<(), HandlerError> {
        let when = last.behind(self.unit.now);
        self.wait_until(name, when, value).await
    }

    async fn wait_until(&mut self, name: &str, when: When, value: Bytes) -> Result<(), HandlerError> {
        let (state, before) = self.timer(name).await?;
        let timer = self.unit.timer(&state, name, self.unit.named_headers(), value.to_vec());
        self.unit.schedule(state, name, before, when, &timer);
        Ok(())
    }

    /// As [`Context::schedule_at`], for an event of the runtime's own, which is called as the timer is.
    pub(crate) async fn schedule_own(
        &mut self,
        name: &'static str,
        at: Timestamp,
        value: &'static [u8],
    ) -> Result<(), HandlerError> {
        let (state, before) = self.timer(name).await?;
        let when = self.unit.when(at);
        let (own_id, source) = (self.unit.derived_own_id(), source(&self.unit.home.env.service.name));
        let mut block = Vec::new();
        headers::write(&mut block, headers::TYPE, Some(name.as_bytes()));
        headers::write(&mut block, headers::SOURCE, Some(source.as_bytes()));
        headers::write(&mut block, headers::ID, Some(&when.id.to_text()));
        self.unit.lineage(&own_id).write(&mut block);
        let timer = self.unit.timer(&state, name, block, value.to_vec());
        self.unit.schedule(state, name, before, when, &timer);
        Ok(())
    }

    /// The timer of this name is due now, behind the last that was hurried. Answers which was the last then.
    pub(crate) async fn hurry(&mut self, name: &str, last: Option<When>) -> Result<Option<When>, HandlerError> {
        let (state, before) = self.timer(name).await?;
        let Some(before) = before else { return Ok(last) };
        let found = match self.unit.kept.iter().find(|kept| kept.id == all() && kept.suffix == before.suffix()) {
            Some(kept) => Ok(kept.value.clone()),
            None => kept(&self.unit.home, self.unit.transaction.as_mut(), &all(), before.suffix()).await,
        };
        let unreadable = |_| Coded::new(Code::STATE_UNREADABLE, format!("timer {name} cannot be read"));
        let timer = found.and_then(|value| value.map(|value| Timer::read(&value).map_err(unreadable)).transpose());
        let Some(timer) = self.grounded(timer)? else { return Ok(last) };
        let now = self.unit.now;
        let when = last.map_or_else(|| self.unit.when(now), |last| last.behind(now));
        self.unit.schedule(state, name, Some(before), when, &timer);
        Ok(Some(when))
    }

    /// When the timer of this name fires, and behind which others.
    pub(crate) async fn when(&mut self, name: &str) -> Result<Option<When>, HandlerError> {
        Ok(self.timer(name).await?.1)
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
        Ok(self.when(name).await?.map(|when| when.due))
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
    /// When the next timer is due that this unit schedules.
    fn when(&mut self, at: Timestamp) -> When {
        let id = EventId::timer(self.id_base(), self.timers);
        self.timers += 1;
        When { due: at.max(self.now), scheduled: self.now, id }
    }

    /// Writes a timer down, in the place of the one of its name before.
    fn schedule(&mut self, state: StateId, name: &str, before: Option<When>, when: When, timer: &Timer) {
        if let Some(before) = before {
            self.unschedule(before);
        }
        let names = owner(&self.registered().name, &state.key);
        self.keep(all(), when.suffix(), Some(timer.to_bytes()));
        self.keep(names, name_suffix(name), Some(when.to_value()));
        let lane = self.home.env.service.lane_of(self.handler, state.key);
        self.entered.push(Entered::Scheduled { when, lane });
    }

    /// What fires, of this unit's handler.
    fn timer(&self, state: &StateId, name: &str, headers: Vec<u8>, value: Vec<u8>) -> Timer {
        let (handler, key) = (self.registered().name.to_string(), state.key.to_vec());
        Timer { handler, key, name: name.to_owned(), headers, value }
    }

    /// The record's headers where it stands in another place than its own: they say its type and its id, and not to whom it was handed on.
    pub(super) fn named_headers(&self) -> Vec<u8> {
        let record = &self.record;
        let [event, id, handler] = record.headers.get_all([headers::TYPE, headers::ID, headers::HANDLER]);
        let mut block = Vec::new();
        if handler.is_none() {
            block.extend_from_slice(record.headers.as_bytes());
        } else {
            let own = record.headers.iter().filter(|(name, _)| *name != headers::HANDLER);
            own.for_each(|(name, value)| headers::write(&mut block, name, value));
        }
        if let (None, Some(route)) = (event, self.home.env.service.routed(self.way)) {
            headers::write(&mut block, headers::TYPE, Some(route.event.as_bytes()));
        }
        if id.is_none() {
            headers::write(&mut block, headers::ID, Some(self.derived_own_id().as_bytes()));
        }
        block
    }

    /// Where what the unit brings about comes from. `own_id` is what stands for its record's id where that has none.
    fn lineage<'u>(&'u self, own_id: &'u str) -> Lineage<'u> {
        let wanted = [headers::CORRELATION_ID, headers::ID, headers::TRACE_PARENT];
        let [correlation, cause, trace] = self.record.headers.get_all(wanted);
        Lineage::of(correlation, cause.unwrap_or(own_id.as_bytes()), trace)
    }

    /// An event as it lies in state until it is due.
    fn timer_of<E: Event>(&self, state: &StateId, name: &str, id: EventId, event: &E) -> Result<Timer, HandlerError> {
        let env = &self.home.env;
        let Some(emitted) = env.service.scheduled::<E>(self.handler) else {
            let (event, name, handler) = (E::NAME, std::any::type_name::<E>(), &self.registered().name);
            let message = format!("event {event} is not declared; add .on_timer::<{name}>() to handler {handler}");
            return Err(HandlerError::permanent(message));
        };
        let letters = env.service.dead_letters;
        let address = Address { topic: letters, partition: 0, timestamp: self.now };
        let own_id = self.derived_own_id();
        let lineage = self.lineage(&own_id);
        let mut scratch = env.outputs();
        let stamp = Stamp { id: &id.to_text(), time: &env.time_text(self.now), key: Some(&state.key) };
        let written = emitted.write(event, stamp, address, |block| lineage.write(block), &mut scratch);
        let fits = written.and_then(|()| env.fits(letters, scratch.bytes()));
        fits.map_err(|error| HandlerError::permanent(format!("event {} cannot be scheduled: {error}", E::NAME)))?;
        let output = scratch.iter().next().expect("it was written");
        let timer = self.timer(state, name, output.headers.to_vec(), output.value.unwrap_or_default().to_vec());
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
