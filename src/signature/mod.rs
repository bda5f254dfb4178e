//! Signatures by keys that people have already: ed25519 keys of OpenSSH, and the signature format of `ssh-keygen -Y`.
//!
//! A signature says which words a key has signed, and for what purpose (its namespace): a signature that was made for
//! something else never counts. This module knows keys, texts and signatures, and nothing of runs, files or people.

mod key;
mod namespace;

pub use key::{PrivateKey, PublicKey, Signature};
pub use namespace::{KeyError, Namespace, SignatureError};
