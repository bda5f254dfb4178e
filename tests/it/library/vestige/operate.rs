//! Day by day: health, embeddings, symptoms.

mod checkpoints;
mod embeddings;
mod health;
mod session;
mod symptoms;
