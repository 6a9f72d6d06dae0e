//! A replay that somebody waits for.

use std::io::IsTerminal;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::{Either, select};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tidemill_core::code::Coded;
use tidemill_core::ports::Clock;

use crate::replay::Replay;

/// How often the progress bar is drawn.
const TICK: Duration = Duration::from_millis(200);

/// Runs the work of a replay, and shows how far it is on standard error, where that is a terminal.
pub(super) async fn watched<T>(
    clock: &dyn Clock,
    replay: &Replay,
    work: impl Future<Output = Result<T, Coded>>,
) -> Result<T, Coded> {
    let target =
        if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
    let style = ProgressStyle::with_template("{human_pos} of {human_len} units, {per_sec}, {eta} left")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::with_draw_target(Some(0), target).with_style(style);
    let (behind, whole) = replay.progress();
    let ticks = async {
        loop {
            clock.sleep(TICK).await;
            bar.set_length(whole.load(Ordering::Relaxed));
            bar.set_position(behind.load(Ordering::Relaxed));
        }
    };
    let done = match select(pin!(work), pin!(ticks)).await {
        Either::Left((done, _)) => done,
        Either::Right(((), _)) => unreachable!("it ticks for ever"),
    };
    bar.finish_and_clear();
    done
}
