//! Day by day: health, embeddings, symptoms.

mod embeddings;
mod health;
mod session;
