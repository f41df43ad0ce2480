//! What every edge of the cluster can tell to be its own: challenges and passes, signed with HMAC-SHA-256 (RFC 2104) under
//! a key that comes from the cluster's. Pure, but for the key of a node without one.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use temps_state::ClusterKey;

/// Keeps the key apart from any other that comes from the cluster's.
const CONTEXT: &[u8] = b"temps guard";
/// Octets of a signature: 128 bits.
const SIGNATURE_LEN: usize = 16;

/// Signs and checks.
pub(crate) struct Seal(Hmac<Sha256>);

impl Seal {
    /// The cluster's; one that only this process knows where there is no key.
    pub(crate) fn new(cluster: Option<&ClusterKey>) -> Self {
        let root = cluster.map_or_else(rand::random, |key| *key.octets());
        let key = keyed(&root).chain_update(CONTEXT).finalize().into_bytes();
        Self(keyed(&key))
    }

    /// The signature of some texts, in hex. They are told apart wherever they end.
    pub(crate) fn sign(&self, texts: &[&str]) -> String {
        hex::encode(&self.over(texts).finalize().into_bytes()[..SIGNATURE_LEN])
    }

    /// Whether a signature is that of these texts.
    pub(crate) fn is_mine(&self, texts: &[&str], signature: &str) -> bool {
        let mut octets = [0; SIGNATURE_LEN];
        hex::decode_to_slice(signature, &mut octets).is_ok()
            && self.over(texts).verify_truncated_left(&octets).is_ok()
    }

    fn over(&self, texts: &[&str]) -> Hmac<Sha256> {
        texts.iter().fold(self.0.clone(), |mac, text| {
            mac.chain_update((text.len() as u64).to_be_bytes()).chain_update(text)
        })
    }
}

fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_edge_of_a_cluster_knows_its_signatures_and_nobody_else() {
        let seal = |octet| Seal::new(Some(&ClusterKey::new([octet; 32])));
        let signature = seal(1).sign(&["a", "bc"]);
        assert!(seal(1).is_mine(&["a", "bc"], &signature));
        assert!(seal(1).is_mine(&["a", "bc"], &signature.to_uppercase()));
        assert!(!seal(2).is_mine(&["a", "bc"], &signature));
        for texts in [&["ab", "c"][..], &["a", "b", "c"], &["a"], &["a", "bd"], &[]] {
            assert!(!seal(1).is_mine(texts, &signature), "{texts:?}");
        }
        for bad in ["", "00", &signature[1..], &format!("{signature}00"), "+".repeat(32).as_str()] {
            assert!(!seal(1).is_mine(&["a", "bc"], bad), "{bad}");
        }
        assert!(!Seal::new(None).is_mine(&["a", "bc"], &signature));
        assert_eq!(format!("{:?}", seal(1)), "Seal(…)");
    }
}
