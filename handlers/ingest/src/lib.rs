//! The shop's way in: reads order lines from a CSV, or makes them up from a seed, and publishes what happened.
//!
//! An input is read twice. The first pass ([`Survey`]) finds out what cannot be known on the way: whether the whole of it can
//! be read at all, and where the invoices end whose lines are not contiguous. Nothing is published before it is over, so a
//! file that is cut in the middle of its compressed bytes publishes nothing. The second pass publishes, in the order of the
//! lines. What is kept between the two is eight bytes for each invoice, and one entry for each invoice in more than one piece.

mod calendar;
mod events;
mod feed;
mod generator;
mod input;
mod line;
mod number;
mod rejects;
mod row;
mod survey;

pub use events::{InvoiceClosed, Kind, LineRejected, OrderLineRecorded, TOPIC};
pub use feed::{SOURCE, Summary};
pub use input::Input;
pub use rejects::Rejected;
pub use survey::Survey;
