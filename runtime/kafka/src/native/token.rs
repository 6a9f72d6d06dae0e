//! A token for a client whose events nobody takes.

use std::ffi::CStr;
use std::ptr::null_mut;

use rdkafka::ClientContext;
use rdkafka::bindings as sys;
use rdkafka::client::{Client, OAuthToken};

use super::c_name;

/// Room for what the client says of a token that it does not take.
const REASON_BYTES: usize = 256;

/// Gives a client its token for SASL OAUTHBEARER. One that the client does not take is told in words.
pub(crate) fn give_token<C: ClientContext>(client: &Client<C>, token: &OAuthToken) -> Result<(), String> {
    let (value, name) = (c_name(&token.token), c_name(&token.principal_name));
    let mut reason = [0; REASON_BYTES];
    // SAFETY: the client is alive, copies both texts, and writes no more than the room that it is told of, with a zero at its end.
    unsafe {
        let answer = sys::rd_kafka_oauthbearer_set_token(
            client.native_ptr(),
            value.as_ptr(),
            token.lifetime_ms,
            name.as_ptr(),
            null_mut(),
            0,
            reason.as_mut_ptr(),
            reason.len(),
        );
        if answer == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Ok(());
        }
        Err(CStr::from_ptr(reason.as_ptr()).to_string_lossy().into_owned())
    }
}
