//! The names under which a handler keeps values.

use std::fmt;
use std::marker::PhantomData;

/// One named value of type `T` under the key of the record. Declare it as a constant; the name is what is stored, so renaming
/// the constant or the type moves nothing.
pub struct Cell<T> {
    name: &'static str,
    marker: PhantomData<fn() -> T>,
}

impl<T> Cell<T> {
    /// A cell with its name, unique in its handler.
    pub const fn named(name: &'static str) -> Self {
        Self { name, marker: PhantomData }
    }

    /// The name under which the value is stored.
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

/// A named ordered map from `K` to `V` under the key of the record. Each entry is read and written by itself.
pub struct Map<K, V> {
    name: &'static str,
    marker: PhantomData<fn() -> (K, V)>,
}

impl<K, V> Map<K, V> {
    /// A map with its name, unique in its handler.
    pub const fn named(name: &'static str) -> Self {
        Self { name, marker: PhantomData }
    }

    /// The name under which the entries are stored.
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

impl<T> Clone for Cell<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Cell<T> {}

impl<K, V> Clone for Map<K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for Map<K, V> {}

impl<T> fmt::Debug for Cell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cell({})", self.name)
    }
}

impl<K, V> fmt::Debug for Map<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Map({})", self.name)
    }
}
