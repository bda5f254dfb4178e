//! Day by day: health, embeddings, symptoms.

mod health;
mod embeddings;
mod session;
