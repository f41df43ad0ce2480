//! A digest of a build's variables, to repeat the steps that depend on them when one changes.
//!
//! It ends up in the image's history, so it is keyed: without the node's key nobody can try out values against it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use temps_state::VariableName;

/// Octets of the key.
const KEY_BYTES: usize = 32;

/// The node's key for these digests. Losing it costs a cached build, nothing else.
#[derive(Clone)]
pub(crate) struct DigestKey([u8; KEY_BYTES]);

impl DigestKey {
    /// Reads the key, or makes one.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        match fs::read(path).map(<[u8; KEY_BYTES]>::try_from) {
            Ok(Ok(key)) => Ok(Self(key)),
            _ => Self::make(path),
        }
    }

    fn make(path: &Path) -> io::Result<Self> {
        let mut key = [0; KEY_BYTES];
        File::open("/dev/urandom")?.read_exact(&mut key)?;
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)?;
        file.write_all(&key)?;
        Ok(Self(key))
    }

    /// The digest of variables, in hex.
    pub(crate) fn digest(&self, variables: &BTreeMap<VariableName, String>) -> String {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        for (name, value) in variables {
            mac.update(name.as_str().as_bytes());
            mac.update(&[0]);
            mac.update(&(value.len() as u64).to_be_bytes());
            mac.update(value.as_bytes());
        }
        hex::encode(&mac.finalize().into_bytes()[..16])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_depends_on_every_value_and_on_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let key = DigestKey::open(&folder.path().join("key")).unwrap();
        let again = DigestKey::open(&folder.path().join("key")).unwrap();
        let other = DigestKey::open(&folder.path().join("other")).unwrap();
        let variables = |value: &str| BTreeMap::from([("A".parse().unwrap(), value.to_owned())]);
        assert_eq!(key.digest(&variables("x")), again.digest(&variables("x")));
        assert_ne!(key.digest(&variables("x")), key.digest(&variables("y")));
        assert_ne!(key.digest(&variables("x")), other.digest(&variables("x")));
    }
}
