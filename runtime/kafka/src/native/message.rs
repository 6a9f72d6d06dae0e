//! A record as librdkafka holds it.

use std::ffi::{CStr, c_char, c_void};
use std::ptr::{NonNull, null, null_mut};
use std::slice;

use rdkafka::bindings as sys;
use rdkafka::error::RDKafkaErrorCode;
use tidemill_core::headers;

/// A record, or an error that stands in a partition's queue in the place of one.
pub(crate) struct Message(NonNull<sys::rd_kafka_message_t>);

// SAFETY: a message belongs to whoever took it from its queue; librdkafka's reference counts behind it are atomic.
unsafe impl Send for Message {}

impl Message {
    /// Takes over a message that librdkafka handed out.
    pub(super) fn from_raw(raw: *mut sys::rd_kafka_message_t) -> Option<Self> {
        NonNull::new(raw).map(Self)
    }

    fn raw(&self) -> &sys::rd_kafka_message_t {
        // SAFETY: it is ours until drop destroys it.
        unsafe { self.0.as_ref() }
    }

    /// What stands here instead of a record.
    pub(crate) fn error(&self) -> Option<RDKafkaErrorCode> {
        let code = RDKafkaErrorCode::from(self.raw().err);
        (code != RDKafkaErrorCode::NoError).then_some(code)
    }

    /// The record's offset; of an end of a partition, the offset that comes next.
    pub(crate) fn offset(&self) -> u64 {
        u64::try_from(self.raw().offset).unwrap_or_default()
    }

    /// Milliseconds since the epoch.
    pub(crate) fn timestamp(&self) -> i64 {
        // SAFETY: the message is alive, and the kind of the timestamp is not asked for.
        unsafe { sys::rd_kafka_message_timestamp(self.0.as_ptr(), null_mut()) }
    }

    pub(crate) fn key(&self) -> Option<&[u8]> {
        let raw = self.raw();
        // SAFETY: librdkafka keeps the bytes for as long as the message.
        unsafe { bytes(raw.key, raw.key_len) }
    }

    pub(crate) fn value(&self) -> Option<&[u8]> {
        let raw = self.raw();
        // SAFETY: librdkafka keeps the bytes for as long as the message.
        unsafe { bytes(raw.payload, raw.len) }
    }

    /// The bytes of key and value.
    pub(crate) fn size(&self) -> usize {
        let raw = self.raw();
        raw.key_len + if raw.payload.is_null() { 0 } else { raw.len }
    }

    /// Appends the headers as a block of ours. A name that is no UTF-8 text is left out: a block has no place for it.
    pub(crate) fn write_headers(&self, block: &mut Vec<u8>) {
        let mut list = null_mut();
        // SAFETY: the list that comes back belongs to the message, which outlives this call.
        let answer = unsafe { sys::rd_kafka_message_headers(self.0.as_ptr(), &raw mut list) };
        if answer != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return;
        }
        for place in 0.. {
            let (mut name, mut value, mut length): (*const c_char, *const c_void, usize) = (null(), null(), 0);
            // SAFETY: the list is alive; a place behind its end is answered with an error.
            let answer =
                unsafe { sys::rd_kafka_header_get_all(list, place, &raw mut name, &raw mut value, &raw mut length) };
            if answer != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                return;
            }
            // SAFETY: a name ends with a zero, a value has its length, and both live as long as the list.
            let (name, value) = unsafe { (CStr::from_ptr(name), bytes(value, length)) };
            if let Ok(name) = name.to_str() {
                headers::write(block, name, value);
            }
        }
    }
}

/// The bytes at a place; none where the place is null.
///
/// # Safety
///
/// There have to be `length` bytes at `at`, which live and stay as they are for `'a`.
unsafe fn bytes<'a>(at: *const c_void, length: usize) -> Option<&'a [u8]> {
    // SAFETY: the caller's promise.
    (!at.is_null()).then(|| unsafe { slice::from_raw_parts(at.cast::<u8>(), length) })
}

impl Drop for Message {
    fn drop(&mut self) {
        // SAFETY: it is ours, and nobody looks at it any more.
        unsafe { sys::rd_kafka_message_destroy(self.0.as_ptr()) }
    }
}
