//! Event ids that a replay makes again.

use std::fmt;

use sha2::{Digest, Sha256};

/// The id of an event that a unit emits. Printed as a UUID of version 8 (RFC 9562: a form of the maker's own).
///
/// It derives from the service, the handler, the id of what caused the unit, and the event's place among the unit's
/// outputs, so running the unit again makes the same ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(u128);

/// The index of a unit's first timer. No unit has as many outputs.
const FIRST_TIMER: u32 = 1 << 31;
/// The bits of a UUID that say its version and variant.
const UUID_MASK: u128 = (0xf << 76) | (0b11 << 62);
/// Version 8, variant of RFC 9562.
const UUID_BITS: u128 = (0x8 << 76) | (0b10 << 62);

impl EventId {
    /// The id of output number `index` of a unit.
    pub fn derive(base: IdBase, index: u32) -> Self {
        let sum = base.0.wrapping_add(u128::from(index));
        Self((sum & !UUID_MASK) | UUID_BITS)
    }

    /// The id of the dead letter of a unit.
    pub fn letter(base: IdBase) -> Self {
        Self::derive(base, u32::MAX - 1)
    }

    /// The id of timer number `index` of a unit.
    pub(crate) fn timer(base: IdBase, index: u32) -> Self {
        Self::derive(base, FIRST_TIMER + index)
    }

    /// The 16 bytes of the id, as a number.
    pub(crate) const fn to_u128(self) -> u128 {
        self.0
    }

    pub(crate) const fn from_u128(number: u128) -> Self {
        Self(number)
    }

    /// Reads an id as it is printed.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: String = text.split('-').collect();
        let id = Self(u128::from_str_radix(&digits, 16).ok()?);
        (id.to_text() == text.as_bytes()).then_some(id)
    }

    /// The 36 characters of the id.
    pub fn to_text(self) -> [u8; 36] {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut text = [b'-'; 36];
        let mut place = 0;
        for (index, byte) in self.0.to_be_bytes().into_iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                place += 1;
            }
            text[place] = HEX[usize::from(byte >> 4)];
            text[place + 1] = HEX[usize::from(byte & 0xf)];
            place += 2;
        }
        text
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.to_text()).expect("hex digits and dashes"))
    }
}

/// 16 bytes that stand for these pieces in this order.
pub(crate) fn digest(pieces: &[&[u8]]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for piece in pieces {
        hash.update((piece.len() as u64).to_le_bytes());
        hash.update(piece);
    }
    head(hash)
}

/// The first 16 bytes of a digest.
fn head(hash: Sha256) -> [u8; 16] {
    let digest = hash.finalize();
    *digest.split_first_chunk().expect("a digest of 32 bytes").0
}

/// What the ids of all outputs of one handler share. Short, so that most causes fit into one block of the hash with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdScope([u8; 16]);

impl IdScope {
    /// The scope of `handler` of `service`.
    pub fn of(service: &str, handler: &str) -> Self {
        Self(digest(&[service.as_bytes(), handler.as_bytes()]))
    }

    /// The base of the unit that this handler runs because of an event with this `ce_source` and `ce_id`.
    pub fn signed(self, source: &[u8], id: &[u8]) -> IdBase {
        self.base(&[source, b"\0", id])
    }

    /// The base of the unit that this handler runs because of an event of this type that names its own id.
    pub fn named(self, event: &str, id: &[u8]) -> IdBase {
        self.base(&[event.as_bytes(), b"\0\0", id])
    }

    /// The base of the unit that this handler runs because of a record whose headers say this; of one whose headers name no id, by what stands for
    /// it.
    pub(crate) fn derived(self, source: Option<&[u8]>, id: Option<&[u8]>, own_id: impl FnOnce() -> String) -> IdBase {
        match id {
            Some(id) => self.signed(source.unwrap_or_default(), id),
            None => self.base(&[own_id().as_bytes()]),
        }
    }

    /// The base of the unit that this handler runs because of `cause`, which is given in pieces.
    pub fn base(self, cause: &[&[u8]]) -> IdBase {
        let mut hash = Sha256::new_with_prefix(self.0);
        for piece in cause {
            hash.update(piece);
        }
        IdBase(u128::from_be_bytes(head(hash)))
    }
}

/// What all outputs of one unit share; hashed once per unit, and only when the unit emits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdBase(u128);

impl IdBase {
    /// What stands for the unit's event in the inbox.
    pub(crate) fn event(self) -> u128 {
        self.0
    }

    /// Draw number `index` of the unit: 64 evenly distributed bits, the same whenever the unit runs again.
    pub fn draw(self, index: u64) -> u64 {
        // The finalizer of splitmix64; its input is a hash already.
        let seed = (self.0 >> 64) as u64 ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests;
