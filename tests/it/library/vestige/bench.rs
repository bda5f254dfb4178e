//! The library beside a machine with Vestige on it.

use crate::library::shelf::Shelf;
use crate::support::Vestige;

/// A shelf whose environment `simulator` has every input of Vestige's runbooks.
pub(crate) struct Bench {
    // Dropped before the folder that its processes run in.
    pub(crate) vestige: Vestige,
    pub(crate) shelf: Shelf,
}

impl Bench {
    /// Nothing but an empty PostgreSQL.
    pub(crate) fn bare() -> Self {
        let shelf = Shelf::new();
        let vestige = Vestige::bare(&shelf.sandbox);
        Self::of(vestige, shelf)
    }

    /// A running service on an empty database of its own.
    pub(crate) fn ready() -> Self {
        let shelf = Shelf::new();
        let vestige = Vestige::ready(&shelf.sandbox);
        Self::of(vestige, shelf)
    }

    fn of(vestige: Vestige, shelf: Shelf) -> Self {
        for (input, value) in vestige.inputs() {
            _ = shelf.set(input, value);
        }
        Self { vestige, shelf }
    }
}
