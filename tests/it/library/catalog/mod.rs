//! The catalog-server.

mod bench;
mod data;
mod install;
mod operate;
mod simulator;
mod trouble;

pub(crate) use bench::Bench;
