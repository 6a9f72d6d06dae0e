//! Records on their way into a transaction, and its end.

use std::ffi::{CString, c_void};
use std::ptr::null;
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::bindings as sys;
use rdkafka::client::Client;
use rdkafka::error::RDKafkaErrorCode;
use tidemill_core::headers;

use super::c_name;
use crate::failure::Failure;

/// The earliest time of a record: to librdkafka 0 means now, and Kafka has no times before the epoch.
const EARLIEST_MILLIS: i64 = 1;

/// A topic that records go to, by the name that C wants.
pub(crate) struct Target(CString);

impl Target {
    pub(crate) fn new(topic: &str) -> Self {
        Self(c_name(topic))
    }
}

/// A record on its way out.
pub(crate) struct Outgoing<'a> {
    pub(crate) target: &'a Target,
    pub(crate) partition: u32,
    /// Milliseconds since the epoch; what has no time to Kafka goes under the first one that it has.
    pub(crate) timestamp: i64,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    /// The encoded block of the headers.
    pub(crate) headers: &'a [u8],
}

impl Outgoing<'_> {
    /// The bytes of key, value and headers.
    pub(crate) fn size(&self) -> usize {
        self.key.map_or(0, <[u8]>::len) + self.value.map_or(0, <[u8]>::len) + self.headers.len()
    }
}

fn value(kind: sys::rd_kafka_vtype_t, bytes: Option<&[u8]>) -> sys::rd_kafka_vu_t {
    let (at, size) = bytes.map_or((null(), 0), |bytes| (bytes.as_ptr(), bytes.len()));
    let mem = sys::rd_kafka_vu_s__bindgen_ty_1__bindgen_ty_1 { ptr: at.cast_mut().cast(), size };
    sys::rd_kafka_vu_t { vtype: kind, u: sys::rd_kafka_vu_s__bindgen_ty_1 { mem } }
}

/// Hands a record to the producer, which copies it.
pub(crate) fn produce<C: ClientContext>(client: &Client<C>, record: &Outgoing<'_>) -> Result<(), Failure> {
    use sys::rd_kafka_vtype_t as Kind;
    type Field = sys::rd_kafka_vu_s__bindgen_ty_1;
    let field = |vtype, u| sys::rd_kafka_vu_t { vtype, u };
    let partition = i32::try_from(record.partition).unwrap_or(i32::MAX);
    let mut fields = [field(Kind::RD_KAFKA_VTYPE_END, Field { i: 0 }); 7];
    fields[0] = field(Kind::RD_KAFKA_VTYPE_TOPIC, Field { cstr: record.target.0.as_ptr() });
    fields[1] = field(Kind::RD_KAFKA_VTYPE_PARTITION, Field { i32_: partition });
    fields[2] = field(Kind::RD_KAFKA_VTYPE_TIMESTAMP, Field { i64_: record.timestamp.max(EARLIEST_MILLIS) });
    fields[3] = field(Kind::RD_KAFKA_VTYPE_MSGFLAGS, Field { i: sys::RD_KAFKA_MSG_F_COPY });
    fields[4] = value(Kind::RD_KAFKA_VTYPE_KEY, record.key);
    fields[5] = value(Kind::RD_KAFKA_VTYPE_VALUE, record.value);
    let list = if record.headers.is_empty() { None } else { Some(list(record.headers)) };
    let count = if let Some(list) = list {
        fields[6] = field(Kind::RD_KAFKA_VTYPE_HEADERS, Field { headers: list });
        7
    } else {
        6
    };
    // SAFETY: every field points to what lives until the call returns, and the bytes are copied. The list of headers is taken
    // over where the call succeeds.
    unsafe {
        let error = sys::rd_kafka_produceva(client.native_ptr(), fields.as_ptr(), count);
        if error.is_null() {
            return Ok(());
        }
        if let Some(list) = list {
            sys::rd_kafka_headers_destroy(list);
        }
        Err(failure(error))
    }
}

/// The headers as librdkafka wants them.
fn list(block: &[u8]) -> *mut sys::rd_kafka_headers_t {
    // SAFETY: names and values are copied with their lengths; a list that grows needs nothing else.
    unsafe {
        let list = sys::rd_kafka_headers_new(headers::iter(block).count());
        for (name, value) in headers::iter(block) {
            let at = value.map_or(null(), <[u8]>::as_ptr);
            let (name_size, size) = (signed(name.len()), signed(value.map_or(0, <[u8]>::len)));
            sys::rd_kafka_header_add(list, name.as_ptr().cast(), name_size, at.cast::<c_void>(), size);
        }
        list
    }
}

fn signed(length: usize) -> isize {
    isize::try_from(length).expect("nothing in memory is larger")
}

/// Sends what was produced, and waits for it. Tells whether nothing is on its way any more. Deliveries that succeed are not
/// reported (`delivery.report.only.error`); those that fail are, and count until the producer is polled.
pub(crate) fn flush<C: ClientContext>(client: &Client<C>, patience: Duration) -> bool {
    // SAFETY: the client is alive.
    let answer = unsafe { sys::rd_kafka_flush(client.native_ptr(), millis(patience)) };
    answer == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR
}

/// How many records were produced and are not delivered, or not reported as refused.
pub(crate) fn waiting<C: ClientContext>(client: &Client<C>) -> usize {
    // SAFETY: the client is alive.
    let count = unsafe { sys::rd_kafka_outq_len(client.native_ptr()) };
    usize::try_from(count).unwrap_or_default()
}

fn millis(patience: Duration) -> i32 {
    i32::try_from(patience.as_millis()).unwrap_or(i32::MAX)
}

/// Commits the transaction, all of whose records were delivered.
pub(crate) fn commit<C: ClientContext>(client: &Client<C>, patience: Duration) -> Result<(), Failure> {
    // SAFETY: the client is alive; the error that comes back is ours.
    unsafe {
        let error = sys::rd_kafka_commit_transaction(client.native_ptr(), millis(patience));
        if error.is_null() { Ok(()) } else { Err(failure(error)) }
    }
}

/// Reads an error and destroys it.
///
/// # Safety
///
/// `error` has to be one that librdkafka gave away.
unsafe fn failure(error: *mut sys::rd_kafka_error_t) -> Failure {
    // SAFETY: the caller's promise; the text is copied before the error goes.
    unsafe {
        let text = std::ffi::CStr::from_ptr(sys::rd_kafka_error_string(error)).to_string_lossy().into_owned();
        let failure = Failure {
            code: RDKafkaErrorCode::from(sys::rd_kafka_error_code(error)),
            text,
            is_fatal: sys::rd_kafka_error_is_fatal(error) != 0,
            is_retriable: sys::rd_kafka_error_is_retriable(error) != 0,
            wants_abort: sys::rd_kafka_error_txn_requires_abort(error) != 0,
        };
        sys::rd_kafka_error_destroy(error);
        failure
    }
}
