//! StemeDB's quarantine: what `tests/scenes.rs` does not run.

mod prevention;
mod review;
