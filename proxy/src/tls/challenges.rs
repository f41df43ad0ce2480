//! What authorities are answered that look whether a name is the cluster's. Every edge knows every answer.

use std::collections::HashMap;
use std::sync::Arc;

use imbl::OrdMap;
use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};
use temps_state::{Challenge, ChallengeKind, DomainName, Order};
use tracing::error;

use crate::EdgeError;
use crate::tls::config::provider;

/// The answers to the challenges of the orders that are under way.
#[derive(Debug, Default)]
pub(crate) struct Challenges {
    source: OrdMap<DomainName, Order>,
    /// By host: tokens, and what is said for each.
    http: HashMap<String, Vec<(String, String)>>,
    /// By host.
    tls: HashMap<String, Answer>,
}

/// A certificate that holds the answer to a challenge.
#[derive(Debug, Clone)]
struct Answer {
    text: String,
    key: Arc<CertifiedKey>,
}

impl Challenges {
    /// Those of another state, where it has others. Certificates that are there already are not made again.
    pub(crate) fn next(&self, orders: &OrdMap<DomainName, Order>) -> Option<Self> {
        if self.source.ptr_eq(orders) {
            return None;
        }
        let mut next = Self { source: orders.clone(), ..Self::default() };
        let attempts = orders.values().filter_map(|order| order.attempt.as_ref());
        for challenge in attempts.flat_map(|attempt| &attempt.challenges) {
            let Challenge { host, kind, token, answer } = challenge;
            match kind {
                ChallengeKind::Http01 => {
                    let answers = next.http.entry(host.clone()).or_default();
                    answers.push((token.clone(), answer.clone()));
                }
                ChallengeKind::TlsAlpn01 => {
                    next.tls.extend(self.made(host, answer).map(|made| (host.clone(), made)));
                }
                ChallengeKind::Dns01 => {}
            }
        }
        Some(next)
    }

    /// What is said at a host for a token (RFC 8555 §8.3).
    pub(crate) fn http_answer(&self, host: &str, token: &str) -> Option<&str> {
        let answers = self.http.get(host)?;
        answers.iter().find(|(of, _)| of == token).map(|(_, answer)| answer.as_str())
    }

    /// The certificate that is shown to an authority that asks for a host (RFC 8737 §3).
    pub(crate) fn tls_answer(&self, host: &str) -> Option<Arc<CertifiedKey>> {
        self.tls.get(host).map(|answer| answer.key.clone())
    }

    fn made(&self, host: &str, text: &str) -> Option<Answer> {
        let known = self.tls.get(host).filter(|answer| answer.text == text);
        known.cloned().or_else(|| {
            let key = make(host, text)
                .inspect_err(|error| error!(host, %error, "a challenge has no answer"));
            Some(Answer { text: text.into(), key: Arc::new(key.ok()?) })
        })
    }
}

/// A self-signed certificate for a host that holds the digest of an answer.
fn make(host: &str, answer: &str) -> Result<CertifiedKey, EdgeError> {
    let failed = |source| EdgeError::MakeCertificate { domain: host.into(), source };
    let key = KeyPair::generate().map_err(failed)?;
    let mut params = CertificateParams::new(vec![host.to_owned()]).map_err(failed)?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(&Sha256::digest(answer))];
    let certificate = params.self_signed(&key).map_err(failed)?;
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    // Not compared with the certificate: the parser for that refuses what holds an answer, as every client should.
    let key = provider().key_provider.load_private_key(key).map_err(EdgeError::UseAnswer)?;
    Ok(CertifiedKey::new(vec![certificate.der().clone()], key))
}

#[cfg(test)]
mod tests {
    use temps_state::{Attempt, ClusterKey};

    use super::*;

    fn order(name: &str, challenges: &[(&str, ChallengeKind, &str)]) -> (DomainName, Order) {
        let name: DomainName = name.parse().unwrap();
        let challenge = |(host, kind, token): &(&str, ChallengeKind, &str)| Challenge {
            host: (*host).into(),
            kind: *kind,
            token: (*token).into(),
            answer: format!("{token}.thumbprint"),
        };
        let attempt = Attempt {
            directory: "https://ca.example/directory".into(),
            key: ClusterKey::new([9; 32]).seal([0; 12], "place", "value").unwrap(),
            request: String::new(),
            url: None,
            challenges: challenges.iter().map(challenge).collect(),
        };
        (name.clone(), Order { attempt: Some(attempt), ..Order::new(name) })
    }

    #[test]
    fn a_challenge_is_answered_at_its_host_only() {
        use ChallengeKind::{Dns01, Http01, TlsAlpn01};
        let orders = OrdMap::from_iter([
            order(
                "a.example.com",
                &[("a.example.com", Http01, "one"), ("a.example.com", Http01, "two")],
            ),
            order("b.example.com", &[("b.example.com", TlsAlpn01, "three")]),
            order("*.c.example.com", &[("c.example.com", Dns01, "four")]),
        ]);
        let challenges = Challenges::default().next(&orders).unwrap();
        for (host, token, answer) in [
            ("a.example.com", "one", Some("one.thumbprint")),
            ("a.example.com", "two", Some("two.thumbprint")),
            ("a.example.com", "three", None),
            ("b.example.com", "one", None),
            ("b.example.com", "three", None),
            ("c.example.com", "four", None),
            ("", "", None),
        ] {
            assert_eq!(challenges.http_answer(host, token), answer, "{host} {token}");
        }
        for (host, there) in
            [("a.example.com", false), ("b.example.com", true), ("c.example.com", false)]
        {
            assert_eq!(challenges.tls_answer(host).is_some(), there, "{host}");
        }
    }

    #[test]
    fn an_answer_is_made_once_and_let_go_with_its_order() {
        use ChallengeKind::TlsAlpn01;
        let host = "a.example.com";
        let first = OrdMap::from_iter([order(host, &[(host, TlsAlpn01, "one")])]);
        let first = Challenges::default().next(&first).unwrap();
        let mut orders = first.source.clone();
        assert!(first.next(&orders).is_none());
        let (other, theirs) = order("b.example.com", &[]);
        orders.insert(other, theirs);
        let second = first.next(&orders).unwrap();
        let shown = |challenges: &Challenges| challenges.tls_answer(host).unwrap();
        assert!(Arc::ptr_eq(&shown(&first), &shown(&second)));
        let (name, again) = order(host, &[(host, TlsAlpn01, "two")]);
        orders.insert(name.clone(), again);
        let third = second.next(&orders).unwrap();
        assert!(!Arc::ptr_eq(&shown(&second), &shown(&third)));
        orders.remove(&name);
        assert!(third.next(&orders).unwrap().tls_answer(host).is_none());
    }
}
