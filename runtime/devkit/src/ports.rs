//! Ports of the loopback address that nobody else takes.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::net::TcpListener;

use crate::error::Error;
use crate::java;

/// The loopback address, which everything listens on. A name would be looked up for IPv6 first, where nobody listens.
pub(crate) const HOST: &str = "127.0.0.1";
/// Ports given away. They lie below those that the system gives to connections: a client that knocks again and again at a
/// broker that is down would else be given the broker's own port in the end, and talk to itself.
const FIRST: u16 = 20_000;
const LAST: u16 = 29_999;

/// A port that is kept from other processes that ask here, as long as this value lives.
#[derive(Debug)]
pub(crate) struct Port {
    number: u16,
    _lock: Option<File>,
}

impl Port {
    /// This port, or some free one for 0.
    pub(crate) fn asked(number: u16) -> Result<Self, Error> {
        if number == 0 { Self::any() } else { Self::given(number) }
    }

    /// This port, which has to be free.
    fn given(number: u16) -> Result<Self, Error> {
        if is_free(number) { Ok(Self { number, _lock: None }) } else { Err(Error::PortTaken(number)) }
    }

    /// Some free port. Where to begin is left to chance, so that nobody meets the clients of an earlier broker.
    pub(crate) fn any() -> Result<Self, Error> {
        let count = u64::from(LAST - FIRST) + 1;
        let begin = RandomState::new().hash_one(()) % count;
        for step in 0..count {
            let offset = u16::try_from((begin + step) % count).expect("the range is smaller than all ports");
            let number = FIRST + offset;
            let lock = java::lock_file(&format!("ports/{number}"))?;
            if lock.try_lock().is_ok() && is_free(number) {
                return Ok(Self { number, _lock: Some(lock) });
            }
        }
        Err(Error::NoPort(FIRST, LAST))
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    /// How a client names it.
    pub(crate) fn address(&self) -> String {
        format!("{HOST}:{}", self.number)
    }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((HOST, port)).is_ok()
}
