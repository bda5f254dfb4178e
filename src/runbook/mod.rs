//! The document as written. Rank 2.
