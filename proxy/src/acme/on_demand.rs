//! Certificates for single names of the preview domain, asked for when a client comes for one: only for names that lead to
//! an environment, and that the world finds this cluster at.

use jiff::Timestamp;
use temps_raft::Cluster;
use temps_state::{Command, DomainName, PREVIEW_DOMAIN_DEFAULT, State};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::domain_probe::DomainProbe;

/// Has certificates asked for that clients of this node's edge wished for, for as long as the node runs.
pub async fn keep_previews(
    cluster: Cluster,
    probe: DomainProbe,
    mut wishes: mpsc::Receiver<String>,
    cancel: CancellationToken,
) {
    loop {
        let wished = tokio::select! {
            () = cancel.cancelled() => return,
            wished = wishes.recv() => wished,
        };
        let Some(wished) = wished else { return };
        let state = cluster.state();
        let Some(name) = lacks(&state, &wished, Timestamp::now()) else { continue };
        if probe.leads_here(&name, &state.zone_mark()).await {
            want(&cluster, name).await;
        }
    }
}

async fn want(cluster: &Cluster, name: DomainName) {
    match cluster.propose_own(Command::WantCertificate { name: name.clone() }).await {
        Ok(_) => {
            info!(%name, "a client came for a name of the preview domain: it gets a certificate")
        }
        Err(error) => warn!(%name, %error, "no certificate could be asked for"),
    }
}

/// The name, where it is to have a certificate of its own and nobody has asked for one. Pure.
fn lacks(state: &State, wished: &str, now: Timestamp) -> Option<DomainName> {
    let settings = state.settings();
    let name: DomainName = wished.parse().ok()?;
    let asked = settings.acme.enabled && settings.preview_domain != PREVIEW_DOMAIN_DEFAULT;
    let ours = state.preview_environment(&name).is_some() && state.preview_wildcard().is_none();
    let has = || state.certificate_for(&name, now).is_some_and(|found| found.lasts(now));
    let want = Command::WantCertificate { name: name.clone() };
    let known = want.format() <= state.format();
    (known && asked && ours && !state.orders.contains_key(&name) && !has()).then_some(name)
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use temps_state::{
        AcmeSettings, Certificate, CertificateSource, ClusterKey, DnsSettings, EnvironmentId,
        FORMAT, Id, Node, NodeId, Order, Settings,
    };

    use super::*;

    const OURS: &str = "shop-production.apps.example.com";

    fn state(settings: Settings) -> State {
        let mut state = State::default();
        state.hosts.insert("shop-production".into(), EnvironmentId::from_parts(0, 1));
        state.settings.insert(0, settings);
        let node = Node::new(NodeId(1), "n1", Timestamp::UNIX_EPOCH);
        state.nodes.insert(NodeId(1), Node { format: FORMAT.into(), ..node });
        state
    }

    /// The wildcard's, for ninety days.
    fn ending(not_after: Timestamp) -> Certificate {
        let name: DomainName = "*.apps.example.com".parse().unwrap();
        Certificate {
            id: Id::from_parts(0, 1),
            names: vec![name.clone()],
            chain: String::new(),
            key: ClusterKey::new([0; 32]).seal([0; 12], "", "").unwrap(),
            not_before: not_after - SignedDuration::from_hours(24 * 90),
            not_after,
            issuer: String::new(),
            source: CertificateSource::Issued { domain: name, directory: "here".into() },
            created_at: Timestamp::UNIX_EPOCH,
            renewal: None,
        }
    }

    fn settings() -> Settings {
        Settings { preview_domain: "apps.example.com".into(), ..Settings::default() }
    }

    #[test]
    fn only_names_that_lead_to_an_environment_lack_one() {
        let plain = state(settings());
        let lacking = |state: &State, name: &str| lacks(state, name, Timestamp::now()).is_some();
        for (name, lacks) in [
            (OURS, true),
            ("blog-production.apps.example.com", false),
            ("apps.example.com", false),
            ("example.org", false),
            ("", false),
        ] {
            assert_eq!(lacking(&plain, name), lacks, "{name}");
        }
        let zones = vec!["example.com".parse().unwrap()];
        let dns = DnsSettings { zones };
        assert!(!lacking(&state(Settings { dns, ..settings() }), OURS), "there is a wildcard");
        let acme = AcmeSettings { enabled: false, ..AcmeSettings::default() };
        assert!(!lacking(&state(Settings { acme, ..settings() }), OURS), "nobody is asked");
        let wildcard = |left: i64| {
            let mut state = state(settings());
            let one = ending(Timestamp::now() + SignedDuration::from_hours(24 * left));
            state.certificates.insert(one.id, one);
            state
        };
        assert!(!lacking(&wildcard(60), OURS), "one outlived where it was kept");
        assert!(lacking(&wildcard(1), OURS), "and ends soon");
        let here = "shop-production.localho.st";
        assert!(!lacking(&state(Settings::default()), here), "it leads to everybody's own machine");
        let mut mixed = state(settings());
        let older = Node::new(NodeId(2), "n2", Timestamp::UNIX_EPOCH);
        mixed.nodes.insert(NodeId(2), older);
        assert!(!lacking(&mixed, OURS), "not every node knows of wishes");
        let mut asked = state(settings());
        let name: DomainName = OURS.parse().unwrap();
        asked.orders.insert(name.clone(), Order::new(name));
        assert!(!lacking(&asked, OURS), "it is asked for already");
    }
}
