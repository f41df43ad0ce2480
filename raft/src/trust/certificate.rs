//! What a certificate says. Pure: whether to believe it is decided elsewhere.

use rustls::pki_types::{CertificateDer, UnixTime, pem::PemObject};
use sha2::{Digest, Sha256};
use temps_state::NodeId;
use x509_parser::extensions::GeneralName;
use x509_parser::oid_registry::OID_SIG_ED25519;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::TrustError;

/// What is read from a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The DNS names it is for.
    pub names: Vec<String>,
    /// SHA-256 of its public key (`SubjectPublicKeyInfo`), in hex.
    pub key: String,
    /// Whether the key is of the kind that join tokens have, which nodes never have.
    pub of_token: bool,
    /// From when on it is valid, in seconds since the epoch.
    pub not_before: i64,
    /// Until when it is valid, in seconds since the epoch.
    pub not_after: i64,
}

impl Facts {
    /// Reads a certificate.
    pub fn read(der: &CertificateDer<'_>) -> Result<Self, TrustError> {
        let (_, certificate) =
            X509Certificate::from_der(der).map_err(|_| TrustError::Unreadable)?;
        let names = certificate.subject_alternative_name().map_err(|_| TrustError::Unreadable)?;
        let names = names.map_or(&[][..], |extension| &extension.value.general_names);
        let dns = |name: &GeneralName<'_>| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            _ => None,
        };
        let key = certificate.public_key();
        Ok(Self {
            names: names.iter().filter_map(dns).collect(),
            key: fingerprint(key.raw),
            of_token: key.algorithm.algorithm == OID_SIG_ED25519,
            not_before: certificate.validity().not_before.timestamp(),
            not_after: certificate.validity().not_after.timestamp(),
        })
    }

    /// The node, and the id of its cluster, that the certificate is for.
    pub fn node(&self) -> Option<(NodeId, &str)> {
        self.names.iter().find_map(|name| node_in(name))
    }

    /// A moment at which the certificate is valid.
    pub fn valid_at(&self) -> UnixTime {
        let seconds = u64::try_from(self.not_before).unwrap_or_default();
        UnixTime::since_unix_epoch(std::time::Duration::from_secs(seconds))
    }
}

/// SHA-256 in hex.
pub fn fingerprint(octets: &[u8]) -> String {
    hex::encode(Sha256::digest(octets))
}

/// The name in a node's certificate.
pub fn node_name(node: NodeId, cluster: &str) -> String {
    format!("node-{node}.{cluster}.temps")
}

/// The node and the cluster that a certificate's name names.
fn node_in(name: &str) -> Option<(NodeId, &str)> {
    let (node, cluster) = name.strip_prefix("node-")?.strip_suffix(".temps")?.split_once('.')?;
    let id: NodeId = node.parse().ok()?;
    (node_name(id, cluster) == name).then_some((id, cluster))
}

/// The one certificate in a PEM text.
pub fn from_pem(pem: &str) -> Result<CertificateDer<'static>, TrustError> {
    CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| TrustError::Unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_names_one_node_of_one_cluster() {
        let cases = [
            ("node-7.abc.temps", Some((NodeId(7), "abc"))),
            ("node-07.abc.temps", None),
            ("node-+7.abc.temps", None),
            ("node-.abc.temps", None),
            ("node-7.abc.example", None),
            ("x.node-7.abc.temps", None),
            ("node-99999999999999999999.abc.temps", None),
        ];
        for (name, node) in cases {
            assert_eq!(node_in(name), node, "{name}");
        }
    }

    #[test]
    fn garbage_is_no_certificate() {
        assert!(Facts::read(&CertificateDer::from(vec![1, 2, 3])).is_err());
        assert!(from_pem("nonsense").is_err());
    }
}
