//! The queue of one partition, read by itself and not through the consumer's own.

use std::ffi::c_void;
use std::ptr::{NonNull, null_mut};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use rdkafka::bindings as sys;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};

use super::{Message, c_name};

/// Messages taken in one call, at most.
const MOST: usize = 1_000;

/// How a task that waits for several queues is woken.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    waker: AtomicWaker,
    news: AtomicBool,
}

impl Signal {
    /// Who polls next is woken.
    pub(crate) fn listen(&self, waker: &std::task::Waker) {
        self.waker.register(waker);
    }

    /// The group's client has something.
    pub(crate) fn tell(&self) {
        self.news.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Whether the group's client had something since this was asked last.
    pub(crate) fn take_news(&self) -> bool {
        self.news.swap(false, Ordering::AcqRel)
    }
}

/// What a queue does when the first message comes into it.
struct Bell {
    rang: AtomicBool,
    signal: Arc<Signal>,
}

extern "C" fn ring(_: *mut sys::rd_kafka_t, bell: *mut c_void) {
    // SAFETY: the bell belongs to a queue that takes this callback away before it lets the bell go.
    let bell = unsafe { &*bell.cast::<Bell>() };
    bell.rang.store(true, Ordering::Release);
    bell.signal.waker.wake();
}

/// One partition's queue. Messages come into it once the partition is assigned to the client.
pub(crate) struct Queue<C: ConsumerContext + 'static> {
    raw: NonNull<sys::rd_kafka_queue_t>,
    bell: Arc<Bell>,
    /// The queue has to go before its client.
    _client: Arc<BaseConsumer<C>>,
}

// SAFETY: librdkafka's queues take their own locks.
unsafe impl<C: ConsumerContext + 'static> Send for Queue<C> {}

impl<C: ConsumerContext + 'static> Queue<C> {
    /// Takes a partition's queue out of the consumer's own, which has to happen before the partition is assigned.
    pub(crate) fn open(client: &Arc<BaseConsumer<C>>, topic: &str, partition: i32, signal: &Arc<Signal>) -> Self {
        let (topic, bell) = (c_name(topic), Bell { rang: AtomicBool::new(true), signal: Arc::clone(signal) });
        let bell = Arc::new(bell);
        // SAFETY: the client is alive. Without a queue to forward to, the messages stay in this one. The bell outlives the
        // callback: drop takes the callback away first.
        let raw = unsafe {
            let raw = sys::rd_kafka_queue_get_partition(client.client().native_ptr(), topic.as_ptr(), partition);
            sys::rd_kafka_queue_forward(raw, null_mut());
            sys::rd_kafka_queue_cb_event_enable(raw, Some(ring), Arc::as_ptr(&bell).cast_mut().cast());
            raw
        };
        let raw = NonNull::new(raw).expect("a consumer makes the queue of any partition");
        Self { raw, bell, _client: Arc::clone(client) }
    }

    /// Whether messages may have come since the last time nothing was left.
    pub(crate) fn may_have(&self) -> bool {
        self.bell.rang.load(Ordering::Acquire)
    }

    /// Appends what is there to `into`; waits up to `patience` for the first message.
    pub(crate) fn take(&self, patience: Duration, into: &mut impl Extend<Message>) {
        self.bell.rang.store(false, Ordering::Release);
        let mut taken = [null_mut(); MOST];
        let patience = i32::try_from(patience.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: there is room for as many as are asked for; what comes is ours.
        let count = unsafe { sys::rd_kafka_consume_batch_queue(self.raw.as_ptr(), patience, taken.as_mut_ptr(), MOST) };
        let count = usize::try_from(count).unwrap_or_default();
        if count == MOST {
            // Nobody rings for what is left.
            self.bell.rang.store(true, Ordering::Release);
        }
        into.extend(taken[..count].iter().filter_map(|raw| Message::from_raw(*raw)));
    }
}

impl<C: ConsumerContext + 'static> Drop for Queue<C> {
    fn drop(&mut self) {
        // SAFETY: after the first call nobody rings the bell any more: librdkafka rings under the lock that it takes.
        unsafe {
            sys::rd_kafka_queue_cb_event_enable(self.raw.as_ptr(), None, null_mut());
            sys::rd_kafka_queue_destroy(self.raw.as_ptr());
        }
    }
}
