//! Where librdkafka is called without a safe wrapper around it. Everything that is `unsafe` in the project is below here.

#![expect(unsafe_code, reason = "librdkafka is a C library; each block says why it holds")]

mod answer;
mod group;
mod memory;
mod message;
mod packed;
mod produce;
mod queue;
mod token;
mod topic;

use std::ffi::CString;

use rdkafka::ClientContext;
use rdkafka::bindings as sys;
use rdkafka::client::Client;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};

pub(crate) use group::members;
pub(crate) use memory::share_pools;
pub(crate) use message::Message;
pub(crate) use packed::Packed;
pub(crate) use produce::{Outgoing, Target, commit, flush, produce, waiting};
pub(crate) use queue::{Queue, Signal};
pub(crate) use token::give_token;
pub(crate) use topic::{Description, describe};

/// A topic's name as C wants it. A name with a zero byte names no topic.
fn c_name(name: &str) -> CString {
    CString::new(name).unwrap_or_default()
}

/// The generation (classic) or epoch (KIP-848) of a consumer's membership; negative for one that is no member.
pub(crate) fn generation<C: ConsumerContext>(consumer: &BaseConsumer<C>) -> i32 {
    let client: &Client<C> = rdkafka::consumer::Consumer::client(consumer);
    generation_of(client)
}

fn generation_of<C: ClientContext>(client: &Client<C>) -> i32 {
    // SAFETY: the client lives for as long as the reference; what is returned is ours to destroy, and read before that.
    unsafe {
        let metadata = sys::rd_kafka_consumer_group_metadata(client.native_ptr());
        if metadata.is_null() {
            return -1;
        }
        let generation = sys::rd_kafka_consumer_group_metadata_generation_id(metadata);
        sys::rd_kafka_consumer_group_metadata_destroy(metadata);
        generation
    }
}
