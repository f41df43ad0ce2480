//! What the tests of trust share: the members of one cluster, without the cluster.

use std::io;
use std::sync::Arc;

use jiff::Timestamp;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};
use tempfile::TempDir;
use temps_state::{ClusterKey, Node, NodeId, State};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio::sync::watch;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::own::Own;
use super::{NodeKey, PeerIdentity, Signer, Trust, draw_authority, peer_of};
use crate::Applied;
use crate::folder::{Folder, write_file};
use crate::identity::Identity;

/// What a server says to whom it lets in.
pub const GREETING: &[u8] = b"hello";

/// What the members of a cluster agree on.
pub struct Ground {
    pub cluster: String,
    pub key: ClusterKey,
    pub applied: watch::Sender<Arc<Applied>>,
}

/// A node's folder and what it trusts.
pub struct Member {
    pub trust: Arc<Trust>,
    pub dir: TempDir,
}

impl Ground {
    /// A cluster with an authority, and no nodes yet.
    pub fn new() -> Self {
        let ground = Self::without_authority();
        let authority = draw_authority(&ground.key, &ground.cluster, Timestamp::now()).unwrap();
        ground.change(|state| drop(state.authority.insert(0, authority)));
        ground
    }

    pub fn without_authority() -> Self {
        let applied = watch::Sender::new(Arc::new(Applied { index: 10, ..Applied::default() }));
        let cluster = hex::encode(rand::random::<[u8; 16]>());
        Self { cluster, key: ClusterKey::new(rand::random()), applied }
    }

    pub fn change(&self, change: impl FnOnce(&mut State)) {
        self.applied.send_modify(|applied| {
            let mut state = applied.state.clone();
            change(&mut state);
            *applied = Arc::new(Applied { index: applied.index, at: applied.at, state });
        });
    }

    /// A node that everybody knows.
    pub fn member(&self, id: u64) -> Member {
        let member = self.stranger(id);
        let key = member.trust.fingerprint();
        let node = Node { key, ..Node::new(NodeId(id), "n", Timestamp::UNIX_EPOCH) };
        self.change(|state| drop(state.nodes.insert(NodeId(id), node)));
        member
    }

    /// A node that the state does not have.
    pub fn stranger(&self, id: u64) -> Member {
        self.open(id, tempfile::tempdir().unwrap(), self.applied.subscribe())
    }

    /// A node that was given its certificate at some other time, and has been fed nothing since.
    pub fn unfed(&self, id: u64, signed_at: Timestamp) -> Member {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder { root: dir.path().into() };
        let key = NodeKey::read_or_draw(&folder.node_key()).unwrap();
        let applied = self.applied.borrow().clone();
        let authority = applied.authority().unwrap();
        let signer = Signer::open(authority, &self.key).unwrap();
        let signed = signer.sign(key.pair(), NodeId(id), &self.cluster, signed_at).unwrap();
        write_file(&folder.certificate(), signed.as_bytes()).unwrap();
        write_file(&folder.authority(), authority.certificate.as_bytes()).unwrap();
        self.open(id, dir, watch::Sender::new(Arc::default()).subscribe())
    }

    fn open(&self, id: u64, dir: TempDir, applied: watch::Receiver<Arc<Applied>>) -> Member {
        let folder = Folder { root: dir.path().into() };
        NodeKey::read_or_draw(&folder.node_key()).unwrap();
        let identity = Identity::joined(NodeId(id), self.cluster.clone(), &self.key);
        let trust = Trust::open(&folder, &identity, applied, &self.key).unwrap();
        Member { trust, dir }
    }
}

impl Member {
    pub fn server(&self) -> Arc<ServerConfig> {
        self.trust.server(&[b"t"])
    }

    pub fn client(&self, node: u64) -> Arc<ClientConfig> {
        self.trust.client(NodeId(node), &[b"t"])
    }
}

impl Trust {
    /// Shows a certificate from now on that was signed at some other time.
    pub fn wear(&self, signed_at: Timestamp) {
        let (signer, authority) = (self.signer().unwrap(), self.authority().unwrap());
        let signed = signer.sign(self.key.pair(), self.node, self.cluster(), signed_at).unwrap();
        self.known.own.store(Some(Arc::new(Own::new(&self.key, &signed, &authority).unwrap())));
    }

    /// Whether the certificate that is shown need not be renewed at that time.
    pub fn lasts(&self, until: Timestamp) -> bool {
        !self.wants_certificate(until)
    }
}

/// Calls a server, which greets whom it lets in: whom it saw, and what the caller heard.
pub async fn call(
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
) -> (io::Result<Option<PeerIdentity>>, io::Result<Vec<u8>>) {
    let (here, there) = duplex(64 * 1024);
    let serving = async {
        let mut tls = TlsAcceptor::from(server).accept(there).await?;
        let seen = tls.get_ref().1.peer_certificates().and_then(peer_of);
        tls.write_all(GREETING).await?;
        tls.shutdown().await?;
        Ok(seen)
    };
    let calling = async {
        let name = ServerName::try_from("any.example").unwrap();
        let mut tls = TlsConnector::from(client).connect(name, here).await?;
        let mut heard = Vec::new();
        tls.read_to_end(&mut heard).await?;
        Ok(heard)
    };
    tokio::join!(serving, calling)
}

/// Whether a call got through, to the right one.
pub async fn reaches(from: &Member, to: &Member) -> bool {
    let node = to.trust.node();
    let (seen, heard) = call(to.server(), from.client(node.0)).await;
    let seen = seen.is_ok_and(|seen| seen == Some(PeerIdentity::Node(from.trust.node())));
    seen && heard.is_ok_and(|heard| heard == GREETING)
}
