//! Commands to other services, and their replies; and records that are handed on to another handler of the service.

use std::rc::Rc;
use std::time::Duration;

use crate::context::Context;
use crate::context::emit::Said;
use crate::emitted::check_key;
use crate::event::Event;
use crate::handler::HandlerError;
use crate::headers::{self, Headers};
use crate::id::EventId;
use crate::internal::Operation;
use crate::planted::{Bug, is_planted};
use crate::service::Service;
use crate::unit::Unit;

/// What the names of timers begin with that end the wait for a reply; the command's id follows.
const REPLY: &str = "tidemill.reply.";

impl Context<'_> {
    /// Emits a command, whose replies come to this saga and this key. Whoever gets it answers with [`Context::reply`].
    ///
    /// It fails as [`Context::emit`] does. Only a saga gets replies: it says what each of them means in each of its states.
    #[expect(clippy::needless_pass_by_value, reason = "as for emit")]
    pub fn request<E: Event>(&mut self, command: E) {
        if let Err(error) = self.unit.request(&command) {
            self.fail(error);
        }
    }

    /// As [`Context::request`], for so long: `overdue` comes when there was no reply by then, as a timer. A reply that comes later is an
    /// event like any other.
    pub async fn request_within<E: Event, T: Event>(
        &mut self,
        command: E,
        patience: Duration,
        overdue: T,
    ) -> Result<(), HandlerError> {
        let id = self.unit.request(&command)?;
        self.schedule(&format!("{REPLY}{id}"), patience, overdue).await
    }

    /// Emits an event as the reply to this record: it stands under the key of whoever asked, and names the record that it answers. Where
    /// nobody asked, it is emitted as any other event.
    #[expect(clippy::needless_pass_by_value, reason = "as for emit")]
    pub fn reply<E: Event>(&mut self, event: E) {
        if let Err(error) = self.unit.emit(&event, Said::Reply) {
            self.fail(error);
        }
    }

    /// Whether this record is for this handler: not a reply to somebody else. Where it is a reply, nobody waits for it any more.
    pub(crate) async fn take_reply(&mut self) -> Result<bool, HandlerError> {
        let wanted = [headers::IN_REPLY_TO, headers::REPLY_TO];
        let [Some(command), Some(to)] = self.unit.record.headers.get_all(wanted) else { return Ok(true) };
        if to != self.unit.asker().as_bytes() {
            return Ok(false);
        }
        let timer = format!("{REPLY}{}", String::from_utf8_lossy(command));
        self.cancel(&timer).await?;
        Ok(true)
    }

    /// Hands the record on to another handler of the service, under another key.
    pub(crate) fn hand_on(&mut self, handler: &str, key: &[u8]) -> Result<(), HandlerError> {
        let refused = |why: &dyn std::fmt::Display| {
            HandlerError::permanent(format!("it cannot be handed on to {handler}: {why}"))
        };
        check_key(Some(key)).map_err(|error| refused(&error))?;
        let topic = self.unit.internal();
        let mut block = self.unit.named_headers();
        headers::write(&mut block, headers::HANDLER, Some(handler.as_bytes()));
        let (headers, value) = (Headers::from_bytes(block.into()), self.unit.record.value.clone());
        let before = self.unit.outputs.bytes();
        let address = self.unit.address(topic, Some(key));
        if !is_planted(Bug::HandOnForgotten) {
            self.unit.outputs.push_raw(address, Some(key), &headers, value.as_deref());
        }
        self.unit.check_size(topic, before).map_err(|error| refused(&error))
    }

    /// Records what became of a command.
    pub(crate) fn report(&mut self, operation: Operation) {
        self.unit.report(operation);
    }
}

impl Unit {
    /// Who gets replies to what this unit asks for.
    pub(super) fn asker(&self) -> String {
        format!("{}/{}", self.home.env.service.name, self.registered().name)
    }

    /// The place of the service's internal topic among its output topics.
    fn internal(&self) -> u16 {
        let Service { output_topics, inputs, internal, .. } = &*self.home.env.service;
        let place = output_topics.iter().position(|topic| *topic == inputs[*internal].topic);
        u16::try_from(place.expect("declared with whoever hands on")).expect("checked by the builder")
    }

    fn request<E: Event>(&mut self, command: &E) -> Result<EventId, HandlerError> {
        if self.registered().saga.is_none() || self.state.is_none() {
            let (event, handler) = (E::NAME, Rc::clone(&self.home.env).service.registered(self.handler).name.clone());
            let message = format!("handler {handler} asks with {event}, and only a saga gets replies; emit it instead");
            return Err(HandlerError::permanent(message));
        }
        self.emit(command, Said::Request)
    }
}
