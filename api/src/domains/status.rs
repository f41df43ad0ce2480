//! How a domain is: what it waits for, told from the state and the time alone.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use temps_state::{Certificate, Domain, Order};
use utoipa::ToSchema;

/// How long before its end a certificate whose renewal fails is called failing.
pub const RENEWAL_LATE: SignedDuration = SignedDuration::from_hours(10 * 24);

/// How a domain is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DomainStatus {
    /// Nobody has seen yet that the name leads to this cluster.
    WaitingForDns,
    /// The name is the cluster's; a certificate is on its way.
    WaitingForCertificate,
    /// The name is the cluster's and has no certificate, and none is asked for: the settings say so, or it is a wildcard that
    /// the cluster cannot show in the DNS.
    WithoutCertificate,
    /// There is no certificate, or it ends soon, and the last try to get one failed; or somebody brought the one that ends,
    /// and the cluster gets no other.
    Failing,
    /// It is served with a valid certificate.
    Active,
}

/// What a domain's status is told from.
pub(super) struct Grounds<'a> {
    pub domain: &'a Domain,
    /// The best certificate for it, valid or not.
    pub certificate: Option<&'a Certificate>,
    pub order: Option<&'a Order>,
    /// Whether certificates are asked for: the settings say so, and the cluster can show that the name is its own.
    pub asked: bool,
    /// Whether a certificate that somebody brought ends soon or has ended, and no other one is to come.
    pub unfollowed: bool,
    pub now: Timestamp,
}

impl Grounds<'_> {
    pub fn status(&self) -> DomainStatus {
        let failed = self.order.is_some_and(|order| order.failures > 0);
        let valid = self.certificate.filter(|certificate| certificate.is_valid(self.now));
        match valid {
            _ if self.domain.verified_at.is_none() => DomainStatus::WaitingForDns,
            _ if self.unfollowed => DomainStatus::Failing,
            Some(certificate) if failed && self.ends_soon(certificate) => DomainStatus::Failing,
            Some(_) => DomainStatus::Active,
            None if !self.asked => DomainStatus::WithoutCertificate,
            None if failed => DomainStatus::Failing,
            None => DomainStatus::WaitingForCertificate,
        }
    }

    fn ends_soon(&self, certificate: &Certificate) -> bool {
        certificate.not_after.duration_since(self.now) < RENEWAL_LATE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domains::fixtures;

    const DAY: i64 = 86_400;

    fn at(day: i64) -> Timestamp {
        Timestamp::from_second(day * DAY).unwrap()
    }

    fn domain(verified: bool) -> Domain {
        Domain { verified_at: verified.then(|| at(1)), ..fixtures::domain("shop.example.com") }
    }

    fn certificate(last_day: i64) -> Certificate {
        fixtures::certificate(1, &["shop.example.com"], at(last_day))
    }

    fn order(failures: u32) -> Order {
        Order { failures, ..Order::new("shop.example.com".parse().unwrap()) }
    }

    #[test]
    fn a_status_says_what_is_waited_for() {
        use DomainStatus::{
            Active, Failing, WaitingForCertificate, WaitingForDns, WithoutCertificate,
        };
        let now = at(100);
        // Verified, the certificate's last day, failures of an order, whether certificates are asked for.
        for (verified, until, failures, asked, wanted) in [
            (false, None, None, true, WaitingForDns),
            (false, Some(190), None, true, WaitingForDns),
            (false, None, None, false, WaitingForDns),
            (true, None, None, true, WaitingForCertificate),
            (true, None, Some(0), true, WaitingForCertificate),
            (true, Some(99), None, true, WaitingForCertificate),
            (true, None, Some(1), true, Failing),
            (true, Some(99), Some(3), true, Failing),
            (true, Some(109), Some(1), true, Failing),
            (true, Some(109), Some(0), true, Active),
            (true, Some(110), Some(1), true, Active),
            (true, Some(190), None, true, Active),
            (true, None, None, false, WithoutCertificate),
            (true, Some(99), None, false, WithoutCertificate),
            (true, Some(190), None, false, Active),
        ] {
            let (domain, certificate) = (domain(verified), until.map(certificate));
            let order = failures.map(order);
            let (certificate, order) = (certificate.as_ref(), order.as_ref());
            let unfollowed = false;
            let grounds = Grounds { domain: &domain, certificate, order, asked, unfollowed, now };
            assert_eq!(grounds.status(), wanted, "{verified} {until:?} {failures:?} {asked}");
            let grounds = Grounds { unfollowed: true, ..grounds };
            let wanted = if verified { Failing } else { WaitingForDns };
            assert_eq!(grounds.status(), wanted, "{verified} {until:?}, unfollowed");
        }
    }
}
