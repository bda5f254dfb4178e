//! Vestige on Postgres.

mod backup;
mod operate;
mod setup;
