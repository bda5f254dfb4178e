//! Keys and signatures in the formats of OpenSSH.

use super::namespace::{KeyError, Namespace, SignatureError};
use ssh_key::{Algorithm, HashAlg, LineEnding, SshSig};
use std::fmt;

/// A public ed25519 key of OpenSSH: one line, `ssh-ed25519 AAAA.. comment`.
///
/// Two keys are equal when they are the same key, whatever their comments.
#[derive(Clone, Debug)]
pub struct PublicKey(ssh_key::PublicKey);

impl PublicKey {
    /// Reads a line of `id_ed25519.pub`.
    ///
    /// # Errors
    /// It is no public key, or not ed25519.
    pub fn parse(line: &str) -> Result<Self, KeyError> {
        let line = line.trim();
        if line.contains(['\n', '\r']) {
            return Err(KeyError::NotAKey("public"));
        }
        let key = ssh_key::PublicKey::from_openssh(line).map_err(|_| match line.split_whitespace().next() {
            Some(kind) if kind.starts_with("sk-") => KeyError::Kind(kind.to_owned()),
            _ => KeyError::NotAKey("public"),
        })?;
        match key.algorithm() {
            Algorithm::Ed25519 => Ok(Self(key)),
            other => Err(KeyError::Kind(other.as_str().to_owned())),
        }
    }

    /// Its name: `SHA256:..`, as `ssh-keygen -l` prints it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.0.fingerprint(HashAlg::Sha256).to_string()
    }

    /// Checks that this key signed the text for this purpose.
    ///
    /// # Errors
    /// It did not.
    pub fn verify(&self, namespace: Namespace, text: &str, signature: &Signature) -> Result<(), SignatureError> {
        if signature.0.namespace() != namespace.as_str() {
            let found = signature.0.namespace().to_owned();
            return Err(SignatureError::Purpose { found, wanted: namespace.as_str() });
        }
        if signature.0.public_key() != self.0.key_data() {
            return Err(SignatureError::OtherKey);
        }
        self.0.verify(namespace.as_str(), text.as_bytes(), &signature.0).map_err(|_| SignatureError::DoesNotFit)
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.key_data() == other.0.key_data()
    }
}

impl Eq for PublicKey {}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_openssh().unwrap_or_default())
    }
}

/// A private ed25519 key of OpenSSH. It has no `Debug` and is wiped from memory when it is dropped.
pub struct PrivateKey(ssh_key::PrivateKey);

impl PrivateKey {
    /// Reads the text of a key file such as `~/.ssh/id_ed25519`. With a passphrase, an encrypted key is opened.
    ///
    /// # Errors
    /// It is no private key, not ed25519, sits in a device, is encrypted without a passphrase, or with another one.
    pub fn parse(text: &str, passphrase: Option<&str>) -> Result<Self, KeyError> {
        let key = ssh_key::PrivateKey::from_openssh(text).map_err(|_| KeyError::NotAKey("private"))?;
        match key.algorithm() {
            Algorithm::Ed25519 => {}
            other if other.as_str().starts_with("sk-") => return Err(KeyError::InDevice(other.as_str().to_owned())),
            other => return Err(KeyError::Kind(other.as_str().to_owned())),
        }
        if !key.is_encrypted() {
            return Ok(Self(key));
        }
        let passphrase = passphrase.ok_or(KeyError::Encrypted)?;
        key.decrypt(passphrase).map(Self).map_err(|_| KeyError::Passphrase)
    }

    /// Its public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.public_key().clone())
    }

    /// Signs a text for a purpose.
    ///
    /// # Errors
    /// The key does not sign.
    pub fn sign(&self, namespace: Namespace, text: &str) -> Result<Signature, KeyError> {
        let signature = self.0.sign(namespace.as_str(), HashAlg::Sha512, text.as_bytes());
        signature.map(Signature).map_err(|_| KeyError::CannotSign)
    }
}

/// A signature as `ssh-keygen -Y sign` writes it: it names its purpose and the key that made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature(SshSig);

impl Signature {
    /// Reads the text between `BEGIN SSH SIGNATURE` and `END SSH SIGNATURE`, these lines included.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &str) -> Result<Self, SignatureError> {
        SshSig::from_pem(text.trim()).map(Self).map_err(|_| SignatureError::Unreadable)
    }

    /// The name of the key that it says it was made by: `SHA256:..`. Only [`PublicKey::verify`] proves it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.0.public_key().fingerprint(HashAlg::Sha256).to_string()
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_pem(LineEnding::LF).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Made with `ssh-keygen`; their private halves are gone.
    const ANA: &str = include_str!("../../tests/inputs/keys/ana.pub");
    const RSA: &str = include_str!("../../tests/inputs/keys/rsa.pub");
    // `ssh-keygen -Y sign -n gate@runwright` by that key, over the text `hello` and a newline.
    const BY_SSH_KEYGEN: &str = include_str!("../../tests/inputs/keys/hello.sig");

    fn key(seed: u8) -> ssh_key::PrivateKey {
        ssh_key::private::Ed25519Keypair::from_seed(&[seed; 32]).into()
    }

    fn text(key: &ssh_key::PrivateKey) -> String {
        key.to_openssh(LineEnding::LF).expect("a key file").to_string()
    }

    fn public(seed: u8) -> PublicKey {
        PublicKey::parse(&key(seed).public_key().to_openssh().expect("a line")).expect("a key")
    }

    #[test]
    fn what_a_key_signs_its_public_half_verifies() {
        let own = PrivateKey::parse(&text(&key(1)), None).expect("a key");
        let signature = own.sign(Namespace::Gate, "hello").expect("a signature");
        let read = Signature::parse(&signature.to_string()).expect("a signature");
        assert_eq!(read, signature);
        assert_eq!(public(1).verify(Namespace::Gate, "hello", &read), Ok(()));
        assert_eq!(public(1).verify(Namespace::Gate, "hallo", &read), Err(SignatureError::DoesNotFit));
        assert!(matches!(public(1).verify(Namespace::Head, "hello", &read), Err(SignatureError::Purpose { .. })));
        assert_eq!(public(2).verify(Namespace::Gate, "hello", &read), Err(SignatureError::OtherKey));
        assert_eq!(read.fingerprint(), public(1).fingerprint());
        assert_eq!(own.public(), public(1));
    }

    #[test]
    fn every_changed_byte_of_a_signature_is_seen() {
        let text = PrivateKey(key(1)).sign(Namespace::Gate, "hello").expect("one").to_string();
        for place in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[place] ^= 1;
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            if let Ok(read) = Signature::parse(&changed) {
                // A changed byte that gives the same signature again (a line end) changes nothing.
                let holds = public(1).verify(Namespace::Gate, "hello", &read).is_ok();
                assert_eq!(holds, read.to_string() == text, "byte {place}");
            }
        }
    }

    #[test]
    fn a_signature_of_ssh_keygen_is_one_of_ours() {
        let signature = Signature::parse(BY_SSH_KEYGEN).expect("a signature");
        let ana = PublicKey::parse(ANA).expect("a key");
        assert_eq!(ana.verify(Namespace::Gate, "hello\n", &signature), Ok(()));
    }

    #[test]
    fn other_keys_are_refused_with_a_reason() {
        let kind = |line: &str| PublicKey::parse(line).expect_err("refused");
        assert_eq!(kind(RSA), KeyError::Kind("ssh-rsa".into()));
        assert_eq!(kind("ssh-ed25519 AAAA"), KeyError::NotAKey("public"));
        assert_eq!(kind("x\ny"), KeyError::NotAKey("public"));
        assert_eq!(kind("sk-ssh-ed25519@openssh.com AAAA"), KeyError::Kind("sk-ssh-ed25519@openssh.com".into()));
        assert_eq!(PrivateKey::parse(ANA, None).err(), Some(KeyError::NotAKey("private")));
    }

    #[test]
    fn an_encrypted_key_opens_with_its_passphrase_only() {
        let kdf = ssh_key::Kdf::Bcrypt { salt: vec![7; 16], rounds: 4 };
        let locked = key(3).encrypt_with(ssh_key::Cipher::Aes256Ctr, kdf, 1, "open sesame").expect("a locked key");
        let open = |passphrase| PrivateKey::parse(&text(&locked), passphrase);
        assert_eq!(open(None).err(), Some(KeyError::Encrypted));
        assert_eq!(open(Some("wrong")).err(), Some(KeyError::Passphrase));
        assert_eq!(open(Some("open sesame")).expect("a key").public(), public(3));
    }
}
