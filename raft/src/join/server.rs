//! The member's side: lets in whoever has a join token, in the name of the whole cluster.

use std::net::SocketAddr;
use std::sync::Arc;

use futures::future::BoxFuture;
use jiff::Timestamp;
use rcgen::PublicKeyData;
use temps_proto::join::join_reply::Outcome;
use temps_proto::join::join_server::{Join, JoinServer};
use temps_proto::join::refused::Why;
use temps_proto::join::{Admitted, JoinReply, JoinRequest, Refused};
use temps_state::{Actor, Command, Node, NodeId, Reply};
use tonic::{Request, Response, Status};
use tracing::{info, warn};

use super::admission::{check, invalid, learned, node, refusal, settled};
use crate::trust::{Caller, PeerIdentity, Trust, TrustError, fingerprint, requested_key};
use crate::{Committed, Proposal, ProposeError};

/// The longest request that is read.
const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// Asks the cluster for a change, from whichever node.
pub trait Proposer: Send + Sync + 'static {
    /// Puts the change in the log and answers once it is applied.
    fn propose(&self, proposal: Proposal) -> BoxFuture<'_, Result<Committed, ProposeError>>;
}

/// Where new nodes are let in.
pub struct Desk<P> {
    trust: Arc<Trust>,
    cluster: P,
    port: u16,
    advertise: Option<SocketAddr>,
}

/// The service for joiners. `port` is this node's peer port; `advertise` where it told others to reach it, if it did.
/// Every request must carry its [`Caller`] as an extension.
pub fn server<P: Proposer>(
    trust: Arc<Trust>,
    cluster: P,
    port: u16,
    advertise: Option<SocketAddr>,
) -> JoinServer<Desk<P>> {
    JoinServer::new(Desk { trust, cluster, port, advertise })
        .max_decoding_message_size(REQUEST_BYTES_MAX)
}

#[tonic::async_trait]
impl<P: Proposer> Join for Desk<P> {
    async fn join(&self, request: Request<JoinRequest>) -> Result<Response<JoinReply>, Status> {
        let caller = request.extensions().get::<Caller>().cloned();
        let Some(Caller { identity: PeerIdentity::Token(token), remote, local }) = caller else {
            return Err(Status::permission_denied("only whoever has a join token may join"));
        };
        self.learn_address(local).await;
        let admitted = self.admit(token, remote, request.into_inner()).await;
        let outcome = match admitted {
            Ok(admitted) => Outcome::Admitted(admitted),
            Err(why) => {
                info!(%remote, ?why, "refused to let a machine join");
                Outcome::Refused(Refused { why: Some(why) })
            }
        };
        Ok(Response::new(JoinReply { outcome: Some(outcome) }))
    }
}

impl<P: Proposer> Desk<P> {
    async fn admit(
        &self,
        token_key: String,
        remote: SocketAddr,
        request: JoinRequest,
    ) -> Result<Admitted, Why> {
        let now = Timestamp::now();
        check(&request, self.trust.applied().format(), now)?;
        let key = requested_key(&request.signing_request).map_err(unusable)?;
        // Whoever gets an id must get a certificate, too.
        let (signer, authority) = (self.trust.signer(), self.trust.authority());
        let (signer, authority) = (signer.map_err(unusable)?, authority.map_err(unusable)?);
        let spki = fingerprint(&key.subject_public_key_info());
        let settled = settled(&self.trust.applied(), &token_key, &spki, now);
        let node = node(request, spki, remote.ip(), now)?;
        let id = match settled {
            Some(settled) => settled?,
            None => self.propose_admission(token_key, node, remote).await?,
        };
        let certificate = signer.sign(&key, id, self.trust.cluster(), now);
        info!(node = %id, %remote, "let a machine join");
        Ok(Admitted {
            node: id.0,
            cluster: self.trust.cluster().into(),
            cluster_key: self.trust.cluster_key().octets().to_vec().into(),
            authority,
            certificate: certificate.map_err(unusable)?,
        })
    }

    async fn propose_admission(
        &self,
        token_key: String,
        node: Node,
        remote: SocketAddr,
    ) -> Result<NodeId, Why> {
        let proposal = Proposal {
            from: Some(remote.ip().to_canonical()),
            ..self.proposal(Command::AdmitNode { token_key, node })
        };
        match self.cluster.propose(proposal).await.map_err(refusal)?.reply {
            Reply::Node { id } => Ok(id),
            _ => Err(invalid("the cluster answered what this version does not know".into())),
        }
    }

    /// A node that was not told its address learns it from the first call that reached it, so that the others can call
    /// it. Failing is no harm: the next call tries again.
    async fn learn_address(&self, local: SocketAddr) {
        let applied = self.trust.applied();
        let own = applied.nodes.get(&self.trust.node()).filter(|_| self.advertise.is_none());
        let Some(own) = own else { return };
        let Some(address) = learned(own.address, local.ip(), self.port) else { return };
        let node = Node { address: Some(address), ..own.clone() };
        if let Err(error) = self.cluster.propose(self.proposal(node.into())).await {
            warn!(%error, %address, "this node's own address could not be recorded");
        }
    }

    fn proposal(&self, command: Command) -> Proposal {
        Proposal::new(Actor::Node { id: self.trust.node() }, command)
    }
}

fn unusable(error: TrustError) -> Why {
    invalid(error.to_string())
}
