//! The builder's way to what other nodes have: one request over a stream between the nodes.

use std::io;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use futures::future::BoxFuture;
use futures::{StreamExt, TryStreamExt};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use temps_builder::{PeerStream, Peers};
use temps_state::NodeId;
use tokio_util::task::AbortOnDropHandle;

use crate::Nodes;

/// Asks the APIs of other nodes for blobs, sites and manifests.
#[derive(Clone)]
pub struct OtherNodes {
    nodes: Arc<dyn Nodes>,
}

impl OtherNodes {
    /// Asks over those streams.
    pub fn over(nodes: Arc<dyn Nodes>) -> Self {
        Self { nodes }
    }
}

impl Peers for OtherNodes {
    fn get(
        &self,
        node: NodeId,
        path: String,
        from: u64,
    ) -> BoxFuture<'static, io::Result<PeerStream>> {
        let nodes = Arc::clone(&self.nodes);
        Box::pin(async move {
            let stream = nodes.open(node).await?;
            let handshake = http1::handshake::<_, Body>(TokioIo::new(stream)).await;
            let (mut sender, connection) = handshake.map_err(io::Error::other)?;
            let connection = AbortOnDropHandle::new(tokio::spawn(connection));
            let request = Request::get(format!("/internal/{path}?from={from}"))
                .header(header::HOST, "node")
                .body(Body::empty())
                .map_err(io::Error::other)?;
            let response = sender.send_request(request).await.map_err(io::Error::other)?;
            match response.status() {
                StatusCode::OK => {}
                StatusCode::NOT_FOUND => return Err(io::ErrorKind::NotFound.into()),
                status => return Err(io::Error::other(format!("it answered with {status}"))),
            }
            let octets = Body::new(response.into_body()).into_data_stream();
            let octets = octets.map_err(io::Error::other).inspect(move |_| {
                // Ends with the stream.
                let _open = (&connection, &sender);
            });
            Ok(octets.boxed())
        })
    }
}
