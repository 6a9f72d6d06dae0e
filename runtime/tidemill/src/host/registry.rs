//! From configuration to a registry of schemas.

use std::sync::Arc;

use tidemill_core::code::{Code, Coded};
use tidemill_core::ports::{Blocking, Clock, Schemas};
use tidemill_schema::registry::{Login, Registry, Settings};

use crate::config::Configuration;
use crate::host::broker::state_folder;
use crate::host::machine::SplitMix;

/// The folder with what a registry answered, beside the state of services.
const FOLDER: &str = "schemas";

/// The registry that the configuration names, if it names one. Nothing is asked yet.
pub(super) fn open(
    configuration: &Configuration,
    clock: &Arc<dyn Clock>,
    blocking: &Arc<dyn Blocking>,
) -> Result<Option<Arc<dyn Schemas>>, Coded> {
    let given = |key: &str| configuration.given(key).map(str::to_owned);
    let Some(url) = given("registry.url") else { return Ok(None) };
    let login = match (given("registry.user"), given("registry.password")) {
        (Some(user), Some(password)) => Some(Login { user, password }),
        (None, None) => None,
        (user, _) => {
            let (one, other) = if user.is_some() { ("user", "password") } else { ("password", "user") };
            let message = format!("registry.{one} is set, and registry.{other} is not; give both or none");
            return Err(Coded::new(Code::BAD_VALUE, message));
        }
    };
    let settings = Settings {
        url,
        login,
        allow_plaintext_password: configuration.text("registry.allow_plaintext_password") == "true",
        register: configuration.text("registry.register") == "missing",
        cache: state_folder(configuration).map(|folder| folder.join(FOLDER)),
    };
    let random = Box::new(SplitMix::seeded());
    Ok(Some(Arc::new(Registry::open(settings, Arc::clone(clock), Arc::clone(blocking), random)?)))
}

#[cfg(test)]
mod tests;
