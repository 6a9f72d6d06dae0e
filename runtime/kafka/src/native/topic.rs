//! What a broker says of a topic, its own id with it.

use std::ffi::CStr;
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::bindings as sys;
use rdkafka::client::Client;
use rdkafka::error::RDKafkaErrorCode;
use tidemill_core::ports::TopicInfo;

use super::answer::answered;
use super::c_name;
use crate::failure::Failure;

/// What a broker says of a topic.
pub(crate) struct Description {
    pub(crate) info: TopicInfo,
    /// Whether who asks may do so. A broker that does not tell allows it.
    pub(crate) may_read: bool,
    pub(crate) may_write: bool,
}

/// Asks for a topic; `None` for one that does not exist.
pub(crate) fn describe<C: ClientContext>(
    client: &Client<C>,
    topic: &str,
    patience: Duration,
) -> Result<Option<Description>, Failure> {
    let name = c_name(topic);
    let patience = i32::try_from(patience.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: everything that is made here is destroyed here, after the last look at what belongs to it.
    unsafe {
        let mut names = [name.as_ptr()];
        let topics = sys::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len());
        let options = sys::rd_kafka_AdminOptions_new(
            client.native_ptr(),
            sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS,
        );
        sys::rd_kafka_AdminOptions_set_request_timeout(options, patience, std::ptr::null_mut(), 0);
        sys::rd_kafka_AdminOptions_set_include_authorized_operations(options, 1);
        let queue = sys::rd_kafka_queue_new(client.native_ptr());
        sys::rd_kafka_DescribeTopics(client.native_ptr(), topics, options, queue);
        let event = sys::rd_kafka_queue_poll(queue, -1);
        let answer = read(event);
        sys::rd_kafka_event_destroy(event);
        sys::rd_kafka_queue_destroy(queue);
        sys::rd_kafka_AdminOptions_destroy(options);
        sys::rd_kafka_TopicCollection_destroy(topics);
        answer
    }
}

/// # Safety
///
/// `event` has to be the answer to a description of one topic.
unsafe fn read(event: *mut sys::rd_kafka_event_t) -> Result<Option<Description>, Failure> {
    // SAFETY: what is read belongs to the event, which the caller destroys later.
    unsafe {
        answered(event)?;
        let mut count = 0;
        let result = sys::rd_kafka_event_DescribeTopics_result(event);
        let topics = sys::rd_kafka_DescribeTopics_result_topics(result, &raw mut count);
        if topics.is_null() || count == 0 {
            return Ok(None);
        }
        let topic = *topics;
        let error = sys::rd_kafka_TopicDescription_error(topic);
        if !error.is_null() {
            match RDKafkaErrorCode::from(sys::rd_kafka_error_code(error)) {
                RDKafkaErrorCode::NoError => {}
                RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::InvalidTopic => return Ok(None),
                code => {
                    let text = sys::rd_kafka_error_string(error);
                    return Err(Failure::new(code, CStr::from_ptr(text).to_string_lossy()));
                }
            }
        }
        let mut partitions = 0;
        sys::rd_kafka_TopicDescription_partitions(topic, &raw mut partitions);
        let id = sys::rd_kafka_Uuid_base64str(sys::rd_kafka_TopicDescription_topic_id(topic));
        let id = CStr::from_ptr(id).to_string_lossy();
        let info = TopicInfo { partitions: u32::try_from(partitions).unwrap_or(u32::MAX), id: id.as_ref().into() };
        let mut count = 0;
        let allowed = sys::rd_kafka_TopicDescription_authorized_operations(topic, &raw mut count);
        let allowed = if allowed.is_null() { None } else { Some(std::slice::from_raw_parts(allowed, count)) };
        let may = |operation| allowed.is_none_or(|allowed| allowed.contains(&operation));
        let may_read = may(sys::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_READ);
        let may_write = may(sys::rd_kafka_AclOperation_t::RD_KAFKA_ACL_OPERATION_WRITE);
        Ok(Some(Description { info, may_read, may_write }))
    }
}
