//! Orders from the storefront's outbox over Kafka into rows and an outbox of a service, on real parts that are killed.

mod audit;
mod database;
mod kills;
mod orders;
mod refusals;
mod relays;
mod stage;
