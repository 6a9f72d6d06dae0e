//! State of the runtime itself. It stands before that of all handlers, under the empty name, which no handler has.

use std::ops::Bound;

use bytes::Bytes;

use crate::ports::KeyRange;
use crate::state::{Scope, StateId, cell_suffix, map_suffix, state_key};

/// The place of the runtime among the handlers of a service.
pub(crate) const RUNTIME: usize = usize::MAX;
/// The name that its state stands under.
pub(crate) const RUNTIME_NAME: &str = "";
/// The place of timers among the handlers of a service. They are apart from the rest of the runtime's own, which is read as a whole.
pub(crate) const TIMERS: usize = usize::MAX - 2;
/// The name that they stand under, which no handler can have.
pub(crate) const TIMERS_NAME: &str = "~timers";

/// The name under which the runtime's own state of such a place stands.
pub(crate) fn own_name(place: usize) -> Option<&'static str> {
    match place {
        RUNTIME => Some(RUNTIME_NAME),
        TIMERS => Some(TIMERS_NAME),
        _ => None,
    }
}

/// The full state key of an entry of the runtime's own.
pub(crate) fn own_key(id: &StateId, suffix: &[u8]) -> Bytes {
    state_key(own_name(id.handler).expect("the runtime's own"), &id.key, suffix)
}

/// Whether state of this name is the runtime's own, and no handler's.
pub fn is_own(name: &str) -> bool {
    name == RUNTIME_NAME || name == TIMERS_NAME
}

/// Whose state it is: a lane's, or the shard's, whose key is empty.
pub(crate) fn runtime_id(key: Bytes) -> StateId {
    StateId { handler: RUNTIME, key }
}

/// All state of the runtime.
pub fn runtime_range() -> KeyRange {
    KeyRange::prefix(Scope::handler(RUNTIME_NAME).into_bytes())
}

/// All state but that: what handlers keep, and their timers.
pub(crate) fn handlers_range() -> KeyRange {
    let Bound::Excluded(first) = runtime_range().end else { unreachable!("there are names behind the empty one") };
    KeyRange { start: Bound::Included(first), end: Bound::Unbounded }
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
