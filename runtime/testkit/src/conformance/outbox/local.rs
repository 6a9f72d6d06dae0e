//! Rows of a directory, or of memory, as a place for the suite.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use tidemill_core::envelopes::Envelopes;
use tidemill_core::ports::{Clock, Outbox};
use tidemill_embedded::Local;

use super::{Draft, Note, Outboxes};
use crate::fakes::{VirtualClock, block_on};

/// Rows in virtual time.
pub struct LocalRows {
    clock: Arc<VirtualClock>,
    local: Local,
}

impl LocalRows {
    /// Takes rows whose time is this clock's.
    pub fn new(clock: Arc<VirtualClock>, local: Local) -> Self {
        Self { clock, local }
    }

    /// Rows in memory.
    pub fn memory() -> Self {
        let clock = VirtualClock::new();
        let local = Local::memory(Arc::<VirtualClock>::clone(&clock)).expect("memory opens");
        Self { clock, local }
    }

    /// What time is here.
    pub fn clock(&self) -> &Arc<VirtualClock> {
        &self.clock
    }
}

impl Outboxes for LocalRows {
    fn outbox(&self) -> Box<dyn Outbox> {
        self.local.outbox()
    }

    fn transact<'a>(
        &'a self,
        rows: &'a [Draft],
        commits: bool,
        meanwhile: LocalBoxFuture<'a, ()>,
    ) -> LocalBoxFuture<'a, ()> {
        Box::pin(async move {
            let mut envelopes = Envelopes::new("/tests");
            envelopes.declare::<Note<0>>().await.expect("it is declared");
            envelopes.declare::<Note<1>>().await.expect("it is declared");
            let mut transaction = self.local.begin().await;
            for row in rows {
                let added = match row.topic {
                    0 => transaction.add(&envelopes, &Note::<0>::new(row).publication()),
                    _ => transaction.add(&envelopes, &Note::<1>::new(row).publication()),
                };
                added.expect("it is added");
            }
            meanwhile.await;
            if commits {
                transaction.commit().await.expect("it commits");
            }
        })
    }

    fn places_rows(&self) -> bool {
        false
    }

    fn run(&self, check: LocalBoxFuture<'_, ()>) {
        block_on(&self.clock, check);
    }

    fn pass(&self, duration: Duration) -> LocalBoxFuture<'static, ()> {
        self.clock.sleep(duration)
    }
}
