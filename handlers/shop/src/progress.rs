//! How far the shop is: a bar on a terminal, a line every second otherwise; both on stderr.

use std::io::{IsTerminal, Write, stderr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tidemill::ports::{Committed, Observer};

/// How often the bar is drawn, and how often a line is written where there is no terminal.
const DRAW_EVERY: Duration = Duration::from_millis(100);
const WRITE_EVERY: Duration = Duration::from_secs(1);

/// What was done so far. Counting costs the workers one addition for each commit; drawing is another thread's work.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    lines: AtomicU64,
    events: AtomicU64,
}

impl Counts {
    /// So many lines of the input are published.
    pub(crate) fn published(&self, lines: u64) {
        self.lines.store(lines, Ordering::Relaxed);
    }
}

impl Observer for Counts {
    fn committed(&self, commit: Committed) {
        self.events.fetch_add(commit.units as u64, Ordering::Relaxed);
    }
}

/// How much there is to do: lines of the input, and the events that services will make of them, if they run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Work {
    pub(crate) lines: u64,
    pub(crate) events: u64,
}

/// Shows how far the counts are until it is dropped.
pub(crate) struct Progress {
    /// Dropped to end the thread.
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Begins to show.
    pub(crate) fn show(work: Work, counts: &Arc<Counts>) -> Self {
        let counts = Arc::clone(counts);
        let (stop, stopped) = sync_channel(0);
        let on_terminal = stderr().is_terminal();
        let show = move || {
            let bar = on_terminal.then(|| bar(work));
            let every = if on_terminal { DRAW_EVERY } else { WRITE_EVERY };
            while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                tell(work, &counts, bar.as_ref());
            }
            match bar {
                Some(bar) => bar.finish_and_clear(),
                None => tell(work, &counts, None),
            }
        };
        #[expect(clippy::disallowed_methods, reason = "the shop is a program: drawing must not hold its workers up")]
        let thread = std::thread::Builder::new().name("progress".into()).spawn(show).ok();
        Self { stop: Some(stop), thread }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A thread that panicked while it drew has said so itself.
            let _ = thread.join();
        }
    }
}

fn bar(work: Work) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {percent:>3} %  {msg}").expect("a correct template");
    ProgressBar::new(work.lines + work.events).with_style(style)
}

fn tell(work: Work, counts: &Counts, bar: Option<&ProgressBar>) {
    let (lines, events) = (counts.lines.load(Ordering::Relaxed), counts.events.load(Ordering::Relaxed));
    let text = text(work, lines, events);
    match bar {
        Some(bar) => {
            bar.set_position((lines + events).min(work.lines + work.events));
            bar.set_message(text);
        }
        // Nobody reads it: no reason to end.
        None => drop(writeln!(stderr(), "{text}")),
    }
}

fn text(work: Work, lines: u64, events: u64) -> String {
    let published = format!("{lines} of {} lines published", work.lines);
    if work.events == 0 { published } else { format!("{published}, {events} events handled") }
}
