//! Stand-ins for the two programs of Vestige, on a real PostgreSQL with pgvector: the service `vestige-mcp` and the tool
//! `vestige`. Vectors come from a hash of the text instead of a model.
//!
//! Linked under these names the simulator is these programs. What the service writes is on standard output, with the
//! error texts that operators know. These variables steer them in tests:
//!
//! | variable | meaning |
//! |---|---|
//! | `VESTIGE_CONFIG` | the configuration file, where `--config` is not given (else `vestige.toml` in the working folder) |
//! | `VESTIGE_BACKUPS` | the folder in which the tool looks for a recent `*.dump` |
//! | `VESTIGE_MODELS` | the folder of local models, `NAME.onnx` each; without it every model the program knows is there |
//! | `VESTIGE_STAND_IN_CLIENTS` | so many clients that keep asking the service (0) |
//! | `VESTIGE_STAND_IN_QUERY_MS` | how long each of their questions holds a connection (10) |
//! | `VESTIGE_STAND_IN_POOL_MS` | how long one waits for a connection before it gives up (30000) |
//! | `VESTIGE_STAND_IN_DIE_AFTER` | the service dies after this migration was applied |
//! | `VESTIGE_STAND_IN_DIE_ONCE` | the service dies at its start when this file is there, and takes it away |
//! | `VESTIGE_STAND_IN_ROW_MS` | how long `migrate reembed` takes for each row (0) |
//! | `VESTIGE_STAND_IN_STALE_CACHE` | while this file is there, `search` finds every row twice |

#![expect(unreachable_pub, reason = "a module tree that a program includes")]

pub mod config;
pub mod database;
pub mod migrations;
pub mod model;
pub mod pool;
pub mod reembed;
pub mod server;
pub mod settings;
pub mod tool;

#[cfg(test)]
mod tests;
