//! Values that name their schema by the id which a registry gave it: a byte 0, the id in four bytes, and the fields.

use std::sync::OnceLock;

use super::Version;

/// What such a value begins with. A value in single-object encoding begins otherwise.
pub(super) const MARKER: u8 = 0;
/// The bytes of an id, the highest first.
const ID_BYTES: usize = 4;

/// What stands before the fields of a value whose schema has this id.
pub(super) fn head(id: u32) -> [u8; 1 + ID_BYTES] {
    let [a, b, c, d] = id.to_be_bytes();
    [MARKER, a, b, c, d]
}

/// The id and the fields of a value that begins with the marker; nothing where it ends within the id.
pub(super) fn split(value: &[u8]) -> Option<(u32, &[u8])> {
    let (id, fields) = value.strip_prefix(&[MARKER])?.split_first_chunk::<ID_BYTES>()?;
    Some((u32::from_be_bytes(*id), fields))
}

/// The registered schemas that one codec reads by. They are few and none is ever taken away, so they stand in a list that is read
/// without a lock.
#[derive(Default)]
pub(super) struct Registered(OnceLock<Box<Node>>);

struct Node {
    id: u32,
    version: Version,
    next: Registered,
}

impl Registered {
    pub(super) fn find(&self, id: u32) -> Option<&Version> {
        let mut place = self;
        while let Some(node) = place.0.get() {
            if node.id == id {
                return Some(&node.version);
            }
            place = &node.next;
        }
        None
    }

    /// Adds a schema at the end. Of two threads that add one at the same time, one goes on to the place behind the other's; the same
    /// one may come to stand there twice, which does no harm.
    pub(super) fn add(&self, id: u32, version: Version) {
        let mut node = Box::new(Node { id, version, next: Self::default() });
        let mut place = self;
        while let Err(back) = place.0.set(node) {
            node = back;
            place = &place.0.get().expect("taken by another").next;
        }
    }
}
