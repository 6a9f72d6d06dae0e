//! The bank: made up.

use std::future::pending;
use std::hash::{DefaultHasher, Hash, Hasher};

use tidemill::prelude::*;

/// What is wrong with the charge for an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// So many attempts fail.
    Transient(u32),
    /// The bank refuses.
    Permanent,
    /// The bank does not answer the first time.
    Slow,
}

/// A bank that fails where a seed says so, or never.
#[derive(Debug, Clone, Copy)]
pub struct Bank {
    seed: Option<u64>,
}

impl Bank {
    /// A bank that fails where the seed says so, or never.
    pub const fn new(seed: Option<u64>) -> Self {
        Self { seed }
    }

    /// What is wrong with the charge for an order: of a thousand, thirty fail for a while, five for good, and two are slow.
    pub fn fault(&self, invoice: &str) -> Option<Fault> {
        const MOST_FAILURES: u64 = 6;
        let mut hash = DefaultHasher::new();
        (self.seed?, invoice).hash(&mut hash);
        let drawn = hash.finish();
        match drawn % 1_000 {
            0..30 => Some(Fault::Transient(1 + u32::try_from(drawn / 1_000 % MOST_FAILURES).expect("few"))),
            30..35 => Some(Fault::Permanent),
            35..37 => Some(Fault::Slow),
            _ => None,
        }
    }

    /// Charges an order.
    pub(crate) async fn charge(&self, invoice: &str, attempt: u32) -> Result<(), HandlerError> {
        match self.fault(invoice) {
            Some(Fault::Transient(failures)) if attempt <= failures => Err(HandlerError::transient("the bank is busy")),
            Some(Fault::Permanent) => Err(HandlerError::permanent("the card is refused")),
            Some(Fault::Slow) if attempt == 1 => pending().await,
            _ => Ok(()),
        }
    }
}
