//! What went wrong, as RFC 9457 has it.

use std::error::Error as _;

use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tidemill::code::Coded;
use utoipa::ToSchema;

use crate::order::Fault;
use crate::store::Error;

/// Seconds after which a client may ask again.
const AGAIN: u32 = 1;

/// What went wrong (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// Which kind of problem it is. `about:blank` where the status says it all.
    #[serde(rename = "type")]
    #[schema(example = "/problems/key-of-another-order")]
    kind: &'static str,
    /// The same in words, which are always the same.
    title: &'static str,
    /// The status of the answer.
    #[serde(serialize_with = "number")]
    #[schema(value_type = u16)]
    status: StatusCode,
    /// What is to be said of this request.
    detail: String,
    /// The error code of the runtime, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "TM-0801")]
    code: Option<String>,
    /// Everything in the body that cannot be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Fault>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
fn number<S: serde::Serializer>(status: &StatusCode, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u16(status.as_u16())
}

impl Problem {
    fn new(status: StatusCode, kind: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self { kind, title, status, detail: detail.into(), code: None, errors: Vec::new() }
    }

    /// One of which the status says everything.
    fn plain(status: StatusCode, detail: impl Into<String>) -> Self {
        Self::new(status, "about:blank", status.canonical_reason().unwrap_or_default(), detail)
    }

    pub(super) fn no_key() -> Self {
        let detail =
            "an order is placed with a header Idempotency-Key, so that it can be sent again; see /openapi.json";
        Self::new(StatusCode::BAD_REQUEST, "/problems/no-key", "Idempotency-Key is missing", detail)
    }

    pub(super) fn unfit_key(why: &str) -> Self {
        let detail = format!("{why}; see /openapi.json");
        Self::new(StatusCode::BAD_REQUEST, "/problems/unfit-key", "Idempotency-Key cannot be used", detail)
    }

    pub(super) fn not_json() -> Self {
        Self::plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, "an order is sent as application/json")
    }

    pub(super) fn unreadable(rejection: &BytesRejection, largest: usize) -> Self {
        let status = rejection.status();
        if status == StatusCode::PAYLOAD_TOO_LARGE {
            return Self::plain(status, format!("a body has up to {largest} bytes"));
        }
        let cause = rejection.source().map_or_else(String::new, |cause| format!(": {cause}"));
        Self::plain(status, format!("the body did not come{cause}"))
    }

    pub(super) fn no_order(error: &serde_json::Error) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "/problems/no-order", "The body is no order", error.to_string())
    }

    pub(super) fn faulty(faults: Vec<Fault>) -> Self {
        let detail = "errors says where, and what is wrong there";
        let title = "The order cannot be placed as it is";
        Self { errors: faults, ..Self::new(StatusCode::BAD_REQUEST, "/problems/faulty-order", title, detail) }
    }

    pub(super) fn no_such_order() -> Self {
        Self::plain(StatusCode::NOT_FOUND, "there is no order of this id")
    }

    pub(super) fn no_such_page() -> Self {
        Self::plain(StatusCode::NOT_FOUND, "there is nothing at this path; see /openapi.json")
    }

    pub(super) fn no_such_method() -> Self {
        Self::plain(StatusCode::METHOD_NOT_ALLOWED, "this cannot be done here; see /openapi.json")
    }

    fn with_code(self, cause: &Coded) -> Self {
        Self { code: Some(cause.code.to_string()), ..self }
    }
}

/// The log has the cause, and the client what it can do about it.
impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Away(cause) => {
                let detail =
                    "what keeps orders does not answer; an order may be sent again with its key, and is placed once";
                Self::plain(StatusCode::SERVICE_UNAVAILABLE, detail).with_code(&cause)
            }
            Error::Busy => {
                let detail = "a request with this key is under way; send it again";
                let title = "A request is under way for this Idempotency-Key";
                Self::new(StatusCode::CONFLICT, "/problems/key-under-way", title, detail)
            }
            Error::OtherOrder => {
                let detail = "another order was placed with this key; a new order needs a new one";
                let title = "Idempotency-Key belongs to another order";
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "/problems/key-of-another-order", title, detail)
            }
            Error::Failed(cause) => {
                tracing::error!(code = %cause.code, "a request failed: {}", cause.message);
                Self::plain(StatusCode::INTERNAL_SERVER_ERROR, "the storefront's log says why").with_code(&cause)
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).expect("a problem has text keys and no failing parts");
        let mut response = (self.status, [(CONTENT_TYPE, "application/problem+json")], body).into_response();
        if matches!(self.status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::CONFLICT) {
            response.headers_mut().insert(RETRY_AFTER, AGAIN.into());
        }
        response
    }
}
