//! A UDP port and who calls at it.

use std::net::SocketAddr;
use std::sync::Arc;

use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Endpoint, EndpointConfig, TokioRuntime};
use rustix::net::sockopt;
use rustls::{ServerConfig, quic};
use tokio::time::timeout;

use crate::bounds::{CLOSE_MAX, SOCKET_BUFFER, WAITING_BYTES_MAX, WAITING_MAX};
use crate::succession::{self, Ids, Mark};
use crate::{ALPN, Bounds, Connection, Http3Error, Reason};

/// Takes connections at a UDP port.
pub struct Port {
    endpoint: Endpoint,
    bounds: Bounds,
}

impl Port {
    /// Takes the port, beside a process before this one whose connections go on until it closes its own: who calls from now
    /// on calls here. Needs a Tokio runtime. Of `tls`, certificates and tickets are used; protocols and early data are set
    /// here.
    pub fn open(
        address: SocketAddr,
        tls: ServerConfig,
        bounds: Bounds,
    ) -> Result<Self, Http3Error> {
        let config = config(tls, &bounds)?;
        let mark = Mark::draw();
        let socket = succession::take(address, mark)
            .map_err(|source| Http3Error::Bind { address, source })?;
        // As large as the system allows.
        let _ = sockopt::set_socket_recv_buffer_size(&socket, SOCKET_BUFFER);
        let _ = sockopt::set_socket_send_buffer_size(&socket, SOCKET_BUFFER);
        let (mut quic, runtime) = (EndpointConfig::default(), Arc::new(TokioRuntime));
        quic.cid_generator(move || Box::new(Ids(mark)));
        let endpoint =
            Endpoint::new(quic, Some(config), socket, runtime).map_err(Http3Error::Setup)?;
        Ok(Self { endpoint, bounds })
    }

    /// Where it is.
    pub fn address(&self) -> Option<SocketAddr> {
        self.endpoint.local_addr().ok()
    }

    /// The next who calls; `None` once the port is closed. Can be dropped at any time.
    pub async fn next(&self) -> Option<Caller> {
        Some(Caller { incoming: self.endpoint.accept().await?, bounds: self.bounds })
    }

    /// Refuses whoever calls, for as long as it is awaited; connections go on.
    pub async fn refuse(&self) {
        while let Some(caller) = self.next().await {
            caller.refuse();
        }
    }

    /// Ends all connections and frees the port, once nobody holds a [`Connection`] or an [`Exchange`](crate::Exchange).
    pub async fn close(self) {
        self.endpoint.close(Reason::NoError.number(), b"");
        let _ = timeout(CLOSE_MAX, self.endpoint.wait_idle()).await;
    }
}

fn config(mut tls: ServerConfig, bounds: &Bounds) -> Result<quinn::ServerConfig, Http3Error> {
    tls.alpn_protocols = vec![ALPN.into()];
    // Whoever records a request could send it again.
    tls.max_early_data_size = 0;
    let tls = Arc::new(tls);
    // quinn panics, with its endpoint locked, where this fails.
    quic::ServerConnection::new(tls.clone(), quic::Version::V1, vec![]).map_err(Http3Error::Tls)?;
    let tls = QuicServerConfig::try_from(tls).map_err(Http3Error::Cipher)?;
    let mut config = quinn::ServerConfig::with_crypto(Arc::new(tls));
    config
        .transport_config(bounds.transport())
        // A request's client is who opened the connection, for as long as it lasts.
        .migration(false)
        .max_incoming(WAITING_MAX)
        .incoming_buffer_size(WAITING_BYTES_MAX / WAITING_MAX as u64)
        .incoming_buffer_size_total(WAITING_BYTES_MAX);
    Ok(config)
}

/// Somebody who begins a handshake.
pub struct Caller {
    incoming: quinn::Incoming,
    bounds: Bounds,
}

impl Caller {
    /// Where they claim to be.
    pub fn address(&self) -> SocketAddr {
        self.incoming.remote_address()
    }

    /// Whether they have shown that they receive there.
    pub fn is_proven(&self) -> bool {
        self.incoming.remote_address_validated()
    }

    /// Has them show it, before anything is kept of them (RFC 9000 §8.1.2).
    pub fn prove(self) {
        // Fails for those only who have.
        let _ = self.incoming.retry();
    }

    /// Tells them to go elsewhere.
    pub fn refuse(self) {
        self.incoming.refuse();
    }

    /// Says nothing; they will try again.
    pub fn ignore(self) {
        self.incoming.ignore();
    }

    /// Shakes hands.
    pub async fn greet(self) -> Result<Connection, Http3Error> {
        let connecting = self.incoming.accept().map_err(Http3Error::Handshake)?;
        Connection::new(connecting.await.map_err(Http3Error::Handshake)?, &self.bounds).await
    }
}
