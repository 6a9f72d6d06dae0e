//! The second pass over an input: publishes what happened, in the order of the lines.

use std::fmt::Write as _;
use std::future::poll_fn;
use std::path::Path;
use std::task::Poll;

use tidemill::code::Coded;
use tidemill::publisher::{Publication, Publisher};
use tidemill::time::Timestamp;

use crate::line::Line;
use crate::rejects::{Rejected, Rejects};
use crate::survey::Survey;
use crate::{InvoiceClosed, LineRejected, OrderLineRecorded};

/// Who the events are from: the source that the publisher has to name.
pub const SOURCE: &str = "/shop/ingest";
/// How many bytes of events become visible together.
const FLUSH_BYTES: usize = 512 * 1024;

/// What was published.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Order lines.
    pub lines: u64,
    /// Invoices that were closed.
    pub invoices: u64,
    /// Lines that could not be read.
    pub rejected: u64,
    /// The first few of them.
    pub first_rejected: Vec<Rejected>,
}

impl Survey {
    /// Publishes the input: one [`OrderLineRecorded`] for each line, an [`InvoiceClosed`] after the last line of each invoice, and
    /// a [`LineRejected`] for each line that cannot be read, which also goes to the report `rejects`, if one is wanted. The topic
    /// has to be there. The publisher names [`SOURCE`], since ids are unique within it.
    ///
    /// The ids of events are made of the content's checksum and the line's number: publishing the same content again, from
    /// whatever place, makes the same ids. A process that ends on the way has published a part, from the beginning, in whole
    /// flushes. `progress` is told the number of lines that are done, after each flush.
    pub async fn publish(
        self,
        mut publisher: Publisher,
        rejects: Option<&Path>,
        mut progress: impl FnMut(u64),
    ) -> Result<Summary, Coded> {
        publisher.declare::<OrderLineRecorded>().await?;
        publisher.declare::<InvoiceClosed>().await?;
        publisher.declare::<LineRejected>().await?;
        let mut lines = self.input.open()?;
        let mut feed = Feed {
            id: format!("{}/", self.identity),
            identity_length: self.identity.len() + 1,
            name: self.input.name(),
            rejects: Rejects::open(rejects)?,
            publisher,
            survey: self,
            recorded: OrderLineRecorded::default(),
            piece_begin: 0,
            piece_lines: 0,
            summary: Summary::default(),
        };
        while let Some(numbered) = lines.next()? {
            match numbered.line {
                Ok(line) => feed.record(numbered.number, &line)?,
                Err(reason) => feed.reject(numbered.number, numbered.in_file, reason)?,
            }
            if feed.publisher.pending_bytes() >= FLUSH_BYTES {
                feed.publisher.flush().await?;
                let_others_go_on().await;
                progress(feed.summary.lines + feed.rejects.count);
            }
        }
        feed.end_piece()?;
        feed.publisher.flush().await?;
        feed.rejects.finish()?;
        if lines.identity() != feed.survey.identity {
            return Err(feed
                .survey
                .input
                .unreadable(&"it changed while it was read, and what it said before is published"));
        }
        progress(feed.survey.lines);
        Ok(Summary { rejected: feed.rejects.count, first_rejected: feed.rejects.first, ..feed.summary })
    }
}

/// What publishing needs from line to line. The event and the id are written in place, so that a line costs no memory.
struct Feed {
    survey: Survey,
    publisher: Publisher,
    rejects: Rejects,
    name: String,
    id: String,
    identity_length: usize,
    /// The line that was published last.
    recorded: OrderLineRecorded,
    /// The number of the first line of the present piece of an invoice.
    piece_begin: u64,
    /// How many lines the piece has so far.
    piece_lines: i64,
    summary: Summary,
}

impl Feed {
    fn record(&mut self, number: u64, line: &Line<'_>) -> Result<(), Coded> {
        if line.invoice != self.recorded.invoice {
            self.end_piece()?;
            self.piece_begin = number;
            self.piece_lines = 0;
        }
        self.piece_lines += 1;
        let event = &mut self.recorded;
        set(&mut event.invoice, line.invoice);
        event.line = signed(number);
        set(&mut event.stock_code, line.stock_code);
        set_known(&mut event.description, line.description);
        event.quantity = line.quantity;
        event.invoice_time = line.at;
        event.unit_price_milli = line.unit_price_milli;
        set_known(&mut event.customer, line.customer);
        set(&mut event.country, line.country);
        self.summary.lines += 1;
        self.id.truncate(self.identity_length);
        write!(self.id, "{number}").expect("a string takes everything");
        let time = Timestamp::from_millis(line.at);
        self.publisher.publish(Publication { event: &self.recorded, id: &self.id, time })
    }

    /// The lines of the present invoice stop: closes it, unless they go on later.
    fn end_piece(&mut self) -> Result<(), Coded> {
        let mut lines = self.piece_lines;
        if lines == 0 {
            return Ok(());
        }
        if let Some(scattered) = self.survey.scattered.get_mut(&self.recorded.invoice) {
            scattered.published += lines;
            if scattered.last_piece != self.piece_begin {
                return Ok(());
            }
            lines = scattered.published;
        }
        self.summary.invoices += 1;
        let event = InvoiceClosed { invoice: self.recorded.invoice.clone(), lines };
        self.id.truncate(self.identity_length);
        write!(self.id, "{}/closed", self.recorded.line).expect("a string takes everything");
        let time = Timestamp::from_millis(self.recorded.invoice_time);
        self.publisher.publish(Publication { event: &event, id: &self.id, time })
    }

    /// A line that cannot be read has no time of its own; it takes that of the good line before it.
    fn reject(&mut self, number: u64, in_file: u64, reason: String) -> Result<(), Coded> {
        self.rejects.add(in_file, &reason)?;
        let event = LineRejected { input: self.name.clone(), line: signed(number), reason };
        self.id.truncate(self.identity_length);
        write!(self.id, "{number}").expect("a string takes everything");
        let time = Timestamp::from_millis(self.recorded.invoice_time);
        self.publisher.publish(Publication { event: &event, id: &self.id, time })
    }
}

/// Gives the thread back once: a broker in memory answers at once, and whoever else has work here would wait for the whole
/// input.
async fn let_others_go_on() {
    let mut gave_back = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut gave_back, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

fn set(into: &mut String, text: &str) {
    into.clear();
    into.push_str(text);
}

fn set_known(into: &mut Option<String>, text: Option<&str>) {
    match (into, text) {
        (Some(into), Some(text)) => set(into, text),
        (into, text) => *into = text.map(str::to_owned),
    }
}

/// Line numbers as events carry them.
fn signed(number: u64) -> i64 {
    i64::try_from(number).expect("fewer than 2^63 lines")
}

#[cfg(test)]
mod tests;
