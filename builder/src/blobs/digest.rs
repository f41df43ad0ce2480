//! The name of a blob: the SHA-256 of its octets.

use std::fmt;

use sha2::{Digest, Sha256};

/// SHA-256 of a blob's octets; shown as `sha256:` and 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobDigest(String);

impl BlobDigest {
    /// The digest of some octets.
    pub fn of(octets: &[u8]) -> Self {
        Self(hex::encode(Sha256::digest(octets)))
    }

    /// Reads `sha256:…` or the 64 lower-case digits alone.
    pub fn read(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("sha256:").unwrap_or(text);
        let plain = digits.len() == 64 && digits.bytes().all(|b| b"0123456789abcdef".contains(&b));
        plain.then(|| Self(digits.into()))
    }

    /// The digits alone.
    pub fn hex(&self) -> &str {
        &self.0
    }

    pub(crate) fn finish(hash: Sha256) -> Self {
        Self(hex::encode(hash.finalize()))
    }
}

impl fmt::Display for BlobDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_sixty_four_digits_and_never_a_path() {
        let digest = BlobDigest::of(b"hello");
        assert_eq!(BlobDigest::read(&digest.to_string()), Some(digest.clone()));
        assert_eq!(BlobDigest::read(digest.hex()), Some(digest));
        for bad in ["", "sha256:", "../../etc/passwd", &"/".repeat(64), &"A".repeat(64)] {
            assert_eq!(BlobDigest::read(bad), None, "{bad}");
        }
    }
}
