//! Waiting for another process, by the wall clock.

use std::thread;
use std::time::{Duration, Instant};

/// How long to wait before the next look.
const PAUSE: Duration = Duration::from_millis(20);

/// Looks again and again until there is an answer, for at most `limit`.
#[expect(clippy::disallowed_methods, reason = "it waits for a foreign process, which knows no clock but the wall's")]
pub(crate) fn until<T>(limit: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let begun = Instant::now();
    loop {
        let answer = look();
        if answer.is_some() || begun.elapsed() >= limit {
            return answer;
        }
        thread::sleep(PAUSE);
    }
}
