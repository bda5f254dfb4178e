//! The first day.
