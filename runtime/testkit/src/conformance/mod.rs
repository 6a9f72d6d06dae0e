//! One suite for each port. An adapter that passes its suite does what the port says.

mod store;

pub use store::{Place, store};
