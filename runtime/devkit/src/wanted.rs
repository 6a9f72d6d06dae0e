//! Which real parts tests use, as the environment says.

use std::env;
use std::io::Write;

/// Says which Kafka tests use: an address, or `local` for one that they start. Without it they skip.
pub(crate) const KAFKA: &str = "TIDEMILL_TEST_KAFKA";
/// Says the same of Postgres, with a URL.
pub(crate) const POSTGRES: &str = "TIDEMILL_TEST_POSTGRES";
/// The value that asks for parts of our own.
pub(crate) const LOCAL: &str = "local";

/// What the variable says.
pub(crate) fn wanted(variable: &str) -> String {
    env::var(variable).unwrap_or_default()
}

/// Whether a test starts its own parts; where it does not, that is said.
pub(crate) fn is_local(variable: &str, what: &str) -> bool {
    let is_local = wanted(variable) == LOCAL;
    if !is_local {
        skip(variable, what, "`local`");
    }
    is_local
}

/// Says so on standard error itself, which is seen also when the test passes.
pub(crate) fn skip(variable: &str, what: &str, needed: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {what} needs {variable} to be {needed}");
}
