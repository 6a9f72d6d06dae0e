//! Runs futures on this thread, one poll at a time, with time that moves only when nobody has anything to do.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake};

use crate::fakes::VirtualClock;

/// What a fake throws to end the process that it pretends to be part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crash;

/// Nothing is woken, and nobody sleeps: whoever waits will wait for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stalled;

/// Whether a task was woken since it was last polled.
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

struct Task<'a, T> {
    future: Pin<Box<dyn Future<Output = T> + 'a>>,
    flag: Arc<Flag>,
}

/// What became of a task.
enum State<'a, T> {
    Running(Task<'a, T>),
    Ended(T),
    /// It crashed, by itself or by the test's hand.
    Gone,
}

/// Futures on this thread. A task is named by its number, in the order in which they came.
pub struct Executor<'a, T> {
    clock: Arc<VirtualClock>,
    tasks: Vec<State<'a, T>>,
    polls: u64,
}

/// Polls without a moment's sleep between them after which the tasks are said to spin.
const MOST_POLLS_AT_ONCE: u64 = 200_000;

impl<'a, T> Executor<'a, T> {
    /// No tasks yet.
    pub fn new(clock: Arc<VirtualClock>) -> Self {
        Self { clock, tasks: Vec::new(), polls: 0 }
    }

    /// Adds a task, to be polled.
    pub fn spawn(&mut self, future: impl Future<Output = T> + 'a) -> usize {
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        self.tasks.push(State::Running(Task { future: Box::pin(future), flag }));
        self.tasks.len() - 1
    }

    /// How often tasks were polled.
    pub fn polls(&self) -> u64 {
        self.polls
    }

    /// Drops a task where it stands.
    pub fn crash(&mut self, task: usize) {
        self.tasks[task] = State::Gone;
    }

    /// Whether a task is still there and has not ended.
    pub fn is_running(&self, task: usize) -> bool {
        matches!(self.tasks[task], State::Running(_))
    }

    /// What a task ended with.
    pub fn result(&self, task: usize) -> Option<&T> {
        match &self.tasks[task] {
            State::Ended(result) => Some(result),
            State::Running(_) | State::Gone => None,
        }
    }

    /// The tasks that were woken since they were last polled.
    pub fn woken(&self) -> impl Iterator<Item = usize> {
        self.tasks.iter().enumerate().filter_map(|(number, state)| match state {
            State::Running(task) => task.flag.0.load(Ordering::SeqCst).then_some(number),
            State::Ended(_) | State::Gone => None,
        })
    }

    /// Polls a task if it was woken. Tells whether it was.
    pub fn poll(&mut self, task: usize) -> bool {
        let state = &mut self.tasks[task];
        let State::Running(running) = state else { return false };
        if !running.flag.0.swap(false, Ordering::SeqCst) {
            return false;
        }
        self.polls += 1;
        let waker = Arc::clone(&running.flag).into();
        let polled = catch_unwind(AssertUnwindSafe(|| running.future.as_mut().poll(&mut Context::from_waker(&waker))));
        match polled {
            Ok(Poll::Pending) => {}
            Ok(Poll::Ready(result)) => *state = State::Ended(result),
            Err(payload) => {
                rethrow_unless_crash(payload);
                *state = State::Gone;
            }
        }
        true
    }

    /// Polls every task that was woken once. Tells whether there was any.
    pub fn turn(&mut self) -> bool {
        (0..self.tasks.len()).fold(false, |any, task| self.poll(task) | any)
    }

    /// Lets tasks run until none of them is woken; time stands still.
    pub fn settle(&mut self) {
        let begin = self.polls;
        while self.turn() {
            assert!(
                self.polls - begin < MOST_POLLS_AT_ONCE,
                "the tasks spin: they wake themselves and nothing changes"
            );
        }
    }

    /// Lets tasks run, and time pass, until `done`.
    pub fn run_until(&mut self, mut done: impl FnMut(&Self) -> bool) -> Result<(), Stalled> {
        let mut at_once = 0;
        while !done(self) {
            if self.turn() {
                at_once += 1;
                assert!(at_once < MOST_POLLS_AT_ONCE, "the tasks spin: they wake themselves and nothing changes");
                continue;
            }
            at_once = 0;
            let alarm = self.clock.next_alarm().ok_or(Stalled)?;
            self.clock.advance(alarm);
        }
        Ok(())
    }

    /// Lets tasks run, and time pass, until this one ended or crashed.
    pub fn run_to_end(&mut self, task: usize) -> Result<(), Stalled> {
        self.run_until(|executor| !executor.is_running(task))
    }
}

fn rethrow_unless_crash(payload: Box<dyn Any + Send>) {
    if !payload.is::<Crash>() {
        resume_unwind(payload);
    }
}

/// Runs one future to its end while time passes.
pub fn block_on<T>(clock: &Arc<VirtualClock>, future: impl Future<Output = T>) -> T {
    let mut executor = Executor::new(Arc::clone(clock));
    let task = executor.spawn(future);
    executor.run_to_end(task).expect("somebody wakes what it waits for");
    match executor.tasks.pop() {
        Some(State::Ended(result)) => result,
        _ => unreachable!("it ran to its end, and nobody crashes it"),
    }
}
