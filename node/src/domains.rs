//! What the node does for domains: looks at them, has them verified, gets their certificates.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use futures::future::BoxFuture;
use temps_api::{AddressSeen, DomainLook, DomainSeen, RefusedSeen, ZoneLook};
use temps_dns::{Delegations, Lookup};
use temps_proxy::{DomainProbe, EdgeView, Names, SeenAddress, Sight};
use temps_raft::Cluster;
use temps_state::{DelegationSight, DomainName};
use tokio_util::sync::CancellationToken;

use crate::serve_error::ServeError;

/// Where the machine names its resolvers.
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// The port that resolvers answer at.
const DNS_PORT: u16 = 53;
/// The port that the world finds plain HTTP at.
const HTTP_PORT: u16 = 80;

/// Looks at domains as the world sees them: by what the machine's own resolvers know.
pub fn probe() -> Result<DomainProbe, ServeError> {
    let names = Arc::new(Resolvers(Lookup::new(RESOLV_CONF, DNS_PORT)));
    DomainProbe::new(names, HTTP_PORT).map_err(ServeError::Probe)
}

/// Has domains verified, their records kept and their certificates had, for as long as the node runs.
pub fn keep(cluster: &Cluster, probe: &DomainProbe, edge: &EdgeView, stop: &CancellationToken) {
    tokio::spawn(temps_proxy::keep_verifying(cluster.clone(), probe.clone(), stop.clone()));
    tokio::spawn(temps_proxy::keep_certificates(cluster.clone(), probe.clone(), stop.clone()));
    tokio::spawn(temps_proxy::keep_renewal_advice(cluster.clone(), stop.clone()));
    if let Some(wishes) = edge.wishes() {
        let (cluster, probe) = (cluster.clone(), probe.clone());
        tokio::spawn(temps_proxy::keep_previews(cluster, probe, wishes, stop.clone()));
    }
    tokio::spawn(temps_providers::keep_records(cluster.clone(), stop.clone()));
    tokio::spawn(temps_proxy::keep_ticket_keys(cluster.clone(), stop.clone()));
}

/// Looks how the cluster's zones are handed over, for as long as the node runs.
pub fn look_at_zones(cluster: &Cluster, stop: &CancellationToken) -> ZoneLooker {
    let delegations = Delegations::new(Lookup::new(RESOLV_CONF, DNS_PORT));
    let looking = delegations.clone().keep(cluster.watch());
    tokio::spawn(stop.clone().run_until_cancelled_owned(looking));
    ZoneLooker(delegations)
}

/// What this node sees of how zones are handed over.
pub struct ZoneLooker(Delegations);

impl ZoneLook for ZoneLooker {
    fn look(&self, zone: DomainName) -> BoxFuture<'_, DelegationSight> {
        Box::pin(async move { self.0.look(&zone).await })
    }

    fn last(&self, zone: &DomainName) -> Option<DelegationSight> {
        self.0.last(zone)
    }
}

/// The machine's own resolvers.
struct Resolvers(Lookup);

impl Names for Resolvers {
    fn addresses(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let lookup = self.0.clone();
        Box::pin(async move { lookup.addresses(&name).await })
    }

    fn texts(&self, name: String) -> BoxFuture<'static, io::Result<Vec<String>>> {
        let lookup = self.0.clone();
        Box::pin(async move { lookup.texts(&name).await })
    }
}

/// What this node sees of domains, and its edge shows for them.
pub struct Looker {
    /// The domains.
    pub cluster: Cluster,
    /// What looks at names and addresses.
    pub probe: DomainProbe,
    /// This node's edge.
    pub edge: EdgeView,
}

impl DomainLook for Looker {
    fn look(&self, name: DomainName) -> BoxFuture<'_, DomainSeen> {
        Box::pin(async move {
            let domain = self.cluster.state().domains.get(&name).cloned();
            let Some(domain) = domain else {
                return DomainSeen::problem("this node does not know the domain yet".into());
            };
            let Sight { addresses, texts, error, .. } = self.probe.look(&domain).await;
            let refused = self.edge.refused(&name);
            DomainSeen {
                problem: error,
                addresses: addresses.into_iter().map(address).collect(),
                txt: texts,
                refused: refused.map(|seen| RefusedSeen { count: seen.count, last: seen.last }),
                certificate: self.edge.certificate(&name).map(|shown| shown.not_after),
            }
        })
    }
}

fn address(SeenAddress { address, leads_here, why }: SeenAddress) -> AddressSeen {
    AddressSeen { address, leads_here, why }
}
