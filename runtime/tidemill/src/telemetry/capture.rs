//! Log lines of this thread that are told elsewhere: those of a unit that is replayed.

use std::cell::RefCell;
use std::fmt::Write;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Lines that are kept of one unit.
const MOST_LINES: usize = 1_000;

thread_local! {
    static LINES: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Captures what this thread logs, until it is dropped.
pub(crate) struct Capture(());

/// From here on, what this thread logs is not written but captured.
pub(crate) fn capture() -> Capture {
    LINES.set(Some(Vec::new()));
    Capture(())
}

impl Drop for Capture {
    fn drop(&mut self) {
        LINES.set(None);
    }
}

/// What was captured since it was asked last.
pub(crate) fn captured() -> Vec<String> {
    LINES.with_borrow_mut(|lines| lines.as_mut().map(std::mem::take).unwrap_or_default())
}

/// Whether this thread's log is captured. A thread that ends may log when it has nothing of its own any more.
pub(super) fn is_on() -> bool {
    LINES.try_with(|lines| lines.borrow().is_some()).unwrap_or(false)
}

/// The layer that captures.
pub(super) struct Captures;

impl<S: Subscriber> Layer<S> for Captures {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if !is_on() {
            return;
        }
        LINES.with_borrow_mut(|lines| {
            if let Some(lines) = lines.as_mut().filter(|lines| lines.len() < MOST_LINES) {
                let mut line = Line(event.metadata().level().to_string());
                event.record(&mut line);
                lines.push(line.0);
            }
        });
    }
}

/// One line: the level, the message and its fields.
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        // Writing to a string cannot fail.
        let _ = match field.name() {
            "message" => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}
