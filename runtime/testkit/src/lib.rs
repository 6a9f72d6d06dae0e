//! What proves an adapter or a service: conformance suites for the ports, fakes of them, and a driver for services.

pub mod conformance;
pub mod driver;
pub mod fakes;
pub mod reading;
pub mod replayed;
pub mod simulation;

#[cfg(test)]
mod tests;
