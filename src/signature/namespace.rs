//! What a signature is for, and what can be wrong with keys and signatures.

/// The purpose of a signature: part of what is signed, so that one made for another purpose never counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Namespace {
    /// A decision about a gate.
    Gate,
    /// The head of a record.
    Head,
}

impl Namespace {
    /// The namespace as `ssh-keygen -Y sign -n NAMESPACE` takes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gate => "gate@runwright",
            Self::Head => "head@runwright",
        }
    }
}

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum KeyError {
    /// It is not a key of OpenSSH at all.
    #[error("it is not an OpenSSH {0} key")]
    NotAKey(&'static str),
    /// A key of another kind.
    #[error("it is a key of the kind {0}; only ssh-ed25519 counts here")]
    Kind(String),
    /// A private key whose secret half sits in a device.
    #[error("its secret half sits in a device ({0}), and this program talks to no device")]
    InDevice(String),
    /// It is encrypted, and the passphrase is not known.
    #[error("it is encrypted with a passphrase")]
    Encrypted,
    /// The passphrase is wrong.
    #[error("the passphrase does not open it")]
    Passphrase,
    /// The key is there, and does not sign.
    #[error("it cannot sign")]
    CannotSign,
}

/// Why a signature does not count.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SignatureError {
    /// It is not a signature of OpenSSH.
    #[error("the signature cannot be read")]
    Unreadable,
    /// It was made for something else.
    #[error("it was signed for `{found}`, not for `{wanted}`")]
    Purpose {
        /// What it was signed for.
        found: String,
        /// What it has to be for.
        wanted: &'static str,
    },
    /// Another key made it.
    #[error("it was signed by another key")]
    OtherKey,
    /// The text is not the one that was signed, or the signature was changed.
    #[error("the signature does not fit the text: one of them was changed")]
    DoesNotFit,
}
