//! Certificates for the names of the preview domain: one wildcard where the cluster answers in the DNS, else one for each
//! name that somebody asked for.

use crate::format::{FIFTH, THIRD};
use crate::table::retain;
use crate::{
    CertificateId, DomainName, EnvironmentId, Order, PREVIEW_DOMAIN_DEFAULT, Rejected, Reply, State,
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
        self.preview_environment_in(&self.settings().preview_domain, name)
    }

    /// The same for whoever has the preview domain of the settings at hand.
    pub fn preview_environment_in(
        &self,
        preview_domain: &str,
        name: &DomainName,
    ) -> Option<EnvironmentId> {
        let (label, domain) = name.as_str().split_once('.')?;
        let ours = domain == preview_domain && !name.is_wildcard();
        self.hosts.get(label).filter(|_| ours).copied()
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

    /// Whether the cluster may get a certificate for a name: a domain, or one of the preview domain. Nodes of earlier formats
    /// know single names of it not at all.
    pub(crate) fn may_be_certified(&self, name: &DomainName) -> bool {
        self.domains.contains_key(name) || self.previews().may_be_certified(self, name)
    }

    fn previews(&self) -> Previews {
        let singly = self.format() >= u32::from(THIRD);
        Previews {
            wildcard: self.preview_wildcard(),
            domain: self.settings().preview_domain,
            singly,
        }
    }

    /// Drops orders and certificates that are for no name of the cluster any more, after the preview domain or where it is
    /// kept changed. Certificates that a wildcard is to replace are shown until it does, and that of the wildcard until it
    /// ends; formats before the fifth drop it once nobody can renew it.
    pub(crate) fn forget_previews(&mut self) {
        let previews = self.previews();
        let ours = |name: &DomainName| {
            self.domains.contains_key(name) || previews.may_be_certified(self, name)
        };
        let orders: Vec<DomainName> =
            self.orders.keys().filter(|name| !ours(name)).cloned().collect();
        let outlives = self.format() >= u32::from(FIFTH);
        let is_gone = |name: &DomainName| {
            let stays = outlives && name.is_wildcard() && name.base() == previews.domain;
            let leads = || self.preview_environment_in(&previews.domain, name).is_some();
            !(stays || ours(name) || leads())
        };
        let certificates =
            self.certificates.values().filter(|one| one.issued_for().is_some_and(is_gone));
        let certificates: Vec<CertificateId> = certificates.map(|one| one.id).collect();
        for name in orders {
            self.orders.remove(&name);
        }
        for id in certificates {
            self.certificates.remove(&id);
        }
    }

    /// Drops what an environment's names on the preview domain had, before they go with it.
    pub(crate) fn forget_previews_of(&mut self, id: EnvironmentId) {
        let domain = self.settings().preview_domain;
        let labels = self.hosts.iter().filter(|(_, of)| **of == id).map(|(label, _)| label);
        let names = labels.filter_map(|label| format!("{label}.{domain}").parse().ok());
        let names: Vec<DomainName> =
            names.filter(|name| !self.domains.contains_key(name)).collect();
        for name in &names {
            self.orders.remove(name);
        }
        retain(&mut self.certificates, |_, one| !names.iter().any(|name| one.is_issued_for(name)));
    }

    /// The wildcard is there: what single names of the preview domain had is not needed any more.
    pub(crate) fn replace_previews(&mut self, wildcard: &DomainName) {
        if self.preview_wildcard().as_ref() != Some(wildcard) {
            return;
        }
        let Self { certificates, domains, .. } = self;
        let single =
            |name: &DomainName| !domains.contains_key(name) && wildcard.covers(name.as_str());
        retain(certificates, |_, one| !one.issued_for().is_some_and(single));
    }
}

/// What of the preview domain gets certificates.
struct Previews {
    wildcard: Option<DomainName>,
    domain: String,
    /// Whether its names may have some one by one.
    singly: bool,
}

impl Previews {
    fn may_be_certified(&self, state: &State, name: &DomainName) -> bool {
        match &self.wildcard {
            Some(wildcard) => name == wildcard,
            None => self.singly && state.preview_environment_in(&self.domain, name).is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{Certificate, CertificateSource, DnsSettings, Id, Node, NodeId, Settings};

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
        let node = Node::new(NodeId(1), "n1", Timestamp::UNIX_EPOCH);
        state.nodes.insert(NodeId(1), Node { format: THIRD.into(), ..node });
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
    fn what_older_nodes_do_not_know_is_not_certified() {
        let mut state = state();
        let ours = name("shop-production.apps.example.com");
        assert!(state.may_be_certified(&ours));
        let older = Node::new(NodeId(2), "n2", Timestamp::UNIX_EPOCH);
        state.nodes.insert(NodeId(2), Node { format: 2, ..older });
        assert!(!state.may_be_certified(&ours));
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
    fn a_wildcards_certificate_outlives_where_it_was_kept() {
        let wildcard = name("*.apps.example.com");
        for (format, kept) in [(FIFTH, true), (THIRD, false)] {
            let mut state = state();
            let node = state.nodes[&NodeId(1)].clone();
            state.nodes.insert(NodeId(1), Node { format: format.into(), ..node });
            state.change_settings(settings("apps.example.com", Some("example.com"))).unwrap();
            state.orders.insert(wildcard.clone(), Order::new(wildcard.clone()));
            certify(&mut state, 1, wildcard.as_str());
            state.change_settings(settings("apps.example.com", None)).unwrap();
            assert!(state.orders.is_empty(), "nobody can work on it");
            assert_eq!(state.issued_for(&wildcard).is_some(), kept, "{format}");
            state.change_settings(settings("apps.example.net", None)).unwrap();
            assert!(state.certificates.is_empty());
        }
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
