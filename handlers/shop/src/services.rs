//! The shop's services, by their names.

use tidemill::code::{Code, Coded};
use tidemill::service::ServiceBuilder;

use crate::options::Luck;

/// All services, in the order in which the events flow.
pub(crate) fn all(luck: Luck) -> Vec<ServiceBuilder> {
    vec![
        orders::service_with(luck.bug),
        inventory::service(),
        sales::service(),
        payments::service(luck.faults),
        shipping::service(luck.carriers),
        checkout::service(),
    ]
}

/// The services of these names, each once; all of them when no name is given. TM-0104 for a name that the shop does not have.
pub(crate) fn named(names: &[String], luck: Luck) -> Result<Vec<ServiceBuilder>, Coded> {
    let mut services = all(luck);
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
