//! Counts the lines that an input had and nobody could read.

use ingest::LineRejected;
use tidemill::prelude::*;

/// Owns the number of rejected lines, by input.
#[derive(Debug, Clone, Copy)]
pub struct Rejections;

/// How many lines of an input were rejected.
pub const REJECTED: Cell<u64> = Cell::named("rejected");

#[async_trait(?Send)]
impl Handler<LineRejected> for Rejections {
    async fn handle(&self, _rejected: &LineRejected, cx: &mut Context<'_>) -> Result<(), HandlerError> {
        let rejected = cx.get(REJECTED).await?.unwrap_or(0);
        cx.set(REJECTED, rejected + 1);
        Ok(())
    }
}
