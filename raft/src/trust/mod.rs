//! Whom this node believes, and how it makes others believe it: the keys and certificates of node-to-node calls.
//!
//! Every node has a key of its own and a certificate for it, signed by the cluster's authority. A certificate counts
//! only together with the state, which has every node's key: that is how a removed node is locked out at once.

mod authority;
mod caller;
mod certificate;
mod error;
#[cfg(test)]
mod ground;
mod known;
mod node_key;
mod own;
pub(crate) mod signatures;
#[cfg(test)]
mod tests;
mod token;

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use jiff::{SignedDuration, Timestamp};
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::default_provider;
use rustls::server::NoServerSessionStorage;
use rustls::version::TLS13;
use rustls::{ClientConfig, ServerConfig};
use temps_state::{ClusterKey, JoinToken, NodeId};
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

pub use authority::{Signer, draw_authority};
pub use caller::{Caller, PeerIdentity, peer_of};
pub use certificate::{Facts, fingerprint, from_pem};
pub use error::TrustError;
pub use known::{read, server_name};
pub use node_key::{NodeKey, requested_key};
pub use own::servers;
pub use token::{SEED_LEN, Token, TokenError};

use crate::folder::{Folder, write_file};
use crate::identity::Identity;
use crate::{Applied, RaftError, fresh_id};
use known::{Known, Reaching, belongs};
use own::Own;

/// How often a node looks whether its certificate must be renewed.
const LOOK_EVERY: Duration = Duration::from_secs(60 * 60);

/// This node's key and certificate, and the rules by which it believes others.
pub struct Trust {
    folder: Folder,
    node: NodeId,
    cluster_key: ClusterKey,
    key: NodeKey,
    known: Arc<Known>,
}

impl Trust {
    /// Reads the node's key and certificate. The founder draws a key when it has none. Blocks.
    pub fn open(
        folder: &Folder,
        identity: &Identity,
        applied: watch::Receiver<Arc<Applied>>,
        key: &ClusterKey,
    ) -> Result<Arc<Self>, RaftError> {
        let path = folder.node_key();
        let node_key = match NodeKey::read(&path)? {
            Some(key) => key,
            None if identity.founded() => NodeKey::read_or_draw(&path)?,
            None => return Err(RaftError::NodeKeyMissing { path }),
        };
        let own = read_own(folder, &node_key)?;
        let cluster = identity.cluster.clone();
        let known = Known { cluster, applied, own: ArcSwapOption::from_pointee(own) };
        let trust = Self {
            folder: folder.clone(),
            node: identity.node,
            cluster_key: key.clone(),
            key: node_key,
            known: Arc::new(known),
        };
        trust.ensure_certificate(Timestamp::now())?;
        Ok(Arc::new(trust))
    }

    /// SHA-256 of this node's public key (`SubjectPublicKeyInfo`), in hex: what the state has of it.
    pub fn fingerprint(&self) -> String {
        self.key.fingerprint()
    }

    /// Whether this node has a certificate, without which it neither makes nor takes calls.
    pub fn is_ready(&self) -> bool {
        self.known.own.load().is_some()
    }

    /// How this node takes calls. Its certificate may be renewed meanwhile.
    pub fn server(&self, alpn: &[&[u8]]) -> Arc<ServerConfig> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .expect("ring has cipher suites for TLS 1.3")
            .with_client_cert_verifier(self.known.clone())
            .with_cert_resolver(self.known.clone());
        // Whoever was removed must not come back with an old session.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.alpn_protocols = owned(alpn);
        Arc::new(config)
    }

    /// How this node calls another one: it makes sure to have reached that one. The server name does not matter.
    pub fn client(&self, node: NodeId, alpn: &[&[u8]]) -> Arc<ClientConfig> {
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13])
            .expect("ring has cipher suites for TLS 1.3")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Reaching {
                known: self.known.clone(),
                node,
            }))
            .with_client_cert_resolver(self.known.clone());
        config.resumption = Resumption::disabled();
        config.enable_sni = false;
        config.alpn_protocols = owned(alpn);
        Arc::new(config)
    }

    /// Whether a node that once was let in still belongs to the cluster.
    pub fn belongs(&self, node: NodeId) -> bool {
        belongs(&self.known.applied.borrow(), node)
    }

    /// The join token of a seed: what the state keeps, and the text for whoever joins. Nothing is kept of the text.
    pub fn token_of(
        &self,
        seed: [u8; SEED_LEN],
        now: Timestamp,
        ttl: SignedDuration,
        uses: u32,
    ) -> Result<(JoinToken, String), TrustError> {
        let own = self.known.own.load_full().ok_or(TrustError::NoAuthority)?;
        let token = Token::new(seed, &own.authority);
        let expires_at = now.checked_add(ttl).map_err(TrustError::Lifetime)?;
        let key = token.key()?;
        let record =
            JoinToken { id: fresh_id(), key, created_at: now, expires_at, uses_left: uses };
        Ok((record, token.reveal()))
    }

    /// Opens the authority's private key, to sign.
    pub fn signer(&self) -> Result<Signer, TrustError> {
        let applied = self.known.applied.borrow().clone();
        let authority = applied.authority().ok_or(TrustError::NoAuthority)?;
        Signer::open(authority, &self.cluster_key)
    }

    /// The certificate of the cluster's authority, in PEM.
    pub fn authority(&self) -> Result<String, TrustError> {
        let applied = self.known.applied.borrow();
        let authority = applied.authority().ok_or(TrustError::NoAuthority)?;
        Ok(authority.certificate.clone())
    }

    /// The key that seals the cluster's secrets.
    pub fn cluster_key(&self) -> &ClusterKey {
        &self.cluster_key
    }

    /// This node's id.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// The cluster's id.
    pub fn cluster(&self) -> &str {
        &self.known.cluster
    }

    /// What this node has applied.
    pub fn applied(&self) -> Arc<Applied> {
        self.known.applied.borrow().clone()
    }

    /// Signs a certificate for this node when it has none, or one that ends soon. Does nothing while there is no
    /// authority, and nothing twice. Blocks on the disk.
    pub fn ensure_certificate(&self, now: Timestamp) -> Result<(), RaftError> {
        if !self.wants_certificate(now) {
            return Ok(());
        }
        let (signer, authority) = match (self.signer(), self.authority()) {
            (Err(TrustError::NoAuthority), _) => return Ok(()),
            (signer, authority) => (signer?, authority?),
        };
        let certificate = signer.sign(self.key.pair(), self.node, self.cluster(), now)?;
        let own = Own::new(&self.key, &certificate, &authority)?;
        write_file(&self.folder.authority(), authority.as_bytes())?;
        write_file(&self.folder.certificate(), certificate.as_bytes())?;
        self.known.own.store(Some(Arc::new(own)));
        info!(node = %self.node, "signed a new certificate for this node");
        Ok(())
    }

    fn wants_certificate(&self, now: Timestamp) -> bool {
        self.known.own.load().as_ref().is_none_or(|own| !own.lasts(now))
    }

    /// Keeps the certificate fresh: makes it as soon as there is an authority, and looks after it every hour. Runs
    /// until the state ends.
    pub async fn keep_certificate(self: Arc<Self>) {
        let mut applied = self.known.applied.clone();
        let mut hourly = interval(LOOK_EVERY);
        hourly.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = hourly.tick() => self.look().await,
                changed = applied.changed() => match changed {
                    Ok(()) if !self.is_ready() => self.look().await,
                    Ok(()) => {}
                    Err(_) => return,
                },
            }
        }
    }

    async fn look(self: &Arc<Self>) {
        let trust = self.clone();
        let looked =
            tokio::task::spawn_blocking(move || trust.ensure_certificate(Timestamp::now()));
        if let Ok(Err(error)) = looked.await {
            let error = &error as &dyn std::error::Error;
            warn!(error, "this node's certificate could not be renewed; it is tried again");
        }
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trust(node {} of {})", self.node, self.cluster())
    }
}

/// The cryptography of every handshake between nodes.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(default_provider())
}

/// The certificates in the folder. One that does not fit the key any more counts as none: this node signs another.
fn read_own(folder: &Folder, key: &NodeKey) -> Result<Option<Own>, RaftError> {
    let certificate = read_text(&folder.certificate())?;
    let (Some(certificate), Some(authority)) = (certificate, read_text(&folder.authority())?)
    else {
        return Ok(None);
    };
    let own = Own::new(key, &certificate, &authority);
    Ok(own.inspect_err(|error| warn!(%error, "this node's certificate is of no use")).ok())
}

fn read_text(path: &Path) -> Result<Option<String>, RaftError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(RaftError::file("read", path)(e)),
    }
}

fn owned(alpn: &[&[u8]]) -> Vec<Vec<u8>> {
    alpn.iter().map(|protocol| protocol.to_vec()).collect()
}
