//! A layer around all handlers of one life: attempts go into the ledger, and tricks are played on some.

use std::future::pending;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tidemill_core::context::Context;
use tidemill_core::handler::HandlerError;
use tidemill_core::layer::{AttemptError, Layer, Next};
use tidemill_core::ports::Clock;

use super::Life;
use crate::simulation::fault::Trick;
use crate::simulation::ledger::{Attempted, Entry};

/// Disturbs the handlers of one life of an instance.
pub(crate) struct Disturbance {
    pub(crate) life: Arc<Life>,
}

/// An attempt that has not ended; dropped, it was given up.
struct Begun<'a> {
    life: &'a Life,
    number: u64,
    how: Attempted,
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        self.life.push(Entry::Ended { number: self.number, how: self.how });
    }
}

#[async_trait(?Send)]
impl Layer for Disturbance {
    async fn around(&self, cx: &mut Context<'_>, next: Next<'_>) -> Result<(), AttemptError> {
        let life = &*self.life;
        let number = life.chaos.number();
        let (position, key) = (cx.metadata().position(), cx.metadata().key().map(<[u8]>::to_vec));
        let handler = cx.metadata().handler().to_owned();
        let trick = life.trick(&handler);
        life.push(Entry::Attempt { who: life.who.clone(), number, handler, position, key });
        let mut begun = Begun { life, number, how: Attempted::GivenUp };
        match trick {
            Some(Trick::Slow(millis)) => life.chaos.clock.sleep(Duration::from_millis(millis)).await,
            Some(Trick::Never) => pending().await,
            _ => {}
        }
        let ended = next.run(cx).await;
        match trick {
            Some(Trick::Lingers(millis)) => life.chaos.clock.sleep(Duration::from_millis(millis)).await,
            Some(Trick::Fails) => {
                begun.how = Attempted::Badly;
                return Err(HandlerError::transient("the simulation lets this attempt fail").into());
            }
            // Not through the hook, which would print it.
            Some(Trick::Panics) => resume_unwind(Box::new("the simulation lets this attempt panic")),
            _ => {}
        }
        begun.how = if ended.is_ok() { Attempted::Well } else { Attempted::Badly };
        ended
    }
}
