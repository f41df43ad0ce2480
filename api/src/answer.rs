//! The outermost layer: gives every request an id, every answer the node's headers, every error its document.

use std::sync::Arc;
use std::time::Instant;

use axum::body::to_bytes;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use temps_raft::fresh_id;
use temps_state::RequestId;
use tracing::{Instrument, error, info_span};

use crate::ApiError;
use crate::context::Shared;
use crate::error::chain;
use crate::metrics::Handled;
use crate::relay::Relayed;

/// The request's id, made here or taken from the client or proxy before.
pub const REQUEST_ID_HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// The node that did the work.
pub const NODE_HEADER: HeaderName = HeaderName::from_static("x-temps-node");
/// The index of the state that the node had applied.
pub const APPLIED_HEADER: HeaderName = HeaderName::from_static("x-temps-applied-index");
/// For how many seconds the node has known of no quorum, so that it knows of nothing newer; absent while it does.
pub const NO_QUORUM_HEADER: HeaderName = HeaderName::from_static("x-temps-no-quorum-seconds");
/// The longest request id taken from a client, in octets.
const REQUEST_ID_BYTES_MAX: usize = 128;
/// The longest text taken over into a document, in octets.
const REFUSAL_BYTES_MAX: usize = 4 << 10;
/// The media type of problem documents.
const PROBLEM_JSON: &str = "application/problem+json";

pub(crate) async fn answer(
    State(context): State<Shared>,
    mut request: Request,
    next: Next,
) -> Response {
    let began = Instant::now();
    let id = request_id(request.headers());
    let path = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let method = request.method().clone();
    let api = request.uri().path().starts_with("/api/");
    // Git shows text to its user, not JSON.
    let git = request.uri().path().starts_with("/git/");
    request.headers_mut().insert(REQUEST_ID_HEADER, id.clone());
    let span = info_span!("request", id = %id.to_str().unwrap_or_default());
    let mut response = next.run(request).instrument(span).await;
    if let Some(error) = response.extensions_mut().remove::<Arc<ApiError>>() {
        response = explain(&error, &id, git);
    } else if is_plain_refusal(&response) {
        response = explain(&unreadable(response).await, &id, git);
    }
    // The node that did the work has said so, and what it had applied.
    let relayed = response.extensions().get::<Relayed>().is_some();
    let handled = Handled { method, path, status: response.status() };
    context.http.count(&handled, began.elapsed());
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID_HEADER, id);
    if !relayed {
        headers.insert(NODE_HEADER, number(context.cluster.node_id().0));
        headers.insert(APPLIED_HEADER, number(context.cluster.state().index));
        if let Some(lasts) = context.cluster.without_quorum_for() {
            headers.insert(NO_QUORUM_HEADER, number(lasts.as_secs()));
        }
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if api {
        // Answers hold what only the caller may see, some of it once.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

/// Whether the framework refused the request, with a text instead of a document.
fn is_plain_refusal(response: &Response) -> bool {
    let media = response.headers().get(header::CONTENT_TYPE);
    let text = media.is_none_or(|media| media.as_bytes().starts_with(b"text/plain"));
    response.status().is_client_error() && text
}

async fn unreadable(response: Response) -> ApiError {
    let status = response.status();
    let text = to_bytes(response.into_body(), REFUSAL_BYTES_MAX).await.unwrap_or_default();
    let why = String::from_utf8_lossy(&text).trim().to_owned();
    let reason = status.canonical_reason().unwrap_or("refused");
    ApiError::Unreadable { status, why: if why.is_empty() { reason.into() } else { why } }
}

fn number(value: u64) -> HeaderValue {
    HeaderValue::from(value)
}

fn request_id(headers: &HeaderMap) -> HeaderValue {
    let given = headers.get(REQUEST_ID_HEADER).filter(|value| {
        let plain = |b: &u8| b.is_ascii_alphanumeric() || b"-_.:".contains(b);
        (1..=REQUEST_ID_BYTES_MAX).contains(&value.len()) && value.as_bytes().iter().all(plain)
    });
    given.cloned().unwrap_or_else(|| {
        let id = fresh_id::<RequestId>().to_string();
        HeaderValue::from_str(&id).expect("ids are letters, digits and `_`")
    })
}

/// Writes the document of an error, and what only the operator may know into the log.
fn explain(error: &ApiError, id: &HeaderValue, git: bool) -> Response {
    let problem = error.problem(id.to_str().unwrap_or_default());
    let status = error.kind().0;
    if status.is_server_error() {
        error!(code = problem.code, request_id = %problem.request_id, cause = %chain(error), "request failed");
    }
    let mut response = if git {
        let hint = problem.hint.as_deref().map(|hint| format!("\n{hint}")).unwrap_or_default();
        (status, format!("{}{hint}\n", problem.detail)).into_response()
    } else {
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        (status, [(header::CONTENT_TYPE, PROBLEM_JSON)], body).into_response()
    };
    let headers = response.headers_mut();
    if let Some(seconds) = error.retry_after() {
        headers.insert(header::RETRY_AFTER, number(seconds));
    }
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        // What was not read of the body cannot be told from a next request.
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if status == StatusCode::UNAUTHORIZED {
        let scheme = if git { "Basic realm=\"temps\"" } else { "Bearer realm=\"temps\"" };
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
    }
    response
}
