//! Requests whose work is on another node: sent on to it, over a stream between the nodes.
//!
//! What is sent on keeps the caller's own credentials, which every node knows, and tells the client's address. A node
//! never sends on what another node sent it.

use std::io;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::Response;
use futures::future::BoxFuture;
use futures::{Stream, StreamExt, TryStreamExt};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use temps_state::NodeId;
use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};
use tokio::time::{sleep, timeout};
use tokio_util::codec::{FramedRead, LinesCodec, LinesCodecError};
use tokio_util::io::StreamReader;

use crate::ApiError;
use crate::auth::{CLIENT_IP_HEADER, client_address};
use crate::context::Context;
use crate::streams::NDJSON;

/// How long another node may take to begin its answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// How long another node has to tell a client that it may not go on.
const GOODBYE_WITHIN: Duration = Duration::from_secs(2);
/// The longest line of a stream of another node, in octets.
const LINE_BYTES_MAX: usize = 4 << 20;
/// What concerns one connection only (RFC 9110 §7.6.1); an upgrade is asked for anew.
const HOP_BY_HOP: [HeaderName; 6] = [
    header::CONNECTION,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    HeaderName::from_static("keep-alive"),
];

/// A two-way stream of octets to another node.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Duplex for T {}

/// Opens streams to the API of other nodes.
pub trait Nodes: Send + Sync + 'static {
    /// A new stream to what serves the node's API to peers ([`serve_peer`](crate::ApiHandle::serve_peer)). It comes
    /// about or fails within a few seconds.
    fn open(&self, node: NodeId) -> BoxFuture<'_, io::Result<Box<dyn Duplex>>>;
}

/// Marks a request that a peer sent on, and an answer that one gave.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Relayed;

/// Whether the work on `node` is to be asked for there.
pub(crate) fn is_elsewhere(context: &Context, parts: &Parts, node: NodeId) -> bool {
    node != context.cluster.node_id() && parts.extensions.get::<Relayed>().is_none()
}

/// Sends a request on whole, and gives the answer as it comes; an upgrade is carried through.
pub(crate) async fn send_on(
    context: &Context,
    node: NodeId,
    request: Request,
) -> Result<Response, ApiError> {
    let slot = context.relay_slot()?;
    let never = async move {
        let _held = slot;
        std::future::pending().await
    };
    send_on_until(never, context, node, request).await
}

/// The same, until something ends it.
pub(crate) async fn send_on_until(
    ended: impl Future<Output = ()> + Send + 'static,
    context: &Context,
    node: NodeId,
    request: Request,
) -> Result<Response, ApiError> {
    let (mut parts, body) = request.into_parts();
    let here = parts.extensions.remove::<OnUpgrade>();
    let mut response = ask(context, node, parts, body).await?;
    if let (StatusCode::SWITCHING_PROTOCOLS, Some(here)) = (response.status(), here) {
        let there = hyper::upgrade::on(&mut response);
        tokio::spawn(carry(here, there, ended));
        return Ok(answered(response.map(|_| Body::empty())));
    }
    let (head, body) = response.into_parts();
    let body = Body::new(body).into_data_stream().take_until(Box::pin(ended));
    Ok(answered(Response::from_parts(head, Body::from_stream(body))))
}

/// The values that another node streams, one a line. Ends with an error where the stream breaks off.
pub(crate) async fn lines<T: DeserializeOwned + Send + 'static>(
    context: &Context,
    node: NodeId,
    mut parts: Parts,
) -> Result<impl Stream<Item = io::Result<T>> + Send + 'static + use<T>, ApiError> {
    parts.headers.insert(header::ACCEPT, HeaderValue::from_static(NDJSON));
    let response = ask(context, node, parts, Body::empty()).await?;
    if !response.status().is_success() {
        let why = format!("it answered with status {}", response.status());
        return Err(unreachable(context, node, io::Error::other(why)));
    }
    let octets = Body::new(response.into_body()).into_data_stream().map_err(io::Error::other);
    let codec = LinesCodec::new_with_max_length(LINE_BYTES_MAX);
    let lines = FramedRead::new(StreamReader::new(octets), codec);
    Ok(lines.filter_map(|line| std::future::ready(read(line))))
}

/// The value of a line, unless that is empty: a sign that the stream goes on.
fn read<T: DeserializeOwned>(line: Result<String, LinesCodecError>) -> Option<io::Result<T>> {
    match line {
        Ok(line) if line.trim().is_empty() => None,
        Ok(line) => Some(serde_json::from_str(&line).map_err(io::Error::from)),
        Err(error) => Some(Err(io::Error::other(error))),
    }
}

/// The one value that another node answers within a time.
pub(crate) async fn value<T: DeserializeOwned + Send + 'static>(
    context: &Context,
    node: NodeId,
    parts: Parts,
    within: Duration,
) -> Result<T, ApiError> {
    let answered = async {
        let lines = lines::<T>(context, node, parts).await?;
        let first = std::pin::pin!(lines).next().await;
        let value = first.unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()));
        value.map_err(|error| unreachable(context, node, error))
    };
    let late = |_| Err(unreachable(context, node, io::ErrorKind::TimedOut.into()));
    timeout(within, answered).await.unwrap_or_else(late)
}

/// Sends a request over a stream of its own.
async fn ask(
    context: &Context,
    node: NodeId,
    parts: Parts,
    body: Body,
) -> Result<Response<Incoming>, ApiError> {
    let failed = |error: io::Error| unreachable(context, node, error);
    let Some(nodes) = &context.nodes else {
        return Err(failed(io::Error::other("this node has no way to others")));
    };
    let stream = nodes.open(node).await.map_err(failed)?;
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| failed(io::Error::other(error)))?;
    // It ends with the answer, or with what the answer was upgraded to.
    tokio::spawn(connection.with_upgrades());
    let sent = timeout(ANSWER_WITHIN, sender.send_request(outgoing(parts, body))).await;
    let sent = sent.map_err(|_| failed(io::ErrorKind::TimedOut.into()))?;
    sent.map_err(|error| failed(io::Error::other(error)))
}

/// The request as it goes to the other node.
fn outgoing(parts: Parts, body: Body) -> Request {
    let client = client_address(&parts);
    let upgrade = parts.headers.get(header::UPGRADE).cloned();
    let mut headers = HeaderMap::clone(&parts.headers);
    HOP_BY_HOP.iter().for_each(|name| drop(headers.remove(name)));
    headers.remove(CLIENT_IP_HEADER);
    if let Some(client) = client.and_then(|client| client.to_string().parse().ok()) {
        headers.insert(CLIENT_IP_HEADER, client);
    }
    if let Some(upgrade) = upgrade {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, upgrade);
    }
    let host = parts.uri.authority().and_then(|host| host.as_str().parse().ok());
    if let (None, Some(host)) = (headers.get(header::HOST), host) {
        headers.insert(header::HOST, host);
    }
    let mut request = Request::new(body);
    *request.method_mut() = parts.method;
    *request.uri_mut() = parts.uri.path_and_query().cloned().map(Uri::from).unwrap_or_default();
    *request.headers_mut() = headers;
    request
}

/// A request of this node's own for what only peers may ask.
pub(crate) fn internal(path: PathAndQuery) -> Parts {
    let mut request = Request::new(());
    *request.uri_mut() = path.into();
    request.into_parts().0
}

fn answered(mut response: Response) -> Response {
    response.extensions_mut().insert(Relayed);
    response
}

/// Carries octets both ways until one side is over.
async fn carry(here: OnUpgrade, there: OnUpgrade, ended: impl Future<Output = ()>) {
    if let (Ok(here), Ok(there)) = tokio::join!(here, there) {
        let (mut here, mut there): (TokioIo<Upgraded>, TokioIo<Upgraded>) =
            (TokioIo::new(here), TokioIo::new(there));
        tokio::select! {
            // Both ends learn from their own streams how it went.
            _ = copy_bidirectional(&mut here, &mut there) => {}
            // The other node says so first.
            () = async { ended.await; sleep(GOODBYE_WITHIN).await } => {}
        }
    }
}

fn unreachable(context: &Context, node: NodeId, source: io::Error) -> ApiError {
    let state = context.cluster.state();
    let name = state.nodes.get(&node).map(|node| node.name.clone()).unwrap_or_default();
    ApiError::NodeUnreachable { node, name, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_of_life_are_no_values() {
        let read = |line: &str| read::<u8>(Ok(line.into())).map(Result::ok);
        assert_eq!((read(""), read("  ")), (None, None));
        assert_eq!((read("7"), read("  7")), (Some(Some(7)), Some(Some(7))));
        assert_eq!(read("x"), Some(None));
    }
}
