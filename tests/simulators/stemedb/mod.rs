//! A stand-in for StemeDB's quarantine API, and for the service around it.
//!
//! State lives in memory and changes only by requests and by the virtual clock, so the same requests in the same order
//! always give the same answers. `server::start` serves it in the current process; the example `simulator` wraps it in
//! a program.

#![expect(unreachable_pub, reason = "a module tree that a program and tests include, each at its own place")]

pub mod config;
pub mod control;
pub mod metrics;
pub mod routes;
pub mod scene;
pub mod server;
pub mod state;

#[cfg(test)]
mod tests;
