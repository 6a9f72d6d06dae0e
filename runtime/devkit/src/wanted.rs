//! Which real parts tests use, as the environment says.

use std::env;
use std::io::Write;

/// Says which Kafka tests use: an address, or `local` for one that they start. Without it they skip.
pub(crate) const VARIABLE: &str = "TIDEMILL_TEST_KAFKA";
/// The value that asks for parts of our own.
pub(crate) const LOCAL: &str = "local";

/// What the variable says.
pub(crate) fn wanted() -> String {
    env::var(VARIABLE).unwrap_or_default()
}

/// Whether a test starts its own parts; where it does not, that is said.
pub(crate) fn is_local(what: &str) -> bool {
    let is_local = wanted() == LOCAL;
    if !is_local {
        skip(what, "`local`");
    }
    is_local
}

/// Says so on standard error itself, which is seen also when the test passes.
pub(crate) fn skip(what: &str, needed: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {what} needs {VARIABLE} to be {needed}");
}
