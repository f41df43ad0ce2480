//! The cluster's certificate authority: who is signed by it belongs to the cluster. Its private key is in the state,
//! sealed, so that every node can sign.

use std::time::Duration;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SerialNumber,
    date_time_ymd,
};
use temps_state::{Authority, ClusterKey, NONCE_LEN, NodeId};

use super::TrustError;
use super::certificate::node_name;

const DAY: i64 = 24 * 60 * 60;
/// How long the authority lasts.
const AUTHORITY_SECONDS: i64 = 10 * 365 * DAY;
/// How long a node's certificate lasts; it is renewed long before.
pub const CERTIFICATE_SECONDS: i64 = 90 * DAY;
/// How far before their making certificates begin, for clocks that are behind.
const BACKDATED_SECONDS: i64 = DAY;

/// Draws the authority of a new cluster.
pub fn draw_authority(
    key: &ClusterKey,
    cluster: &str,
    now: Timestamp,
) -> Result<Authority, TrustError> {
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = params(&format!("temps {cluster}"), now, AUTHORITY_SECONDS);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    let certificate = params.self_signed(&pair)?.pem();
    let nonce = rand::random::<[u8; NONCE_LEN]>();
    let key = key.seal(nonce, Authority::KEY_PLACE, &pair.serialize_pem())?;
    Ok(Authority { certificate, key })
}

/// The authority with its private key opened.
pub struct Signer {
    issuer: Issuer<'static, KeyPair>,
}

impl Signer {
    /// Opens the private key.
    pub fn open(authority: &Authority, key: &ClusterKey) -> Result<Self, TrustError> {
        let pair = KeyPair::from_pem(&key.open(Authority::KEY_PLACE, &authority.key)?)?;
        Ok(Self { issuer: Issuer::from_ca_cert_pem(&authority.certificate, pair)? })
    }

    /// Signs a certificate for a node's key, in PEM.
    pub fn sign(
        &self,
        key: &impl PublicKeyData,
        node: NodeId,
        cluster: &str,
        now: Timestamp,
    ) -> Result<String, TrustError> {
        if key.algorithm() != &PKCS_ECDSA_P256_SHA256 {
            return Err(TrustError::KeyKind);
        }
        let name = node_name(node, cluster);
        let mut params = params(&name, now, CERTIFICATE_SECONDS);
        params.subject_alt_names = CertificateParams::new([name])?.subject_alt_names;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        Ok(params.signed_by(key, &self.issuer)?.pem())
    }
}

fn params(subject: &str, now: Timestamp, seconds: i64) -> CertificateParams {
    let at = |seconds: i64| {
        let seconds = u64::try_from(seconds).unwrap_or_default();
        date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds)
    };
    let mut params = CertificateParams::default();
    params.not_before = at(now.as_second() - BACKDATED_SECONDS);
    params.not_after = at(now.as_second() + seconds);
    params.serial_number = Some(SerialNumber::from_slice(&rand::random::<[u8; 16]>()));
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, subject);
    params
}
