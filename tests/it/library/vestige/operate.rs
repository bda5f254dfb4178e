//! Embeddings that change, health, and every symptom of the document.
