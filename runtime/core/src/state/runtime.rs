//! State of the runtime itself. It stands before that of all handlers, under the empty name, which no handler has.

use bytes::Bytes;

use crate::ports::KeyRange;
use crate::state::{Scope, StateId, cell_suffix, map_suffix};

/// The place of the runtime among the handlers of a service.
pub(crate) const RUNTIME: usize = usize::MAX;
/// The name that its state stands under.
pub(crate) const RUNTIME_NAME: &str = "";

/// Whose state it is: a lane's, or the shard's, whose key is empty.
pub(crate) fn runtime_id(key: Bytes) -> StateId {
    StateId { handler: RUNTIME, key }
}

/// All state of the runtime.
pub fn runtime_range() -> KeyRange {
    KeyRange::prefix(Scope::handler(RUNTIME_NAME).into_bytes())
}

/// An entry of one of the runtime's maps.
pub(crate) fn entry_suffix(map: &str, entry: &[u8]) -> Bytes {
    let mut suffix = map_suffix(map);
    suffix.extend_from_slice(entry);
    suffix.into()
}

/// One of the runtime's cells.
pub(crate) fn own_cell(name: &str) -> Bytes {
    cell_suffix(name).into()
}
