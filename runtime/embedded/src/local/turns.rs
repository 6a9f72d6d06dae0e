//! Transactions take turns, in the order in which they asked for one: a lock that whoever comes by may take would let some wait for
//! seconds.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use futures_channel::oneshot;

/// Who waits for a turn.
#[derive(Default)]
struct Queue {
    is_taken: bool,
    waiting: VecDeque<oneshot::Sender<Turn>>,
}

/// Gives out turns, one at a time.
#[derive(Default)]
pub(super) struct Turns(Mutex<Queue>);

/// A turn, which goes to the next one when it is dropped.
pub(super) struct Turn(Option<Arc<Turns>>);

impl Turns {
    /// Waits for a turn.
    pub(super) async fn take(self: &Arc<Self>) -> Turn {
        let waits = {
            let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if !queue.is_taken {
                queue.is_taken = true;
                return Turn(Some(Arc::clone(self)));
            }
            let (give, waits) = oneshot::channel();
            queue.waiting.push_back(give);
            waits
        };
        waits.await.expect("whoever has the turn hands it on")
    }

    /// The first of those that wait; none where nobody does, and whoever comes next need not.
    fn first(&self) -> Option<oneshot::Sender<Turn>> {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = queue.waiting.pop_front();
        queue.is_taken = first.is_some();
        first
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(turns) = self.0.take() else { return };
        while let Some(first) = turns.first() {
            // Who waits no more passes it on to the next.
            match first.send(Turn(Some(Arc::clone(&turns)))) {
                Ok(()) => return,
                Err(mut back) => drop(back.0.take()),
            }
        }
    }
}
