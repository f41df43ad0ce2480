//! The requests that this node's edge has answered, as the API tells of them.

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use temps_api::{Followed, RequestSeen, Requests};
use temps_proxy::{Recent, SeenRequest};
use temps_state::{EnvironmentId, NodeId};
use tokio::sync::broadcast::error::RecvError;

/// This node's edge.
pub struct Answered {
    /// The node.
    pub node: NodeId,
    /// What its edge keeps.
    pub recent: Recent,
}

impl Requests for Answered {
    fn latest(&self, environment: EnvironmentId) -> Vec<RequestSeen> {
        self.recent.of(environment).iter().map(|seen| told(self.node, seen)).collect()
    }

    fn follow(&self, environment: EnvironmentId) -> BoxStream<'static, Followed> {
        let node = self.node;
        stream::unfold(self.recent.follow(), move |mut live| async move {
            loop {
                let followed = match live.recv().await {
                    Ok(seen) if seen.environment == environment => {
                        Followed::Request(told(node, &seen))
                    }
                    Ok(_) => continue,
                    Err(RecvError::Lagged(count)) => Followed::Missed(count),
                    Err(RecvError::Closed) => return None,
                };
                return Some((followed, live));
            }
        })
        .boxed()
    }
}

fn told(node: NodeId, seen: &SeenRequest) -> RequestSeen {
    let SeenRequest { request_id, method, host, path, error, .. } = seen.clone();
    RequestSeen {
        at: seen.at,
        node,
        request_id,
        method: method.to_string(),
        host,
        path,
        https: seen.https,
        status: seen.status,
        received_bytes: seen.received_bytes,
        sent_bytes: seen.sent_bytes,
        milliseconds: seen.milliseconds,
        client: seen.client,
        replica_node: seen.replica_node,
        error,
    }
}
