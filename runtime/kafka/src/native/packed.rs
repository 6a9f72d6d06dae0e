//! A topic whose records are packed on their way.

use std::ptr::{NonNull, null_mut};

use rdkafka::ClientContext;
use rdkafka::bindings as sys;
use rdkafka::client::Client;

use super::c_name;

/// Makes a client pack the records of one topic, whatever it does with those of others, for as long as this is held. It has to be
/// dropped before the client.
pub(crate) struct Packed(NonNull<sys::rd_kafka_topic_t>);

// SAFETY: librdkafka counts references to a topic under a lock of its own, and nothing else is done with it here.
unsafe impl Send for Packed {}

impl Packed {
    /// Nothing where the client does not know the name of the codec, or used the topic before.
    pub(crate) fn new<C: ClientContext>(client: &Client<C>, topic: &str, codec: &str) -> Option<Self> {
        let (topic, codec) = (c_name(topic), c_name(codec));
        // SAFETY: the client is alive. The settings are ours until they are given away with the call that makes the topic; one that
        // fails leaves them ours.
        unsafe {
            let settings = sys::rd_kafka_default_topic_conf_dup(client.native_ptr());
            let name = c"compression.codec".as_ptr();
            let known = sys::rd_kafka_topic_conf_set(settings, name, codec.as_ptr(), null_mut(), 0);
            if known != sys::rd_kafka_conf_res_t::RD_KAFKA_CONF_OK {
                sys::rd_kafka_topic_conf_destroy(settings);
                return None;
            }
            let made = NonNull::new(sys::rd_kafka_topic_new(client.native_ptr(), topic.as_ptr(), settings));
            if made.is_none() {
                sys::rd_kafka_topic_conf_destroy(settings);
            }
            made.map(Self)
        }
    }
}

impl Drop for Packed {
    fn drop(&mut self) {
        // SAFETY: it was given to us, and the client is still there.
        unsafe { sys::rd_kafka_topic_destroy(self.0.as_ptr()) }
    }
}
