//! The API of a node, ready to serve: to the world over TCP, to peers over streams of theirs.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::Request;
use axum::middleware::{self, Next};
use axum::{Router, response::Response};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use temps_state::NodeId;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::context::Shared;
use crate::front::{API_CONNECTIONS_MAX, Front};
use crate::relay::{Duplex, Relayed};
use crate::{internal, router};

/// How long a peer may take to send the head of a request.
const HEAD_WITHIN: Duration = Duration::from_secs(10);

/// The API of a node. Clones share it.
#[derive(Clone)]
pub struct ApiHandle {
    context: Shared,
    router: Router,
    peers: Router,
    connections_max: usize,
}

impl ApiHandle {
    pub(crate) fn new(context: Shared) -> Self {
        let router = router::router(Arc::clone(&context));
        let peers = router.clone().merge(internal::router(Arc::clone(&context)));
        let peers = peers.layer(middleware::from_fn(mark));
        Self { context, router, peers, connections_max: API_CONNECTIONS_MAX }
    }

    /// Holds no more than so many connections open at once, where few files may be open.
    pub fn with_connections_at_most(self, most: usize) -> Self {
        Self { connections_max: self.connections_max.min(most), ..self }
    }

    /// Answers on `listener` until `stop`, then ends what is under way; Git requests are cut after two seconds.
    pub async fn serve(self, listener: TcpListener, stop: CancellationToken) -> io::Result<()> {
        let serving = Front::new(self.router, self.connections_max).serve(listener, stop.clone());
        let ending = async {
            stop.cancelled().await;
            self.context.git_tasks.end().await;
        };
        tokio::join!(serving, ending);
        Ok(())
    }

    /// Answers what another node sends on, and what only nodes may ask, until the stream ends. Who it is must have been
    /// proven: it is believed what it tells of its client.
    pub async fn serve_peer(&self, stream: impl Duplex, from: NodeId) {
        let service = TowerToHyperService::new(self.peers.clone());
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).half_close(true);
        let served = builder.serve_connection(TokioIo::new(stream), service).with_upgrades().await;
        if let Err(error) = served {
            debug!(node = %from, %error, "a stream of another node ended early");
        }
    }
}

async fn mark(mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(Relayed);
    next.run(request).await
}
