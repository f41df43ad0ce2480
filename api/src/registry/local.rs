//! The registry on loopback, for the node's own engine.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use temps_builder::{Builder, OwnRegistry};
use temps_raft::Cluster;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::access::Access;
use super::{Registry, mount};

/// The file with the port of the last run. With the same one the engine knows which layers it need not push again.
const PORT_FILE: &str = "registry.port";

/// A listener that nobody is answered on yet.
pub struct LocalRegistry {
    listener: TcpListener,
    own: OwnRegistry,
}

impl LocalRegistry {
    /// Listens on loopback, on the port of the last run if it is free, and draws a password.
    pub async fn bind(data_dir: &Path) -> io::Result<Self> {
        let file = data_dir.join(PORT_FILE);
        let last = std::fs::read_to_string(&file).ok().and_then(|text| text.trim().parse().ok());
        let on = |port: u16| TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let listener = match on(last.unwrap_or(0)).await {
            Err(_) => on(0).await?,
            bound => bound?,
        };
        let address = listener.local_addr()?;
        std::fs::write(file, address.port().to_string())?;
        let password = hex::encode(rand::random::<[u8; 32]>());
        Ok(Self { listener, own: OwnRegistry::new(address, password) })
    }

    /// What the builder must know of it.
    pub fn own(&self) -> OwnRegistry {
        self.own.clone()
    }

    /// Answers until `stop`.
    pub async fn serve(
        self,
        builder: Builder,
        cluster: Cluster,
        stop: CancellationToken,
    ) -> io::Result<()> {
        let access = Access::Engine(self.own, cluster.node_id());
        let registry = Registry { builder, cluster, access };
        let serving = axum::serve(self.listener, mount::<()>(registry)).into_future();
        stop.run_until_cancelled(serving).await.unwrap_or(Ok(()))
    }
}
