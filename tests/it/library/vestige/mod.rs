//! Vestige on Postgres.

mod backup;
mod bench;
mod migrations;
mod operate;
mod replace;
mod retention;
mod review;
mod setup;
