//! The sender port: records that are published exactly once, out of something that is not the log.

use async_trait::async_trait;
use bytes::Bytes;

use crate::code::Coded;
use crate::outputs::Outputs;
use crate::ports::Answer;

/// Publishes under a name that one holder at a time has. With each publish goes a receipt, in the same act: whoever holds the name
/// next reads there what was published last.
///
/// Contract: who takes the name ends what was begun under it before: what the answer to [`take`](Self::take) does not show will never
/// be published. A publish is there whole, with its receipt, or not at all. After any other answer than
/// [`Answer::Committed`] the name has to be taken again before anything is published.
#[async_trait]
pub trait Sender: Send {
    /// Takes the name from whoever had it. Answers the receipt of the last publish; none if there was no publish.
    async fn take(&mut self) -> Result<Option<Bytes>, Coded>;

    /// Publishes records and keeps the receipt, in one act. Answered with [`Answer::Fenced`] where nobody of ours has taken the
    /// name, with that or [`Answer::Unknown`] where somebody else has since, and with [`Answer::Refused`] where one of the records is
    /// not taken as it is.
    async fn send(&mut self, outputs: Outputs, receipt: Bytes) -> Answer;
}
