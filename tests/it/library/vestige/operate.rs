//! Day by day: health, embeddings, symptoms.

mod health;
mod session;
