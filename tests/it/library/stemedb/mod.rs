//! StemeDB's quarantine: every row of its document, against the simulated service or the real process of it.

mod bench;
mod faults;
mod overflow;
mod prevention;
mod review;
