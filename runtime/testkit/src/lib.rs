//! What proves an adapter or a service: conformance suites for the ports.

pub mod conformance;
pub mod fakes;

#[cfg(test)]
mod tests;
