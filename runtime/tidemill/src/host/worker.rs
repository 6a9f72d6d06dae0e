//! One worker: an OS thread with its own event loop, which is one member of its service's group.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use futures_util::future::{Either, select};
use tidemill_core::code::{Code, Coded};
use tidemill_core::ports::{Blocking, Broker, Clock, Heartbeat, Observer, Schemas, Subscription};
use tidemill_core::service::Service;
use tidemill_core::worker::{Left, Ports, Worker};
use tokio::sync::{mpsc, watch};

use crate::host::event_loop;
use crate::host::machine::SplitMix;

/// How long to wait before a group is joined again whose broker did not answer.
const PAUSE: Duration = Duration::from_millis(200);

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
pub(super) fn start(post: Post, ended: mpsc::Sender<Ended>) -> JoinHandle<()> {
    let (service, thread) = (Arc::clone(post.service.name()), post.thread.clone());
    spawn(service, thread, move || work(&post), ended)
}

/// Starts a thread that does this work and tells its end.
#[expect(clippy::disallowed_methods, reason = "the composition root makes the workers' threads; Running joins them")]
pub(super) fn spawn(
    service: Arc<str>,
    thread: String,
    work: impl FnOnce() -> Result<Left, Coded> + Send + 'static,
    ended: mpsc::Sender<Ended>,
) -> JoinHandle<()> {
    let name = thread.clone();
    let run = move || {
        // What a panic leaves behind is dropped with the work; nothing of it is looked at again.
        let outcome = catch_unwind(AssertUnwindSafe(work));
        let outcome = outcome.unwrap_or_else(|panic| Err(panicked(&thread, &*panic)));
        // Nobody listens any more when Running was dropped.
        let _ = ended.try_send(Ended { service, thread, outcome });
    };
    let thread = std::thread::Builder::new().name(name).spawn(run);
    thread.expect("the system gives the process one thread for each configured worker")
}

fn work(post: &Post) -> Result<Left, Coded> {
    event_loop().block_on(async {
        let mut stop = post.stop.clone();
        // An error means that the sender is gone: a worker that nobody owns stops too.
        let mut stopped = pin!(async move { drop(stop.wait_for(|stop| *stop).await) });
        let worker = match select(pin!(open(post)), stopped.as_mut()).await {
            Either::Left((worker, _)) => worker?,
            Either::Right(_) => return Ok(Left::default()),
        };
        worker.run(stopped).await
    })
}

/// Joins the group. The cluster answered when the start was prepared, so one that does not answer now is waited for.
async fn open(post: &Post) -> Result<Worker, Coded> {
    let ports = Ports {
        clock: Arc::clone(&post.clock),
        random: Rc::new(SplitMix::seeded()),
        blocking: Arc::clone(&post.blocking),
        schemas: post.schemas.clone(),
        observer: Arc::clone(&post.observer),
        heartbeat: Arc::clone(&post.heartbeat),
    };
    loop {
        let (group, member) = (Arc::clone(post.service.name()), Arc::clone(&post.member));
        let topics = post.service.input_topics().cloned().collect();
        let opened = match post.broker.join(Subscription { group, member, topics }) {
            Ok(member) => Worker::open(Arc::clone(&post.service), member, &*post.broker, ports.clone()).await,
            Err(cause) => Err(cause),
        };
        match opened {
            Err(cause) if matches!(cause.code, Code::BROKER_UNREACHABLE | Code::DATABASE_UNREACHABLE) => {
                tracing::debug!(thread = post.thread, %cause, "the group cannot be joined yet");
                post.clock.sleep(PAUSE).await;
            }
            opened => return opened,
        }
    }
}

/// Panics of handlers are caught where they run; this one is a fault of the runtime, the store or an observer.
fn panicked(thread: &str, panic: &(dyn Any + Send)) -> Coded {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
    Coded::new(Code::WORKER_PANICKED, format!("worker {thread} panicked outside its handlers: {text}"))
}

#[cfg(test)]
mod tests;
