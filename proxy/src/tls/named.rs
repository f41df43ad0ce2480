//! The certificates of the state, by the names that they are for.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use imbl::OrdMap;
use jiff::Timestamp;
use rustls::sign::CertifiedKey;
use temps_state::{Certificate, CertificateId, CertificateSource, ClusterKey, DomainName};
use tracing::error;

use crate::EdgeError;
use crate::by_name::ByName;
use crate::tls::pem::certified_key;

/// Every certificate that can be shown.
#[derive(Debug, Default)]
pub(crate) struct Named {
    source: OrdMap<CertificateId, Certificate>,
    /// Those that were read; none where that failed. A certificate never changes under its id.
    read: HashMap<CertificateId, Option<Arc<Shown>>>,
    by_name: ByName<Choice>,
}

/// The certificates for one name, in the order of [`Certificate::rank`] but for whether they are valid.
type Choice = Vec<Arc<Shown>>;

/// A certificate, ready to be shown.
#[derive(Debug)]
pub(crate) struct Shown {
    id: CertificateId,
    uploaded: bool,
    not_before: Timestamp,
    not_after: Timestamp,
    lasts_until: Timestamp,
    key: Arc<CertifiedKey>,
}

/// What an edge shows for a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShownCertificate {
    /// The certificate.
    pub id: CertificateId,
    /// Until when it is valid.
    pub not_after: Timestamp,
}

impl Named {
    /// Those of another state, where it has others. What was read already is not read again.
    pub(crate) fn next(
        &self,
        certificates: &OrdMap<CertificateId, Certificate>,
        key: Option<&ClusterKey>,
    ) -> Option<Self> {
        if self.source.ptr_eq(certificates) {
            return None;
        }
        let read = |certificate: &Certificate| match self.read.get(&certificate.id) {
            Some(known) => known.clone(),
            None => Shown::read(certificate, key).inspect_err(complain).ok().map(Arc::new),
        };
        let read = certificates.iter().map(|(id, certificate)| (*id, read(certificate))).collect();
        let by_name = by_name(certificates, &read);
        Some(Self { source: certificates.clone(), read, by_name })
    }

    /// What is to be shown to a client that asks for a host.
    pub(crate) fn find(&self, host: &str, now: Timestamp) -> Option<&Arc<Shown>> {
        best(self.by_name.find(host)?, now)
    }

    /// What is to be shown for a name; that of a wildcard is for the names below it.
    pub(crate) fn get(&self, name: &DomainName, now: Timestamp) -> Option<&Arc<Shown>> {
        match self.by_name.get(name) {
            Some(choice) => best(choice, now),
            None => self.find(name.as_str(), now).filter(|_| !name.is_wildcard()),
        }
    }
}

fn by_name(
    certificates: &OrdMap<CertificateId, Certificate>,
    read: &HashMap<CertificateId, Option<Arc<Shown>>>,
) -> ByName<Choice> {
    let mut by_name = ByName::<Choice>::default();
    for certificate in certificates.values() {
        let Some(Some(shown)) = read.get(&certificate.id) else { continue };
        for name in &certificate.names {
            by_name.entry(name).push(shown.clone());
        }
    }
    by_name.spread(|own, wildcard| own.extend(wildcard.iter().cloned()));
    for choice in by_name.values_mut() {
        choice.sort_by_key(|shown| Reverse((shown.uploaded, shown.not_after, shown.id)));
    }
    by_name
}

/// The first that is valid, else the first.
fn best(choice: &Choice, now: Timestamp) -> Option<&Arc<Shown>> {
    choice.iter().find(|shown| shown.is_valid(now)).or_else(|| choice.first())
}

fn complain(error: &EdgeError) {
    error!(error = %error, "a certificate is not shown");
}

impl Shown {
    fn read(certificate: &Certificate, key: Option<&ClusterKey>) -> Result<Self, EdgeError> {
        let id = certificate.id;
        let opened =
            key.ok_or(EdgeError::NoClusterKey)?.open(&Certificate::place(id), &certificate.key);
        let opened = opened.map_err(|source| EdgeError::OpenCertificate { id, source })?;
        let key = certified_key(certificate.chain.as_bytes(), opened.as_bytes())
            .map_err(|source| EdgeError::ShowCertificate { id, source })?;
        Ok(Self {
            id,
            uploaded: certificate.source == CertificateSource::Uploaded,
            not_before: certificate.not_before,
            not_after: certificate.not_after,
            lasts_until: certificate.lasts_until(),
            key: Arc::new(key),
        })
    }

    /// What the handshake needs.
    pub(crate) fn key(&self) -> &Arc<CertifiedKey> {
        &self.key
    }

    /// Whether it is valid at a time.
    pub(crate) fn is_valid(&self, now: Timestamp) -> bool {
        self.not_before <= now && now < self.not_after
    }

    /// Whether nothing else need stand ready at a time, where nobody renews it.
    pub(crate) fn lasts(&self, now: Timestamp) -> bool {
        now < self.lasts_until
    }

    /// What others are told of it.
    pub(crate) fn seen(&self) -> ShownCertificate {
        ShownCertificate { id: self.id, not_after: self.not_after }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair};
    use temps_state::{Id, State};

    use super::*;

    fn cluster_key() -> ClusterKey {
        ClusterKey::new([9; 32])
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// Makes rows that all hold the same certificate, as only what they say of it counts here.
    struct Rows {
        chain: String,
        pem: String,
    }

    impl Rows {
        fn new() -> Self {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec!["example.com".to_owned()]).unwrap();
            Self { chain: params.self_signed(&key).unwrap().pem(), pem: key.serialize_pem() }
        }

        fn row(&self, n: u64, names: &[&str], lasts: std::ops::Range<i64>) -> Certificate {
            let id = CertificateId::from_parts(n, 1);
            let key = cluster_key().seal([0; 12], &Certificate::place(id), &self.pem).unwrap();
            Certificate {
                id,
                names: names.iter().map(|name| name.parse().unwrap()).collect(),
                chain: self.chain.clone(),
                key,
                not_before: at(lasts.start),
                not_after: at(lasts.end),
                issuer: "ca".into(),
                source: CertificateSource::Issued {
                    domain: names[0].parse().unwrap(),
                    directory: "https://ca.example/directory".into(),
                },
                created_at: at(0),
                renewal: None,
            }
        }
    }

    fn table(rows: impl IntoIterator<Item = Certificate>) -> OrdMap<CertificateId, Certificate> {
        rows.into_iter().map(|row| (row.id, row)).collect()
    }

    fn named(rows: &OrdMap<CertificateId, Certificate>) -> Named {
        Named::default().next(rows, Some(&cluster_key())).unwrap_or_default()
    }

    #[test]
    fn keys_of_many_certificates_are_read_once() {
        const MANY: u64 = 20_000;
        let rows = Rows::new();
        let name = |n: u64| format!("shop-{n}.example.com");
        let mut table = table((0..MANY).map(|n| rows.row(n, &[&name(n)], 0..9)));
        let first = named(&table);
        assert!(first.next(&table, Some(&cluster_key())).is_none(), "nothing changed");
        let replaced = CertificateId::from_parts(0, 1);
        table.remove(&replaced);
        let newer = rows.row(MANY, &[&name(0)], 0..9);
        table.insert(newer.id, newer.clone());
        let second = first.next(&table, Some(&cluster_key())).unwrap();
        let shown = |named: &Named, n| named.find(&name(n), at(1)).unwrap().clone();
        for n in 1..MANY {
            assert!(Arc::ptr_eq(&shown(&first, n), &shown(&second, n)), "{n}");
        }
        assert_eq!((shown(&first, 0).id, shown(&second, 0).id), (replaced, newer.id));
        assert_eq!(second.read.len(), first.read.len(), "what is gone is let go");
    }

    #[test]
    fn one_that_cannot_be_used_leaves_the_others() {
        let rows = Rows::new();
        let good = rows.row(1, &["a.example.com"], 0..9);
        let moved = Certificate {
            id: CertificateId::from_parts(2, 1),
            ..rows.row(3, &["b.example.com"], 0..9)
        };
        let broken =
            Certificate { chain: "nonsense".into(), ..rows.row(4, &["c.example.com"], 0..9) };
        let other =
            Certificate { chain: Rows::new().chain, ..rows.row(5, &["d.example.com"], 0..9) };
        let table = table([good, moved, broken, other]);
        let named = named(&table);
        for (host, there) in [("a", true), ("b", false), ("c", false), ("d", false)] {
            let host = format!("{host}.example.com");
            assert_eq!(named.find(&host, at(1)).is_some(), there, "{host}");
        }
        let without_key = Named::default().next(&table, None).unwrap();
        assert!(without_key.find("a.example.com", at(1)).is_none());
    }

    #[test]
    fn a_wildcard_is_known_by_its_name_and_by_the_names_below() {
        let rows = Rows::new();
        let named = named(&table([rows.row(1, &["*.example.com", "example.com"], 0..9)]));
        let id = |text: &str| named.get(&text.parse().unwrap(), at(1)).map(|shown| shown.id);
        for there in ["*.example.com", "example.com", "a.example.com"] {
            assert!(id(there).is_some(), "{there}");
        }
        for not in ["*.a.example.com", "b.a.example.com", "*.com.example"] {
            assert!(id(not).is_none(), "{not}");
        }
    }

    proptest! {
        #[test]
        fn it_shows_what_the_state_would(
            draws in proptest::collection::vec((0..4_usize, any::<bool>(), 0..5_i64, 1..5_i64), 0..8),
            now in 0..10_i64,
        ) {
            thread_local!(static ROWS: Rows = Rows::new());
            const NAMES: [&str; 4] = ["a.example.com", "*.example.com", "b.example.com", "a.b.example.com"];
            let draw = |(n, (name, uploaded, from, length)): (u64, (usize, bool, i64, i64))| {
                let row = ROWS.with(|rows| rows.row(n, &[NAMES[name]], from..from + length));
                let source = if uploaded { CertificateSource::Uploaded } else { row.source.clone() };
                Certificate { source, ..row }
            };
            let certificates = table((0..).zip(draws).map(draw));
            let named = named(&certificates);
            let state = State { certificates, ..State::default() };
            for text in ["a.example.com", "b.example.com", "c.example.com", "a.b.example.com", "*.example.com"] {
                let name: DomainName = text.parse().unwrap();
                let expected = state.certificate_for(&name, at(now)).map(|found| found.id);
                prop_assert_eq!(named.get(&name, at(now)).map(|shown| shown.id), expected, "{}", text);
            }
        }
    }
}
