//! So that it does not happen again.
