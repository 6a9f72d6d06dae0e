//! Which units of a range are told.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tidemill_core::code::Coded;
use tidemill_core::headers;
use tidemill_core::replay::{Act, Coming, Look, Told, Wanted};

use crate::host::Stopwatch;
use crate::telemetry;

/// Which of the units of a range are told; all unless said otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Those of this key.
    pub key: Option<Vec<u8>>,
    /// Those of events of these types.
    pub types: Vec<String>,
    /// The one of the event with this id.
    pub id: Option<String>,
}

impl Selection {
    fn holds(&self, coming: &Coming<'_>) -> bool {
        let Some((_, record)) = coming.record else { return self.types.is_empty() && self.id.is_none() };
        let is_type = || {
            let event = record.headers.text(headers::TYPE);
            self.types.is_empty() || event.is_some_and(|event| self.types.iter().any(|wanted| wanted == event))
        };
        let is_it = || self.id.is_none() || record.headers.text(headers::ID) == self.id.as_deref();
        is_type() && is_it()
    }
}

/// Tells the selected units of a shard to whoever sees them.
pub(super) struct Selects<'s, S> {
    pub(super) selection: &'s Selection,
    pub(super) wanted: Wanted,
    /// Whether those that are not told run for what they leave in the state.
    pub(super) runs_others: bool,
    /// Whether lanes hold more than one key, so that none can be left out.
    pub(super) needs_all_keys: bool,
    /// How many units are behind.
    pub(super) behind: Arc<AtomicU64>,
    pub(super) sees: S,
    /// When the unit that runs began.
    pub(super) began: Stopwatch,
}

impl<S: FnMut(Told, Duration) -> Result<ControlFlow<()>, Coded>> Look for Selects<'_, S> {
    fn wants(&mut self, coming: &Coming<'_>) -> Act {
        let other = if self.runs_others { Act::Run } else { Act::Skip };
        if let Some(key) = &self.selection.key
            && coming.key != Some(key.as_slice())
        {
            return if self.needs_all_keys { other } else { Act::Skip };
        }
        if !coming.is_meant || !self.selection.holds(coming) {
            return other;
        }
        // What units logged that are not told is nobody's.
        drop(telemetry::captured());
        self.began = Stopwatch::start();
        Act::Tell(self.wanted)
    }

    fn by_key(&self) -> bool {
        self.selection.key.is_some()
    }

    fn see(&mut self, told: Told) -> Result<ControlFlow<()>, Coded> {
        (self.sees)(told, self.began.elapsed())
    }

    fn passed(&mut self, units: u64) {
        self.behind.fetch_add(units, Ordering::Relaxed);
    }
}
