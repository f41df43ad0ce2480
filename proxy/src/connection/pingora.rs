//! What Pingora asks of anything that it takes for a socket.

use std::os::fd::AsRawFd;
use std::sync::Arc;

use async_trait::async_trait;
use pingora_core::protocols::raw_connect::ProxyDigest;
use pingora_core::protocols::tls::SslDigest;
use pingora_core::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl,
    TimingDigest, UniqueID,
};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::Connection;
use crate::limits::CLOSE_MAX;

#[async_trait]
impl Shutdown for Connection {
    async fn shutdown(&mut self) {
        let _ = timeout(CLOSE_MAX, AsyncWriteExt::shutdown(self)).await;
    }
}

impl UniqueID for Connection {
    fn id(&self) -> i32 {
        self.transport.as_ref().map_or(-1, AsRawFd::as_raw_fd)
    }
}

impl Ssl for Connection {
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.tls.clone()
    }

    /// Pingora speaks HTTP/2 where this says so, with and without TLS.
    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.h2.is_some().then_some(ALPN::H2)
    }
}

impl GetSocketDigest for Connection {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        Some(self.socket.clone())
    }
}

impl GetTimingDigest for Connection {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
}

impl GetProxyDigest for Connection {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        None
    }
}

impl Peek for Connection {}
