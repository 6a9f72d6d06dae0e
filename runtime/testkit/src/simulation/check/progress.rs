//! Which records of a partition are done, decoded from the stored form that ARCHITECTURE describes.

use std::collections::BTreeSet;

/// Everything before `next` is done but what is listed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Done {
    pub(super) next: u64,
    pub(super) undone: BTreeSet<u64>,
}

/// Takes a number of seven bits a byte, the lowest first.
fn number(bytes: &mut impl Iterator<Item = u8>) -> Option<u64> {
    let (mut value, mut shift) = (0_u64, 0);
    for byte in bytes {
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
        shift += 7;
    }
    None
}

impl Done {
    /// Reads the stored form.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut bytes = bytes.iter().copied().peekable();
        let next = number(&mut bytes)?;
        let (mut undone, mut at) = (BTreeSet::new(), next);
        while bytes.peek().is_some() {
            at = at.checked_sub(number(&mut bytes)?)?;
            undone.insert(at);
        }
        Some(Self { next, undone })
    }

    pub(super) fn holds(&self, offset: u64) -> bool {
        offset < self.next && !self.undone.contains(&offset)
    }

    /// What is done here and was not before.
    pub(super) fn since<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = u64> + 'a {
        let caught_up = before.undone.iter().copied().filter(|offset| self.holds(*offset));
        caught_up.chain((before.next..self.next).filter(|offset| self.holds(*offset)))
    }

    /// What was done before and is not here.
    pub(super) fn forgotten<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = u64> + 'a {
        let again = self.undone.iter().copied().filter(|offset| before.holds(*offset));
        again.chain((self.next..before.next).filter(|offset| before.holds(*offset)))
    }
}
