//! Certificates for the names of the preview domain: one wildcard where the cluster answers in the DNS, else one for each
//! name that somebody asked for.

use crate::table::retain;
use crate::{
    Certificate, CertificateSource, DomainName, EnvironmentId, Order, PREVIEW_DOMAIN_DEFAULT,
    Rejected, Reply, State,
};

/// The most orders at a time, so that strangers who ask for names cannot fill the state.
pub const ORDERS_MAX: usize = 20_000;

impl State {
    /// The wildcard of the preview domain, where that is in a zone of the cluster's own or of a provider: it gets a
    /// certificate.
    pub fn preview_wildcard(&self) -> Option<DomainName> {
        let settings = self.settings();
        settings.preview_wildcard().or_else(|| {
            let domain = settings.preview_domain.as_str();
            let kept = domain != PREVIEW_DOMAIN_DEFAULT && self.dns_zone_of(domain).is_some();
            format!("*.{domain}").parse().ok().filter(|_| kept)
        })
    }

    /// The environment that a name of the preview domain leads to.
    pub fn preview_environment(&self, name: &DomainName) -> Option<EnvironmentId> {
        let (label, domain) = name.as_str().split_once('.')?;
        let found = self.hosts.get(label).filter(|_| !name.is_wildcard());
        found.filter(|_| domain == self.settings().preview_domain).copied()
    }

    /// Has a certificate asked for that somebody wanted to see: that of a name of the preview domain which leads to an
    /// environment, and that no wildcard is for.
    pub(crate) fn want_certificate(&mut self, name: &DomainName) -> Result<Reply, Rejected> {
        if self.preview_environment(name).is_none() {
            return Err(Rejected::not_found("environment at", name));
        }
        let wildcard = self.preview_wildcard().is_some();
        if !wildcard && self.issued_for(name).is_none() && !self.orders.contains_key(name) {
            if self.orders.len() >= ORDERS_MAX {
                return Err(Rejected::TooMany { noun: "orders".into(), max: ORDERS_MAX });
            }
            self.orders.insert(name.clone(), Order::new(name.clone()));
        }
        Ok(Reply::Done)
    }

    /// Whether the cluster may get a certificate for a name: a domain, or one of the preview domain.
    pub(crate) fn may_be_certified(&self, name: &DomainName) -> bool {
        self.domains.contains_key(name)
            || match self.preview_wildcard() {
                Some(wildcard) => *name == wildcard,
                None => self.preview_environment(name).is_some(),
            }
    }

    /// Drops orders and certificates that are for no name of the cluster any more, after the preview domain, where it is
    /// kept, or an environment changed. Certificates that a wildcard is to replace are shown until it does.
    pub(crate) fn forget_previews(&mut self) {
        let orders = self.orders.keys().filter(|name| !self.may_be_certified(name));
        let orders: Vec<DomainName> = orders.cloned().collect();
        for name in orders {
            self.orders.remove(&name);
        }
        let ours = |name: &DomainName| {
            self.may_be_certified(name) || self.preview_environment(name).is_some()
        };
        let gone = self.certificates.iter().filter(|(_, one)| {
            matches!(&one.source, CertificateSource::Issued { domain, .. } if !ours(domain))
        });
        let gone: Vec<_> = gone.map(|(id, _)| *id).collect();
        for id in gone {
            self.certificates.remove(&id);
        }
    }

    /// The wildcard is there: what single names of the preview domain had is not needed any more.
    pub(crate) fn replace_previews(&mut self, wildcard: &DomainName) {
        if self.preview_wildcard().as_ref() != Some(wildcard) {
            return;
        }
        let Self { certificates, domains, .. } = self;
        let single = |one: &Certificate| match &one.source {
            CertificateSource::Issued { domain, .. } => {
                !domains.contains_key(domain) && wildcard.covers(domain.as_str())
            }
            CertificateSource::Uploaded => false,
        };
        retain(certificates, |_, one| !single(one));
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{DnsSettings, Id, Settings};

    fn name(text: &str) -> DomainName {
        text.parse().unwrap()
    }

    fn settings(preview_domain: &str, zone: Option<&str>) -> Settings {
        let dns = DnsSettings { zones: zone.map(name).into_iter().collect() };
        Settings { preview_domain: preview_domain.into(), dns, ..Settings::default() }
    }

    /// With an app at `shop-production.apps.example.com`.
    fn state() -> State {
        let mut state = State::default();
        state.hosts.insert("shop-production".into(), EnvironmentId::from_parts(0, 1));
        state.change_settings(settings("apps.example.com", None)).unwrap();
        state
    }

    fn certify(state: &mut State, n: u128, domain: &str) {
        let certificate = Certificate {
            id: Id::from_parts(0, n),
            names: vec![name(domain)],
            chain: String::new(),
            key: crate::ClusterKey::new([0; 32]).seal([0; 12], "", "").unwrap(),
            not_before: Timestamp::UNIX_EPOCH,
            not_after: Timestamp::MAX,
            issuer: String::new(),
            source: CertificateSource::Issued { domain: name(domain), directory: "here".into() },
            created_at: Timestamp::UNIX_EPOCH,
            renewal: None,
        };
        state.certificates.insert(certificate.id, certificate);
    }

    #[test]
    fn names_that_lead_to_an_environment_get_an_order_and_no_others() {
        let mut state = state();
        for stranger in [
            "blog-production.apps.example.com",
            "shop-production.example.com",
            "a.shop-production.apps.example.com",
            "*.apps.example.com",
        ] {
            let refused = state.want_certificate(&name(stranger));
            assert!(matches!(refused, Err(Rejected::NotFound { .. })), "{stranger}");
        }
        assert!(state.orders.is_empty());
        let ours = name("shop-production.apps.example.com");
        state.want_certificate(&ours).unwrap();
        let failed = Order { failures: 3, ..state.orders[&ours].clone() };
        state.orders.insert(ours.clone(), failed.clone());
        state.want_certificate(&ours).unwrap();
        assert_eq!(state.orders[&ours], failed, "an order is not begun anew");
        state.orders.remove(&ours);
        certify(&mut state, 1, ours.as_str());
        state.want_certificate(&ours).unwrap();
        assert!(state.orders.is_empty(), "it has one");
    }

    #[test]
    fn a_wildcard_takes_the_place_of_single_names() {
        let mut state = state();
        let ours = name("shop-production.apps.example.com");
        state.want_certificate(&ours).unwrap();
        certify(&mut state, 1, ours.as_str());
        state.change_settings(settings("apps.example.com", Some("example.com"))).unwrap();
        assert!(state.orders.is_empty());
        assert!(state.issued_for(&ours).is_some(), "it is shown until the wildcard is there");
        state.want_certificate(&ours).unwrap();
        assert!(state.orders.is_empty());
        state.replace_previews(&name("*.apps.example.com"));
        assert!(state.certificates.is_empty());
    }

    #[test]
    fn what_leads_nowhere_any_more_is_forgotten() {
        let ours = name("shop-production.apps.example.com");
        let kept = || {
            let mut state = state();
            state.want_certificate(&ours).unwrap();
            certify(&mut state, 1, ours.as_str());
            state
        };
        let mut state = kept();
        state.change_settings(settings("apps.example.net", None)).unwrap();
        assert!(state.orders.is_empty() && state.certificates.is_empty());
        let mut state = kept();
        state.remove_environment(EnvironmentId::from_parts(0, 1));
        assert!(state.orders.is_empty() && state.certificates.is_empty());
    }
}
