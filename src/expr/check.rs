//! The checker of expressions (see `shape`).
