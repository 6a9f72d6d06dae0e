//! One worker: an OS thread with its own event loop, which is one member of its service's group.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;

use tidemill_core::code::{Code, Coded};
use tidemill_core::ports::{Blocking, Broker, Clock, Heartbeat, Observer, Schemas, Subscription};
use tidemill_core::service::Service;
use tidemill_core::worker::{Left, Ports, Worker};
use tokio::runtime::Builder;
use tokio::sync::{mpsc, watch};

use crate::host::machine::SplitMix;

/// What a worker starts with.
pub(super) struct Post {
    pub(super) service: Arc<Service>,
    /// The thread's name: the service and the worker's number.
    pub(super) thread: String,
    /// The member's name in the group: the instance and the worker's number.
    pub(super) member: Arc<str>,
    pub(super) broker: Arc<dyn Broker>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) blocking: Arc<dyn Blocking>,
    pub(super) schemas: Option<Arc<dyn Schemas>>,
    pub(super) observer: Arc<dyn Observer>,
    pub(super) heartbeat: Arc<Heartbeat>,
    /// Turns true, or loses its sender, when the worker has to drain and leave.
    pub(super) stop: watch::Receiver<bool>,
}

/// How a worker ended.
pub(super) struct Ended {
    pub(super) service: Arc<str>,
    pub(super) thread: String,
    pub(super) outcome: Result<Left, Coded>,
}

/// Starts a worker, which tells its end on `ended`. There is room for one message of each worker.
#[expect(clippy::disallowed_methods, reason = "the composition root makes the workers' threads; Running joins them")]
pub(super) fn start(post: Post, ended: mpsc::Sender<Ended>) -> JoinHandle<()> {
    let name = post.thread.clone();
    let run = move || {
        let (service, thread) = (Arc::clone(post.service.name()), post.thread.clone());
        // What a panic leaves behind is dropped with the post; nothing of it is looked at again.
        let outcome = catch_unwind(AssertUnwindSafe(|| work(post)));
        let outcome = outcome.unwrap_or_else(|panic| Err(panicked(&thread, &*panic)));
        // Nobody listens any more when Running was dropped.
        let _ = ended.try_send(Ended { service, thread, outcome });
    };
    let thread = std::thread::Builder::new().name(name).spawn(run);
    thread.expect("the system gives the process one thread for each configured worker")
}

fn work(post: Post) -> Result<Left, Coded> {
    let runtime = Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime with timers only needs nothing of the system");
    runtime.block_on(async {
        let Post { service, member, broker, clock, blocking, schemas, observer, heartbeat, mut stop, .. } = post;
        let ports = Ports { clock, random: Rc::new(SplitMix::seeded()), blocking, schemas, observer, heartbeat };
        let topics = service.input_topics().cloned().collect();
        let member = broker.join(Subscription { group: Arc::clone(service.name()), member, topics })?;
        let worker = Worker::open(service, member, &*broker, ports).await?;
        // An error means that the sender is gone: a worker that nobody owns stops too.
        worker.run(async move { drop(stop.wait_for(|stop| *stop).await) }).await
    })
}

/// Panics of handlers are caught where they run; this one is a fault of the runtime, the store or an observer.
fn panicked(thread: &str, panic: &(dyn Any + Send)) -> Coded {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
    Coded::new(Code::WORKER_PANICKED, format!("worker {thread} panicked outside its handlers: {text}"))
}
