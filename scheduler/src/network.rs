//! The network of this node's containers, where the node has an address of its own: there they find its resolver and
//! its edge.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use bollard::Docker;
use bollard::models::{IpamConfig, NetworkCreateRequest, NetworkInspect};
use bollard::query_parameters::{InspectNetworkOptions, ListNetworksOptionsBuilder};
use ipnet::Ipv4Net;
use temps_builder::Engine;
use tokio::sync::{Mutex, watch};
use tokio::time::{sleep, timeout};

use crate::SchedulerError;
use crate::runtime::{has_status, unless_status};

/// The network of all replicas: containers on it reach out, and not each other.
pub const NETWORK: &str = "temps";
/// How often the network is looked at.
const LOOK_PAUSE: Duration = Duration::from_secs(5);
/// How long a container that is made waits for the node to know whom it should ask for names.
const NAMESERVERS_WAIT_MAX: Duration = Duration::from_secs(3);

/// Whom containers should ask for names, best first. `None` until that is decided; empty leaves them to what their
/// engine gives them.
pub type Nameservers = Option<Vec<IpAddr>>;

/// What containers are connected to.
#[derive(Clone)]
pub struct Network {
    name: Arc<str>,
    nameservers: Option<watch::Receiver<Nameservers>>,
    making: Arc<Mutex<()>>,
}

impl Default for Network {
    fn default() -> Self {
        Self::named(NETWORK)
    }
}

impl Network {
    /// The network of that name in the engine. Nodes that share an engine share the network of their containers too,
    /// unless each has its own.
    pub fn named(name: &str) -> Self {
        Self { name: name.into(), nameservers: None, making: Arc::default() }
    }

    /// New containers ask these for names. Those that run already keep what they have.
    #[must_use]
    pub fn with_nameservers(self, nameservers: watch::Receiver<Nameservers>) -> Self {
        Self { nameservers: Some(nameservers), ..self }
    }

    /// Makes the network as soon as the engine lets it, and tells the node's own address on it, for as long as somebody
    /// wants to know. Must be called within a runtime.
    pub fn follow(&self, engine: Engine) -> watch::Receiver<Option<Ipv4Net>> {
        let (tell, address) = watch::channel(None);
        let network = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = network.look(&engine, &tell) => {}
                () = tell.closed() => {}
            }
        });
        address
    }

    async fn look(&self, engine: &Engine, tell: &watch::Sender<Option<Ipv4Net>>) {
        loop {
            let found = match engine.docker().await {
                Ok(docker) => self.ensure(&docker).await,
                Err(error) => Err(error.into()),
            };
            match found {
                Ok(network) => tell.send_if_modified(|known| {
                    let address = address(&network);
                    std::mem::replace(known, address) != address
                }),
                // What holds while the engine is away is what held before.
                Err(error) => {
                    tracing::debug!(%error, "cannot look at the containers' network");
                    false
                }
            };
            sleep(LOOK_PAUSE).await;
        }
    }

    /// Its name in the engine.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whom a container that is made now should ask for names; nobody in particular when that is not known in time.
    pub(crate) async fn nameservers(&self) -> Vec<IpAddr> {
        let Some(mut nameservers) = self.nameservers.clone() else { return vec![] };
        let decided = timeout(NAMESERVERS_WAIT_MAX, nameservers.wait_for(Option::is_some)).await;
        decided.ok().and_then(Result::ok).and_then(|known| known.clone()).unwrap_or_default()
    }

    /// Makes the network if it is not there. An engine lets two networks have one name, and then connects containers to
    /// neither: so only one is made at a time, and what is there twice all the same is made one again.
    pub(crate) async fn ensure(&self, docker: &Docker) -> Result<NetworkInspect, SchedulerError> {
        let _alone = self.making.lock().await;
        if self.ids(docker).await?.is_empty() {
            self.create(docker).await?;
        }
        let ids = self.ids(docker).await?;
        for surplus in ids.iter().skip(1) {
            tracing::warn!(
                network = &*self.name,
                "the network was there twice: removing the younger one"
            );
            let removed = unless_status(docker.remove_network(surplus).await, 404);
            removed.map_err(SchedulerError::container("remove network", &*self.name))?;
        }
        let id = ids.first().map_or(&*self.name, String::as_str);
        let found = docker.inspect_network(id, None::<InspectNetworkOptions>).await;
        found.map_err(SchedulerError::container("inspect network", &*self.name))
    }

    /// The networks of that name, oldest first.
    async fn ids(&self, docker: &Docker) -> Result<Vec<String>, SchedulerError> {
        let filters = HashMap::from([("name", vec![&*self.name])]);
        let options = ListNetworksOptionsBuilder::new().filters(&filters).build();
        let found = docker.list_networks(Some(options)).await;
        let mut found = found.map_err(SchedulerError::container("list networks", &*self.name))?;
        // The filter takes a part of a name, too.
        found.retain(|network| network.name.as_deref() == Some(&*self.name));
        found.sort_by_key(|network| network.created);
        Ok(found.into_iter().filter_map(|network| network.id).collect())
    }

    /// Makes the network. Containers on it are kept apart where the kernel can do that.
    pub(crate) async fn create(&self, docker: &Docker) -> Result<(), SchedulerError> {
        let request = |apart: bool| NetworkCreateRequest {
            name: self.name.to_string(),
            driver: Some("bridge".into()),
            options: apart.then(|| {
                HashMap::from([("com.docker.network.bridge.enable_icc".into(), "false".into())])
            }),
            ..Default::default()
        };
        let created = match docker.create_network(request(true)).await {
            Err(error) if !has_status(&error, 409) => {
                tracing::warn!(%error, "replicas are not kept apart on their network");
                docker.create_network(request(false)).await
            }
            created => created,
        };
        unless_status(created.map(|_| ()), 409)
            .map_err(SchedulerError::container("create network", &*self.name))
    }
}

/// The node's own address on a network, with the network's prefix.
fn address(network: &NetworkInspect) -> Option<Ipv4Net> {
    let configs = network.ipam.as_ref()?.config.as_ref()?;
    configs.iter().find_map(gateway)
}

fn gateway(config: &IpamConfig) -> Option<Ipv4Net> {
    let subnet: Ipv4Net = config.subnet.as_ref()?.parse().ok()?;
    let gateway: Ipv4Addr = config.gateway.as_ref()?.split('/').next()?.parse().ok()?;
    Ipv4Net::new(gateway, subnet.prefix_len()).ok()
}

#[cfg(test)]
mod tests {
    use bollard::models::Ipam;

    use super::*;

    #[tokio::test]
    async fn a_network_is_made_once_however_many_want_it_and_one_that_is_there_twice_is_mended() {
        let engine = Engine::on_socket("/var/run/docker.sock");
        let docker = engine.docker().await.expect("an engine runs here");
        let network = Network::named(&format!("temps-test-{}", std::process::id()));
        let made = futures::future::join_all((0..8).map(|_| network.ensure(&docker))).await;
        assert!(made.iter().all(Result::is_ok), "{made:?}");
        let once = network.ids(&docker).await.expect("it can be listed");
        network.create(&docker).await.expect("the engine lets two have one name");
        let twice = network.ids(&docker).await.expect("it can be listed");
        network.ensure(&docker).await.expect("it is mended");
        let mended = network.ids(&docker).await.expect("it can be listed");
        docker.remove_network(network.name()).await.expect("nobody is connected");
        assert_eq!((once.len(), twice.len()), (1, 2));
        assert_eq!(mended, once);
    }

    #[test]
    fn the_nodes_address_is_the_gateway_of_the_first_ipv4_subnet() {
        let config = |subnet: &str, gateway: &str| IpamConfig {
            subnet: Some(subnet.into()).filter(|s: &String| !s.is_empty()),
            gateway: Some(gateway.into()).filter(|g: &String| !g.is_empty()),
            ..Default::default()
        };
        let six = || config("fd00::/64", "fd00::1");
        for (configs, found) in [
            (vec![config("172.19.0.0/16", "172.19.0.1")], Some("172.19.0.1/16")),
            (vec![six(), config("10.1.2.0/24", "10.1.2.254/24")], Some("10.1.2.254/24")),
            (vec![config("172.19.0.0/16", "")], None),
            (vec![config("", "172.19.0.1")], None),
            (vec![six()], None),
            (vec![], None),
        ] {
            let ipam = Some(Ipam { config: Some(configs), ..Default::default() });
            let network = NetworkInspect { ipam, ..Default::default() };
            let text = address(&network).map(|address| address.to_string());
            assert_eq!(text.as_deref(), found);
        }
        assert_eq!(address(&NetworkInspect::default()), None);
    }
}
