//! Join tokens as text: the private key that a joiner shows, and whom it may show it to.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{CertificateParams, KeyPair, PKCS_ED25519, PublicKeyData};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};

use super::TrustError;
use super::certificate::fingerprint;
use super::provider;

const PREFIX: &str = "tj_";
/// How many octets of a token are secret.
pub const SEED_LEN: usize = 32;
const AUTHORITY_LEN: usize = 32;
/// What comes before the seed in the PKCS #8 form of an Ed25519 key (RFC 8410, section 7).
const PKCS8_HEAD: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// A join token. Its key proves that somebody was let in; its digest says which cluster to talk to.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    seed: [u8; SEED_LEN],
    authority: [u8; AUTHORITY_LEN],
}

/// Why a text is not a join token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It begins otherwise.
    #[error("a join token begins with `{PREFIX}`")]
    Prefix,
    /// It has characters that no token has.
    #[error("a join token has letters, digits, `-` and `_` only")]
    Characters,
    /// Something is missing, or too much.
    #[error("it is {octets} octets long and should be {}", SEED_LEN + AUTHORITY_LEN)]
    Length {
        /// How many octets it holds.
        octets: usize,
    },
}

impl Token {
    /// The token of a seed, which nobody may guess, for the cluster with this authority.
    pub fn new(seed: [u8; SEED_LEN], authority: &CertificateDer<'_>) -> Self {
        Self { seed, authority: Sha256::digest(authority).into() }
    }

    /// The token as people hand it on. Secret.
    pub fn reveal(&self) -> String {
        let octets = [self.seed, self.authority].concat();
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(octets))
    }

    /// Whether this certificate is the one of the token's cluster.
    pub fn pins(&self, authority: &CertificateDer<'_>) -> bool {
        self.authority[..] == Sha256::digest(authority)[..]
    }

    /// SHA-256 of the public key (`SubjectPublicKeyInfo`), in hex: what the state knows of the token.
    pub fn key(&self) -> Result<String, TrustError> {
        Ok(fingerprint(&self.pair()?.subject_public_key_info()))
    }

    /// What the joiner shows in a handshake.
    pub fn certified(&self) -> Result<CertifiedKey, TrustError> {
        let pair = self.pair()?;
        let certificate = CertificateParams::default().self_signed(&pair)?;
        let key = PrivateKeyDer::Pkcs8(pair.serialize_der().into());
        Ok(CertifiedKey::from_der(vec![certificate.der().clone()], key, &provider())?)
    }

    fn pair(&self) -> Result<KeyPair, TrustError> {
        let der = PrivatePkcs8KeyDer::from([&PKCS8_HEAD[..], &self.seed].concat());
        Ok(KeyPair::from_pkcs8_der_and_sign_algo(&der, &PKCS_ED25519)?)
    }
}

impl FromStr for Token {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let encoded = text.trim().strip_prefix(PREFIX).ok_or(TokenError::Prefix)?;
        let octets = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| TokenError::Characters)?;
        let wrong = TokenError::Length { octets: octets.len() };
        let (seed, authority) = octets.split_first_chunk::<SEED_LEN>().ok_or(wrong)?;
        Ok(Self { seed: *seed, authority: authority.try_into().map_err(|_| wrong)? })
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_what_was_drawn() {
        let authority = CertificateDer::from(vec![1, 2, 3]);
        let token = Token::new([7; SEED_LEN], &authority);
        let text = token.reveal();
        assert_eq!(format!("  {text}\n").parse(), Ok(token.clone()));
        assert_eq!(text.parse::<Token>().unwrap().key().unwrap(), token.key().unwrap());
        assert!(token.pins(&authority));
        assert!(!token.pins(&CertificateDer::from(vec![1, 2, 4])));
        assert_ne!(Token::new([8; SEED_LEN], &authority), token);
        assert!(token.certified().is_ok());
    }

    #[test]
    fn garbage_is_told_apart() {
        let text = Token::new([7; SEED_LEN], &CertificateDer::from(vec![])).reveal();
        let short = format!("tj_{}", URL_SAFE_NO_PAD.encode([7; 12]));
        let long = format!("tj_{}", URL_SAFE_NO_PAD.encode([7; 65]));
        let cases = [
            ("", TokenError::Prefix),
            ("tk_abc", TokenError::Prefix),
            ("tj_*", TokenError::Characters),
            ("tj_é", TokenError::Characters),
            ("tj_", TokenError::Length { octets: 0 }),
            (&short, TokenError::Length { octets: 12 }),
            (&long, TokenError::Length { octets: 65 }),
        ];
        for (garbage, error) in cases {
            assert_eq!(garbage.parse::<Token>(), Err(error), "{garbage}");
        }
        assert!(text[..text.len() - 1].parse::<Token>().is_err());
    }

    #[test]
    fn a_token_is_not_shown_in_debug_output() {
        let token = Token::new([7; SEED_LEN], &CertificateDer::from(vec![]));
        assert_eq!(format!("{token:?}"), "Token(…)");
    }
}
