//! A client's TLS session goes on at any edge of the cluster, also after the keys of its tickets were rotated.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use rustls::{ClientConfig, HandshakeKind, SupportedProtocolVersion, version};
use temps_state::*;

use crate::support::authority::{Authority, connect, get};
use crate::support::{TestEdge, cluster_key};

const VERSIONS: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];
const NAME: &str = "a.example.com";

/// The n-th key of session tickets, long known everywhere.
fn ticket_key(n: u8) -> (u64, TicketKey) {
    let key = STANDARD.encode([n; 32]);
    let key = cluster_key().seal([n; 12], TicketKey::PLACE, &key).expect("short");
    let created_at = Timestamp::now() - SignedDuration::from_secs(1_000 - i64::from(n));
    (u64::from(n), TicketKey { key, created_at })
}

/// An edge whose state holds a certificate and these keys.
async fn edge(certificate: &Certificate, keys: &[u8]) -> TestEdge {
    let mut edge = TestEdge::start().await;
    set(&mut edge, certificate, keys).await;
    edge
}

async fn set(edge: &mut TestEdge, certificate: &Certificate, keys: &[u8]) {
    edge.change(|state| {
        state.certificates.insert(certificate.id, certificate.clone());
        state.ticket_keys = keys.iter().map(|n| ticket_key(*n)).collect();
    })
    .await;
}

/// Connects, asks for something so that tickets have come, and says how the handshake went.
async fn visit(client: &Arc<ClientConfig>, edge: &TestEdge) -> HandshakeKind {
    let mut stream = connect(client, edge.https, NAME).await.expect("a certificate");
    get(&mut stream, NAME).await;
    stream.get_ref().1.handshake_kind().expect("it is over")
}

#[tokio::test]
async fn a_session_goes_on_at_any_edge() {
    let mut authority = Authority::new();
    let certificate = authority.issue(&[NAME]);
    let (one, two) = (edge(&certificate, &[1]).await, edge(&certificate, &[1]).await);
    let stranger = edge(&certificate, &[]).await;
    for version in VERSIONS {
        let client = Arc::new(authority.client_of(&[version]));
        assert_eq!(visit(&client, &one).await, HandshakeKind::Full, "{version:?}");
        for edge in [&two, &one, &two, &two] {
            assert_eq!(visit(&client, edge).await, HandshakeKind::Resumed, "{version:?}");
        }
        assert_eq!(visit(&client, &stranger).await, HandshakeKind::Full, "{version:?}");
        assert_eq!(visit(&client, &stranger).await, HandshakeKind::Resumed, "{version:?}");
    }
}

#[tokio::test]
async fn rotation_keeps_tickets_valid_while_their_key_is_kept() {
    let mut authority = Authority::new();
    let certificate = authority.issue(&[NAME]);
    for version in VERSIONS {
        let (old, mut new) = (edge(&certificate, &[1]).await, edge(&certificate, &[1]).await);
        for (keys, kind) in [
            (&[1, 2][..], HandshakeKind::Resumed),
            (&[1, 2, 3], HandshakeKind::Resumed),
            (&[2, 3, 4], HandshakeKind::Full),
        ] {
            let client = Arc::new(authority.client_of(&[version]));
            assert_eq!(visit(&client, &old).await, HandshakeKind::Full);
            set(&mut new, &certificate, keys).await;
            assert_eq!(visit(&client, &new).await, kind, "{version:?} {keys:?}");
        }
    }
}
