//! One suite for each port. An adapter that passes its suite does what the port says.

mod broker;
mod commit;
mod log;
mod ownership;
mod peer;
mod scene;
mod sender;
mod store;

pub use broker::broker;
pub use commit::commit;
pub use log::log;
pub use ownership::ownership;
pub use scene::Fixture;
pub use sender::sender;
pub use store::{Place, store};
