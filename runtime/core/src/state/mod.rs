//! State: typed named cells and ordered maps under the key of the record being handled.

mod cell;
mod key;
mod memory;
mod ordered;
mod runtime;
mod value;

pub use cell::{Cell, Map};
pub use key::{MapKey, Scope, ScopeKey, cell_suffix, map_suffix, state_key};
pub(crate) use memory::{Memory, StateId};
pub(crate) use ordered::Ordered;
pub(crate) use runtime::{
    RUNTIME_NAME, TIMERS, TIMERS_NAME, entry_suffix, handlers_range, own_cell, own_key, own_name, runtime_id,
};
pub use runtime::{is_own, runtime_range};
pub(crate) use value::encode_into;
pub use value::{Unreadable, decode, encode, own};
