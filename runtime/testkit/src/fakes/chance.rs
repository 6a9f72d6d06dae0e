//! Chance that repeats.

use std::cell::Cell;

use tidemill_core::ports::Random;

/// Random numbers that follow from a seed.
#[derive(Debug)]
pub struct Seeded(Cell<u64>);

impl Seeded {
    /// The sequence of this seed.
    pub const fn new(seed: u64) -> Self {
        Self(Cell::new(seed))
    }
}

impl Random for Seeded {
    fn next(&self) -> u64 {
        // Splitmix64: short, and good enough for delays and choices.
        self.0.set(self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
        let mixed = self.0.get();
        let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
