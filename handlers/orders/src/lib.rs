//! The shop's orders: gathers the lines of an invoice in state and, when the invoice is closed, emits what it turned out
//! to be: an order, a cancellation, or an adjustment of the books.

mod events;
mod invoices;
mod rejections;
mod requests;

use ingest::{InvoiceClosed, LineRejected, OrderLineRecorded};
use tidemill::service::{Service, ServiceBuilder};

pub use events::{Invoice, OrderAdjusted, OrderCancelled, OrderItem, OrderPlaced};
pub use invoices::{Bug, Invoices, OUTCOME, Outcome};
pub use rejections::{REJECTED, Rejections};
pub use requests::{OrderRequested, RequestedLine};

/// The service's name, which is its group's name too.
pub const NAME: &str = "orders";
/// The handler that gathers lines.
pub const INVOICES: &str = "invoices";
/// The handler that counts rejected lines.
pub const REJECTIONS: &str = "rejections";

/// The service.
pub fn service() -> ServiceBuilder {
    service_with(None)
}

/// The service with a bug, if that is wanted.
pub fn service_with(bug: Option<Bug>) -> ServiceBuilder {
    Service::builder(NAME)
        .handler(INVOICES, Invoices { bug }, |handler| handler.on::<OrderLineRecorded>().on::<InvoiceClosed>())
        .on::<LineRejected>(REJECTIONS, Rejections)
        .emits::<OrderPlaced>()
        .emits::<OrderCancelled>()
        .emits::<OrderAdjusted>()
}

#[cfg(test)]
mod tests;
