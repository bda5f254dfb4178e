//! Vestige on Postgres.

mod backup;
mod bench;
mod operate;
mod setup;
