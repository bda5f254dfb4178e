//! The catalog-server.

mod data;
mod install;
mod operate;
mod trouble;
