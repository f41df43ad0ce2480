//! The ports of a node, claimed before anything is changed, or taken over from the process before.

use std::net::{SocketAddr, TcpListener};

use temps_dns::AuthoritySockets;
use temps_proxy::EdgeSockets;

use crate::node_config::NodeConfig;
use crate::serve_error::ServeError;
use crate::upgrade::handover::Sockets;

/// Takes the ports of the edge and the API, and makes sure that the one for other nodes is free.
pub fn claim(config: &NodeConfig) -> Result<Sockets, ServeError> {
    let peer = bind("peer", config.peer)?;
    let http = bind("http", config.http)?;
    let https = config.https.map(|address| bind("https", address)).transpose()?;
    let api = bind("api", config.api)?;
    let dns = config.dns.map(bind_dns).transpose()?;
    drop(peer);
    Ok(Sockets { edge: EdgeSockets { http, https }, api, dns })
}

/// Takes what the process before did not have, as it was another program, and lets go of what is not wanted.
pub fn claim_rest(sockets: Sockets, config: &NodeConfig) -> Result<Sockets, ServeError> {
    let dns = match (config.dns, sockets.dns) {
        (Some(address), None) => Some(bind_dns(address)?),
        (Some(_), taken) => taken,
        (None, _) => None,
    };
    Ok(Sockets { dns, ..sockets })
}

fn bind_dns(address: SocketAddr) -> Result<AuthoritySockets, ServeError> {
    let bound = AuthoritySockets::bind(address);
    bound.map_err(|source| ServeError::Listen { flag: "dns", address, source })
}

fn bind(flag: &'static str, address: SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address).map_err(|source| ServeError::Listen { flag, address, source })
}
