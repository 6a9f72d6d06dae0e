//! Kafka for tests, as the environment says.

use std::sync::OnceLock;

use super::{Kafka, Options};
use crate::wanted::{KAFKA, LOCAL, is_local, skip, wanted};

/// The address (`HOST:PORT`) of the Kafka that this process's tests share: the one that `TIDEMILL_TEST_KAFKA` names, or, if that
/// is `local`, one that is started at the first call and ends with the process. Where the variable is not set, a line that
/// begins with `SKIPPED:` says that `what` was not tried, and the test has to return. Panics if Kafka cannot be started.
pub fn for_tests(what: &str) -> Option<&'static str> {
    static SHARED: OnceLock<(String, Option<Kafka>)> = OnceLock::new();
    let wanted = wanted(KAFKA);
    if wanted.is_empty() {
        skip(KAFKA, what, "an address or `local`");
        return None;
    }
    let (address, _) = SHARED.get_or_init(|| {
        if wanted == LOCAL {
            let kafka = start(&Options::default());
            (kafka.address(), Some(kafka))
        } else {
            (wanted, None)
        }
    });
    Some(address)
}

/// A Kafka that one test has for itself, to be killed, restarted or given settings. It is started only where
/// `TIDEMILL_TEST_KAFKA` is `local`; elsewhere the test is skipped, as in [`for_tests`].
pub fn own_for_tests(what: &str, options: &Options) -> Option<Kafka> {
    is_local(KAFKA, what).then(|| start(options))
}

fn start(options: &Options) -> Kafka {
    Kafka::start(options).unwrap_or_else(|error| panic!("the Kafka of the tests does not start: {error}"))
}
