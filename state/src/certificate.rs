//! Certificates: what the edges show for the names they serve.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::format::{SECOND, THIRD};
use crate::row::Value;
use crate::table::retain;
use crate::{CertificateId, DomainName, Rejected, Reply, Sealed, State};

/// The most certificates of a cluster.
pub const CERTIFICATES_MAX: usize = 50_000;
/// The most names of a certificate.
pub const CERTIFICATE_NAMES_MAX: usize = 100;
/// The longest chain, in octets of PEM.
pub const CHAIN_BYTES_MAX: usize = 64 << 10;
/// The longest address of a page that explains a renewal, in octets.
pub const EXPLANATION_BYTES_MAX: usize = 1 << 10;
/// The part of its life that is left of a certificate when the next one should be there.
const SUCCESSION_PART: i32 = 3;
/// How long before its end that is at most, where somebody brought it.
const SUCCESSION_MAX: SignedDuration = SignedDuration::from_hours(14 * 24);

/// A certificate with its key. What is in it was checked by whoever proposed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The certificate's id.
    pub id: CertificateId,
    /// The names that it is for.
    pub names: Vec<DomainName>,
    /// It and those that vouch for it, in PEM, its own first.
    pub chain: String,
    /// Its key in PEM; sealed at [`Certificate::place`].
    pub key: Sealed,
    /// From when it is valid.
    pub not_before: Timestamp,
    /// Until when it is valid.
    pub not_after: Timestamp,
    /// Who vouches for it, in words.
    pub issuer: String,
    /// Where it comes from.
    pub source: CertificateSource,
    /// When it came.
    pub created_at: Timestamp,
    /// When the authority advises to renew it, once it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal: Option<RenewalAdvice>,
}

/// When an authority advises to renew a certificate (RFC 9773 §4.2): at any time of a window, and at once after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewalAdvice {
    /// When the window begins.
    pub start: Timestamp,
    /// When it ends.
    pub end: Timestamp,
    /// A page that says why, if the authority names one.
    pub explanation: Option<String>,
}

/// Where a certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum CertificateSource {
    /// Somebody brought it, and renews it.
    Uploaded,
    /// The cluster got it for a domain, and renews it.
    Issued {
        /// The domain.
        domain: DomainName,
        /// The directory of the authority that gave it (RFC 8555 §7.1.1).
        directory: String,
    },
}

impl Certificate {
    /// Where the key of a certificate is sealed.
    pub fn place(id: CertificateId) -> String {
        format!("certificate/{id}/key")
    }

    /// Whether it is for a host.
    pub fn covers(&self, host: &str) -> bool {
        self.names.iter().any(|name| name.covers(host))
    }

    /// Whether it is valid at a time.
    pub fn is_valid(&self, at: Timestamp) -> bool {
        self.not_before <= at && at < self.not_after
    }

    /// Whether so much of its life is left that nothing else need stand ready, where nobody renews it.
    pub fn lasts(&self, at: Timestamp) -> bool {
        at < self.lasts_until()
    }

    /// From when on something else is to stand ready, where nobody renews it.
    pub fn lasts_until(&self) -> Timestamp {
        let life = self.not_after.duration_since(self.not_before);
        let early = (life / SUCCESSION_PART).min(SUCCESSION_MAX);
        self.not_after.checked_sub(early).unwrap_or(self.not_before)
    }

    /// What the cluster got it for; nothing where somebody brought it.
    pub fn issued_for(&self) -> Option<&DomainName> {
        match &self.source {
            CertificateSource::Issued { domain, .. } => Some(domain),
            CertificateSource::Uploaded => None,
        }
    }

    /// Whether the cluster got it for this domain.
    pub fn is_issued_for(&self, name: &DomainName) -> bool {
        self.issued_for() == Some(name)
    }

    /// Whether the cluster got it from the authority with this directory.
    pub fn is_issued_by(&self, authority: &str) -> bool {
        matches!(&self.source, CertificateSource::Issued { directory, .. } if directory == authority)
    }

    fn check(&self) -> Result<(), Rejected> {
        let invalid = |why: &str| Rejected::Invalid { what: "certificate".into(), why: why.into() };
        match self {
            _ if self.names.is_empty() => Err(invalid("it is for no name")),
            _ if self.names.len() > CERTIFICATE_NAMES_MAX => Err(invalid("it has too many names")),
            _ if self.chain.len() > CHAIN_BYTES_MAX => Err(invalid("its chain is too long")),
            _ if self.not_after <= self.not_before => Err(invalid("it is never valid")),
            _ => Ok(()),
        }
    }
}

impl State {
    /// The certificate that the cluster got for a domain.
    pub fn issued_for(&self, name: &DomainName) -> Option<&Certificate> {
        self.certificates.values().find(|certificate| certificate.is_issued_for(name))
    }

    /// The certificate that is to be shown for a name: a valid one before one that is not, what somebody brought before
    /// what the cluster got, then the one that lasts longest.
    pub fn certificate_for(&self, name: &DomainName, at: Timestamp) -> Option<&Certificate> {
        let covering = self.certificates.values().filter(|certificate| {
            certificate.names.contains(name)
                || !name.is_wildcard() && certificate.covers(name.as_str())
        });
        covering.max_by_key(|certificate| certificate.rank(at))
    }

    pub(crate) fn add_certificate(&mut self, certificate: Certificate) -> Result<Reply, Rejected> {
        certificate.check()?;
        if self.certificates.contains_key(&certificate.id) {
            return Err(Rejected::taken("certificate", certificate.id));
        }
        if self.certificates.len() >= CERTIFICATES_MAX {
            return Err(Rejected::TooMany { noun: "certificates".into(), max: CERTIFICATES_MAX });
        }
        self.certificates.insert(certificate.id, certificate);
        Ok(Reply::Done)
    }

    pub(crate) fn delete_certificate(&mut self, id: CertificateId) -> Result<Reply, Rejected> {
        let gone = self.certificates.remove(&id);
        gone.map(|_| Reply::Done).ok_or_else(|| Rejected::not_found("certificate", id))
    }

    /// Keeps what the authority advises about a certificate's renewal.
    pub(crate) fn advise_renewal(
        &mut self,
        id: CertificateId,
        advice: Option<RenewalAdvice>,
    ) -> Result<Reply, Rejected> {
        let wrong = |why: &str| Rejected::Invalid { what: "renewal".into(), why: why.into() };
        if advice.as_ref().is_some_and(|advice| advice.end <= advice.start) {
            return Err(wrong("its window ends before it begins"));
        }
        let page = advice.as_ref().and_then(|advice| advice.explanation.as_ref());
        if page.is_some_and(|page| page.len() > EXPLANATION_BYTES_MAX) {
            return Err(wrong("the address of its explanation is too long"));
        }
        let known = self.certificates.get(&id).cloned();
        let known = known.ok_or_else(|| Rejected::not_found("certificate", id))?;
        self.certificates.insert(id, Certificate { renewal: advice, ..known });
        Ok(Reply::Done)
    }

    /// Drops what the cluster got for a domain.
    pub(crate) fn drop_issued(&mut self, name: &DomainName) {
        retain(&mut self.certificates, |_, certificate| !certificate.is_issued_for(name));
    }
}

impl Value for Certificate {
    fn since(&self) -> u8 {
        if self.renewal.is_some() { THIRD } else { SECOND }
    }
}

impl Certificate {
    /// The greater, the better it is to be shown.
    pub fn rank(&self, at: Timestamp) -> (bool, bool, Timestamp, CertificateId) {
        let uploaded = self.source == CertificateSource::Uploaded;
        (self.is_valid(at), uploaded, self.not_after, self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClusterKey, Id};

    #[test]
    fn a_certificate_lasts_until_its_last_third_or_its_last_fortnight() {
        let at = |day: i64| Timestamp::from_second(day * 86_400).unwrap();
        for (life, last_day) in [(90, 75), (365, 350), (42, 27), (30, 19), (6, 3)] {
            let certificate = Certificate {
                id: Id::from_parts(0, 1),
                names: vec![],
                chain: String::new(),
                key: ClusterKey::new([0; 32]).seal([0; 12], "", "").unwrap(),
                not_before: at(0),
                not_after: at(life),
                issuer: String::new(),
                source: CertificateSource::Uploaded,
                created_at: at(0),
                renewal: None,
            };
            let found = (0..life).rfind(|day| certificate.lasts(at(*day)));
            assert_eq!(found, Some(last_day), "{life} days");
        }
    }
}
