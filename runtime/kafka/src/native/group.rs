//! What the cluster says of a group.

use std::ffi::CStr;
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::bindings as sys;
use rdkafka::client::Client;
use rdkafka::error::RDKafkaErrorCode;

use super::answer::answered;
use super::c_name;
use crate::failure::Failure;

/// How many members a group has at this moment. One that does not exist has none.
pub(crate) fn members<C: ClientContext>(client: &Client<C>, group: &str, patience: Duration) -> Result<usize, Failure> {
    let name = c_name(group);
    let patience = i32::try_from(patience.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: everything that is made here is destroyed here, after the last look at what belongs to it.
    unsafe {
        let mut names = [name.as_ptr()];
        let operation = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS;
        let options = sys::rd_kafka_AdminOptions_new(client.native_ptr(), operation);
        sys::rd_kafka_AdminOptions_set_request_timeout(options, patience, std::ptr::null_mut(), 0);
        let queue = sys::rd_kafka_queue_new(client.native_ptr());
        sys::rd_kafka_DescribeConsumerGroups(client.native_ptr(), names.as_mut_ptr(), names.len(), options, queue);
        let event = sys::rd_kafka_queue_poll(queue, -1);
        let answer = read(event);
        sys::rd_kafka_event_destroy(event);
        sys::rd_kafka_queue_destroy(queue);
        sys::rd_kafka_AdminOptions_destroy(options);
        answer
    }
}

/// # Safety
///
/// `event` has to be the answer to a description of one group.
unsafe fn read(event: *mut sys::rd_kafka_event_t) -> Result<usize, Failure> {
    // SAFETY: what is read belongs to the event, which the caller destroys later.
    unsafe {
        answered(event)?;
        let mut count = 0;
        let result = sys::rd_kafka_event_DescribeConsumerGroups_result(event);
        let groups = sys::rd_kafka_DescribeConsumerGroups_result_groups(result, &raw mut count);
        if groups.is_null() || count == 0 {
            return Ok(0);
        }
        let error = sys::rd_kafka_ConsumerGroupDescription_error(*groups);
        if !error.is_null() {
            match RDKafkaErrorCode::from(sys::rd_kafka_error_code(error)) {
                RDKafkaErrorCode::NoError => {}
                RDKafkaErrorCode::GroupIdNotFound => return Ok(0),
                code => {
                    let text = sys::rd_kafka_error_string(error);
                    return Err(Failure::new(code, CStr::from_ptr(text).to_string_lossy()));
                }
            }
        }
        Ok(sys::rd_kafka_ConsumerGroupDescription_member_count(*groups))
    }
}
