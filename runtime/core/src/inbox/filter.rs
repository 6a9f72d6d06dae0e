//! What tells, with little memory, that an id is not in a page.

use super::entry::halves;

/// Bits for each id. One id in some three hundred is taken for one that is there.
const BITS: usize = 12;
/// Words of a block: all probes of one id fall into one line of the processor's cache.
const WORDS: usize = 8;
const BLOCK_BITS: usize = WORDS * 64;
/// Probes for each id; each takes nine bits of 64.
const PROBES: u32 = 7;

/// A Bloom filter in blocks, over ids that are evenly distributed.
#[derive(Debug, Clone)]
pub(super) struct Filter(Box<[[u64; WORDS]]>);

impl Filter {
    pub(super) fn of(ids: impl ExactSizeIterator<Item = u128>) -> Self {
        let mut blocks = vec![[0; WORDS]; (ids.len() * BITS).div_ceil(BLOCK_BITS).max(1)].into_boxed_slice();
        for id in ids {
            let (block, probes) = probes(id, blocks.len());
            for (word, bit) in probes {
                blocks[block][word] |= bit;
            }
        }
        Self(blocks)
    }

    /// Whether an id may be there; `false` is certain.
    pub(super) fn may_hold(&self, id: u128) -> bool {
        let (block, mut probes) = probes(id, self.0.len());
        probes.all(|(word, bit)| self.0[block][word] & bit != 0)
    }

    /// The bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        std::mem::size_of_val(&*self.0)
    }
}

/// The block of an id, and the bits of it there. Which page it is in follows from the high bits of its upper half.
fn probes(id: u128, blocks: usize) -> (usize, impl Iterator<Item = (usize, u64)>) {
    let (upper, lower) = halves(id);
    let block = share(lower, blocks);
    let bits = upper.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ lower.rotate_left(32);
    let probe = move |number: u32| {
        let place = usize::try_from((bits >> (number * 9)) % BLOCK_BITS as u64).expect("a place in a block");
        (place / 64, 1_u64 << (place % 64))
    };
    (block, (0..PROBES).map(probe))
}

/// Which of `parts` equal parts of all numbers one is in.
pub(super) fn share(number: u64, parts: usize) -> usize {
    let place = (u128::from(number) * parts as u128) >> 64;
    usize::try_from(place).expect("one of the parts")
}
