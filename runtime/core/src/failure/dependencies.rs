//! Breakers: what handlers need from outside, and whether it is there.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use crate::time::Timestamp;

/// How many times in a row a dependency has to be away until it is left alone.
pub(super) const BREAKER_FAILURES: u32 = 5;
/// How long it is left alone before one record asks it again.
pub(super) const BREAKER_PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
struct Breaker {
    /// How often in a row it was away.
    failures: u32,
    /// When it may be asked again, while it is left alone.
    probe: Option<Timestamp>,
}

/// The breakers of one worker, by the places of its service's dependencies.
#[derive(Debug)]
pub(crate) struct Dependencies {
    names: Arc<[Arc<str>]>,
    breakers: RefCell<Vec<Breaker>>,
}

impl Dependencies {
    pub(crate) fn new(names: Arc<[Arc<str>]>) -> Self {
        let breakers = names.iter().map(|_| Breaker::default()).collect();
        Self { names, breakers: RefCell::new(breakers) }
    }

    /// The place of a dependency that some handler declares.
    pub(crate) fn place(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| **known == *name)
    }

    pub(crate) fn name(&self, place: usize) -> &str {
        &self.names[place]
    }

    /// Whether a unit that needs these may begin: all are there, or it is the one that asks.
    pub(crate) fn may_begin(&self, needs: &[usize], now: Timestamp) -> bool {
        let may = self.is_due(needs, now);
        let mut breakers = self.breakers.borrow_mut();
        for place in needs.iter().filter(|_| may) {
            if let Some(probe) = &mut breakers[*place].probe {
                *probe = now + BREAKER_PAUSE;
            }
        }
        may
    }

    /// Whether a unit that needs these may ask whether they are back.
    pub(crate) fn is_due(&self, needs: &[usize], now: Timestamp) -> bool {
        let breakers = self.breakers.borrow();
        needs.iter().all(|place| breakers[*place].probe.is_none_or(|probe| probe <= now))
    }

    /// Whether one of these is left alone.
    pub(crate) fn is_away(&self, needs: &[usize]) -> bool {
        let breakers = self.breakers.borrow();
        needs.iter().any(|place| breakers[*place].probe.is_some())
    }

    /// It was away. Tells whether that opens its breaker.
    pub(crate) fn failed(&self, place: usize, now: Timestamp) -> bool {
        let breaker = &mut self.breakers.borrow_mut()[place];
        breaker.failures += 1;
        let opens = breaker.failures >= BREAKER_FAILURES && breaker.probe.is_none();
        if opens || breaker.probe.is_some() {
            breaker.probe = Some(now + BREAKER_PAUSE);
        }
        opens
    }

    /// It was there. Tells whether that closes its breaker.
    pub(crate) fn succeeded(&self, place: usize) -> bool {
        let breaker = &mut self.breakers.borrow_mut()[place];
        breaker.failures = 0;
        breaker.probe.take().is_some()
    }

    /// When a unit that needs these may ask whether they are back; `None` where none is left alone.
    pub(crate) fn next_probe(&self, needs: &[usize]) -> Option<Timestamp> {
        let breakers = self.breakers.borrow();
        needs.iter().filter_map(|place| breakers[*place].probe).max()
    }
}
