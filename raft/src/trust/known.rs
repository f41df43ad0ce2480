//! Who is let in, by what the cluster agrees on.

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::client::ResolvesClientCert;
use rustls::client::danger::{ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, DistinguishedName, Error, SignatureScheme};
use temps_state::NodeId;
use tokio::sync::watch;

use super::certificate::{Facts, node_name};
use super::own::Own;
use super::signatures::judge_signatures;
use crate::Applied;

/// Whether a node belongs to the cluster as far as it is known here: ids are log indexes, so one that is greater than
/// what was applied is too new to be known, and one that is not was removed.
///
/// A state that names no node yet says nothing of anybody: it is the founder's before its first report, or that of a node
/// that is just being fed, and must believe the leader to be fed at all. This opens no door. Whoever gets here has a
/// certificate that the authority signed for this id; nodes are removed only from states that have some, so a removed
/// one meets such a state only on a node that has nothing of the cluster's but what it is about to be sent.
pub fn belongs(applied: &Applied, node: NodeId) -> bool {
    applied.nodes.contains_key(&node) || node.0 > applied.index || applied.nodes.is_empty()
}

/// Whether a node may show this key. One that has told no key yet may show any that the authority signed.
pub fn may_show(applied: &Applied, node: NodeId, key: &str) -> bool {
    match applied.nodes.get(&node) {
        Some(known) => known.key.is_empty() || known.key == key,
        None => belongs(applied, node),
    }
}

/// What handshakes are judged by: this node's certificate and authority, and the state.
pub struct Known {
    pub cluster: String,
    pub applied: watch::Receiver<Arc<Applied>>,
    pub own: ArcSwapOption<Own>,
}

impl Known {
    fn own(&self) -> Result<Arc<Own>, Error> {
        self.own.load_full().ok_or_else(|| CertificateError::UnknownIssuer.into())
    }

    /// A certificate that the authority signed counts only while the state has its node, and with that key.
    fn check_node(&self, facts: &Facts) -> Result<(), Error> {
        let named = facts.node().filter(|(_, cluster)| *cluster == self.cluster);
        let (node, _) = named.ok_or(CertificateError::NotValidForName)?;
        let shown = may_show(&self.applied.borrow(), node, &facts.key);
        let refused = CertificateError::ApplicationVerificationFailure;
        shown.then_some(()).ok_or_else(|| refused.into())
    }

    /// A token that was used up or expired gets through, to be told so; one that nobody knows does not.
    fn check_token(&self, facts: &Facts) -> Result<(), Error> {
        let known = self.applied.borrow().join_token(&facts.key).is_some();
        let refused = CertificateError::ApplicationVerificationFailure;
        known.then_some(()).ok_or_else(|| refused.into())
    }
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Known({})", self.cluster)
    }
}

/// Shows this node's certificate, whichever is the newest.
impl ResolvesServerCert for Known {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.own.load().as_ref()?.certified.clone())
    }
}

/// Shows this node's certificate, whichever is the newest.
impl ResolvesClientCert for Known {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.own.load().as_ref()?.certified.clone())
    }

    fn has_certs(&self) -> bool {
        self.own.load().is_some()
    }
}

/// Lets nodes in, and whoever has a join token.
impl ClientCertVerifier for Known {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let facts = read(certificate)?;
        if facts.of_token {
            self.check_token(&facts)?;
        } else {
            self.own()?.clients.verify_client_cert(certificate, &[], now)?;
            self.check_node(&facts)?;
        }
        Ok(ClientCertVerified::assertion())
    }

    judge_signatures!();
}

/// Makes sure that a connection reached one node and no other.
#[derive(Debug)]
pub struct Reaching {
    pub known: Arc<Known>,
    pub node: NodeId,
}

impl ServerCertVerifier for Reaching {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let name = server_name(self.node, &self.known.cluster)?;
        let servers = self.known.own()?.servers.clone();
        servers.verify_server_cert(certificate, &[], &name, &[], now)?;
        self.known.check_node(&read(certificate)?)?;
        Ok(ServerCertVerified::assertion())
    }

    judge_signatures!();
}

/// What a node's certificate must be for.
pub fn server_name(node: NodeId, cluster: &str) -> Result<ServerName<'static>, Error> {
    let name = ServerName::try_from(node_name(node, cluster));
    name.map_err(|_| CertificateError::NotValidForName.into())
}

/// Reads a certificate for a verifier.
pub fn read(certificate: &CertificateDer<'_>) -> Result<Facts, Error> {
    Facts::read(certificate).map_err(|_| CertificateError::BadEncoding.into())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use temps_state::{Node, State};

    use super::*;

    #[test]
    fn a_node_counts_while_it_is_known_or_too_new_to_be_known() {
        let mut state = State::default();
        let node = |id, key: &str| Node {
            key: key.into(),
            ..Node::new(NodeId(id), "n", Timestamp::UNIX_EPOCH)
        };
        state.nodes.insert(NodeId(1), node(1, ""));
        state.nodes.insert(NodeId(5), node(5, "k5"));
        let applied = Applied { index: 8, state, ..Applied::default() };
        let cases = [
            (1, "any", true),
            (5, "k5", true),
            (5, "other", false),
            (7, "k7", false),
            (8, "k8", false),
            (9, "k9", true),
        ];
        for (id, key, shown) in cases {
            assert_eq!(may_show(&applied, NodeId(id), key), shown, "node {id} with {key}");
        }
    }
}
