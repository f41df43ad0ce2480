//! How the edge speaks TLS.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::default_provider;
use rustls::server::NoServerSessionStorage;
use rustls::{ServerConfig, version};

use crate::tls::Certificates;

/// The protocol of an authority that looks for the answer to a challenge (RFC 8737 §6.2).
pub(crate) const CHALLENGE_PROTOCOL: &[u8] = b"acme-tls/1";

/// TLS 1.2 and 1.3, HTTP/2 where the client can.
pub(crate) fn server_config(
    certificates: Arc<Certificates>,
) -> Result<ServerConfig, rustls::Error> {
    let tickets = certificates.tickets.clone();
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols =
        [b"h2", &b"http/1.1"[..], CHALLENGE_PROTOCOL].map(<[u8]>::to_vec).into();
    config.ticketer = tickets;
    // Sessions are the clients' to keep: any edge reads their tickets, and no handshake takes a lock.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}

/// The one provider of cryptography.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(default_provider())
}
