//! Whether something is done that changes what others see, who wants it, and why.

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use tidemill_core::internal::Order;
use tidemill_core::time::Timestamp;

use crate::host::Host;

/// Options of commands that do so, and record it.
#[derive(Debug, Args)]
pub(super) struct Decision {
    /// Do it. Without this, what would be done is shown and nothing is changed.
    #[arg(long, requires = "reason")]
    pub(super) execute: bool,
    /// Why; it is recorded.
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    pub(super) reason: Option<String>,
    /// Who wants it; it is recorded.
    #[arg(long, value_name = "NAME", env = "USER", hide_env_values = true, default_value = "unknown")]
    by: String,
}

impl Decision {
    /// What is recorded of it.
    pub(super) fn order(&self, now: Timestamp) -> Order {
        let reason = self.reason.clone().unwrap_or_default();
        Order { id: Host::new_id(), by: self.by.clone(), reason, at: now.as_millis() }
    }
}
