//! Finds out how a zone is handed over, as the zone above says.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr};

use futures::future::join_all;
use hickory_proto::rr::RecordType;
use temps_state::{Delegation, DomainName};
use tokio::time::timeout;
use tracing::debug;

use crate::limits::{ABOVE_MAX, DELEGATED_MAX, PARENT_SERVERS_MAX};
use crate::lookup::Lookup;
use crate::referral::Referral;

impl Lookup {
    /// How a zone is handed over, and whether the servers of the zone above said so, or else the machine's resolvers.
    pub(crate) async fn delegation(&self, zone: &DomainName) -> io::Result<(Delegation, bool)> {
        let asked = timeout(ABOVE_MAX, self.ask_above(zone.as_str())).await;
        let (referral, by_parent) = match asked.unwrap_or_else(|late| Err(late.into())) {
            Ok(referral) => (referral, true),
            Err(error) => {
                debug!(%zone, %error, "the zone above cannot be asked itself");
                (self.servers(zone.as_str(), None).await?, false)
            }
        };
        Ok((self.located(zone, referral, by_parent).await?, by_parent))
    }

    /// What the servers of the zone above say.
    async fn ask_above(&self, zone: &str) -> io::Result<Referral> {
        let mut above = zone.split_once('.').map_or("", |(_, above)| above);
        let parent = loop {
            let found = self.servers(above, None).await?;
            if !found.names.is_empty() {
                break found;
            }
            if above.is_empty() {
                return Err(io::Error::other("no zone above it is found"));
            }
            above = above.split_once('.').map_or("", |(_, above)| above);
        };
        let servers = self.located_servers(parent).await;
        let referral = self.servers(zone, Some(&servers)).await?;
        // Whoever neither answers for the zone above nor hands over knows nothing of it.
        match referral.authoritative || !referral.names.is_empty() {
            true => Ok(referral),
            false => Err(io::Error::other("its servers do not answer for the zone above")),
        }
    }

    /// A zone's servers, as certain servers say, or the machine's resolvers.
    async fn servers(&self, zone: &str, asked: Option<&[SocketAddr]>) -> io::Result<Referral> {
        let answer = match asked {
            Some(servers) => self.fetch_from(servers, zone, RecordType::NS, false).await?,
            None => self.fetch(zone, RecordType::NS).await?,
        };
        Referral::read(&answer, zone)
    }

    /// Where some of a zone's servers are asked.
    async fn located_servers(&self, referral: Referral) -> Vec<SocketAddr> {
        let names = referral.names.iter().take(PARENT_SERVERS_MAX);
        let found = join_all(names.map(async |name| match referral.addresses.get(name) {
            Some(addresses) => addresses.clone(),
            None => self.addresses(name).await.unwrap_or_default().into_iter().collect(),
        }));
        let found: BTreeSet<IpAddr> = found.await.into_iter().flatten().collect();
        // Not every machine reaches the others by IPv6, and nearly all by IPv4; those come first.
        let addresses = found.into_iter().take(PARENT_SERVERS_MAX);
        addresses.map(|address| SocketAddr::new(address, self.port())).collect()
    }

    /// Where the servers are that a referral names. Those in the zone itself must have been told with it by the zone above;
    /// resolvers mostly tell nobody's. What cannot be looked up leads nowhere, unless nothing can.
    async fn located(
        &self,
        zone: &DomainName,
        referral: Referral,
        by_parent: bool,
    ) -> io::Result<Delegation> {
        let Referral { names, addresses, .. } = referral;
        let names = names.into_iter().take(DELEGATED_MAX);
        let looked = names.map(async |name| {
            let told = addresses.get(&name).cloned().unwrap_or_default();
            let label = name.strip_suffix(zone.as_str());
            let inside = label.is_some_and(|label| label.is_empty() || label.ends_with('.'));
            let found = match (inside && by_parent) || !told.is_empty() {
                true => Ok(told),
                false => self.addresses(&name).await.map(|found| found.into_iter().collect()),
            };
            (name, found)
        });
        let looked: Vec<(String, io::Result<BTreeSet<IpAddr>>)> = join_all(looked).await;
        let all_failed = looked.iter().all(|(_, found)| found.is_err());
        let located = looked.into_iter().map(|(name, found)| match found {
            Err(error) if all_failed => Err(error),
            found => Ok((name, found.unwrap_or_default())),
        });
        located.collect::<io::Result<BTreeMap<_, _>>>().map(Delegation)
    }
}
