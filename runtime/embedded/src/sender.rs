//! Publishes exactly once: the receipt is an entry of the same batch of the store.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tidemill_core::code::{Code, Coded};
use tidemill_core::outputs::Outputs;
use tidemill_core::ports::{Answer, Change, Sender};

use crate::broker::Shared;
use crate::layout;

/// Publishes under a name.
pub(crate) struct EmbeddedSender {
    pub(crate) shared: Arc<Shared>,
    pub(crate) name: Arc<str>,
    /// Which of those that took the name in this process it was; 0 before it did.
    pub(crate) taken: u64,
}

#[async_trait]
impl Sender for EmbeddedSender {
    async fn take(&mut self) -> Result<Option<Bytes>, Coded> {
        let (shared, name) = (Arc::clone(&self.shared), Arc::clone(&self.name));
        self.taken = self.shared.take_name(&name);
        // Behind what was being written when the name was taken.
        let read = self.shared.away(move || {
            shared.ledger.settle();
            shared.ledger.store.get(&layout::receipt(&name))
        });
        read.await?
    }

    async fn send(&mut self, outputs: Outputs, receipt: Bytes) -> Answer {
        let (shared, name, taken) = (Arc::clone(&self.shared), Arc::clone(&self.name), self.taken);
        let sent = self.shared.away(move || {
            let appends = match shared.ledger.pack(&outputs) {
                Ok(appends) => appends,
                Err(cause) => return Answer::Refused(cause),
            };
            let change = Change { key: layout::receipt(&name), value: Some(receipt) };
            shared.ledger.write(appends, vec![change], || {
                let message = || format!("somebody else has taken {name}");
                shared.holds_name(&name, taken).then_some(()).ok_or_else(|| Coded::new(Code::FENCED, message()))
            })
        });
        sent.await.unwrap_or_else(Answer::Unknown)
    }
}
