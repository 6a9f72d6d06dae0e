//! The shop's services, by their names.

use tidemill::code::{Code, Coded};
use tidemill::service::ServiceBuilder;

/// All services, in the order in which the events flow; with a seed for faults, the one whose bank fails too.
pub(crate) fn all(faults: Option<u64>) -> Vec<ServiceBuilder> {
    let payments = faults.map(|seed| payments::service(Some(seed)));
    [orders::service(), inventory::service(), sales::service()].into_iter().chain(payments).collect()
}

/// All services that may have run somewhere, for questions about them.
pub(crate) fn ever() -> Vec<ServiceBuilder> {
    all(Some(0))
}

/// The services of these names, each once; all of them when no name is given. TM-0104 for a name that the shop does not have.
pub(crate) fn named(names: &[String], faults: Option<u64>) -> Result<Vec<ServiceBuilder>, Coded> {
    let mut services = all(faults);
    if let Some(unknown) = names.iter().find(|name| !services.iter().any(|service| **service.name() == ***name)) {
        let known: Vec<&str> = services.iter().map(|service| &**service.name()).collect();
        let message = format!("the shop has no service {unknown}; it has {}", known.join(", "));
        return Err(Coded::new(Code::UNKNOWN_NAME, message));
    }
    services.retain(|service| names.is_empty() || names.iter().any(|name| **name == **service.name()));
    Ok(services)
}

#[cfg(test)]
mod tests;
