//! The carriers: made up.

use std::hash::{DefaultHasher, Hash, Hasher};

/// Who carries orders.
const NAMES: [&str; 4] = ["Harbour Freight", "Northern Mail", "Swift Parcels", "Two Wheels"];
/// Of so many orders, one is not taken.
const ORDERS_FOR_ONE: u64 = 50;

/// Carriers, of which some do not take some orders, where a seed says so.
#[derive(Debug, Clone, Copy)]
pub struct Carriers {
    seed: u64,
}

impl Carriers {
    /// Carriers that fail where the seed says so.
    pub const fn new(seed: u64) -> Self {
        Self { seed }
    }

    fn drawn(self, order: &str, what: &str) -> u64 {
        let mut hash = DefaultHasher::new();
        (self.seed, order, what).hash(&mut hash);
        hash.finish()
    }

    /// Who is to carry an order.
    pub fn of(self, order: &str) -> &'static str {
        let place = self.drawn(order, "carrier") % NAMES.len() as u64;
        NAMES[usize::try_from(place).expect("few")]
    }

    /// Whether its carrier takes an order.
    pub fn takes(self, order: &str) -> bool {
        !self.drawn(order, "fault").is_multiple_of(ORDERS_FOR_ONE)
    }
}
