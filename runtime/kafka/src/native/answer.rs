//! What an answer to a question says of itself.

use std::ffi::CStr;

use rdkafka::bindings as sys;
use rdkafka::error::RDKafkaErrorCode;

use crate::failure::Failure;

/// Whether the question as a whole was answered.
///
/// # Safety
///
/// `event` has to be alive.
pub(super) unsafe fn answered(event: *mut sys::rd_kafka_event_t) -> Result<(), Failure> {
    // SAFETY: the text belongs to the event and is copied.
    unsafe {
        let code = RDKafkaErrorCode::from(sys::rd_kafka_event_error(event));
        if code == RDKafkaErrorCode::NoError {
            return Ok(());
        }
        let text = sys::rd_kafka_event_error_string(event);
        Err(Failure::new(code, CStr::from_ptr(text).to_string_lossy()))
    }
}
