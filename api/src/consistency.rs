//! How new an answer is: reads see everything that took effect before them, unless asked for less; writes can wait for the edges.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts, Query, Request, State};
use axum::http::HeaderValue;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use serde::Deserialize;
use temps_raft::Applied;

use crate::ApiError;
use crate::context::{Context, Shared};

/// How long a write waits for the edges.
pub const EDGES_TIMEOUT: Duration = Duration::from_secs(10);
/// Whether the edges had the change when the answer was sent: `applied` or `behind`.
pub const EDGES_HEADER: &str = "x-temps-edges";

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Consistency {
    #[default]
    Linearizable,
    Stale,
}

#[derive(Debug, Deserialize)]
struct Reading {
    #[serde(default)]
    consistency: Consistency,
}

/// The state a read answers from.
pub(crate) struct Seen(pub Arc<Applied>);

impl FromRequestParts<Shared> for Seen {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, context: &Shared) -> Result<Self, ApiError> {
        let reading = Query::<Reading>::try_from_uri(&parts.uri)
            .map_err(|_| ApiError::invalid("consistency", "use `linearizable` or `stale`"))?;
        match reading.consistency {
            Consistency::Linearizable => Ok(Self(context.cluster.read_latest().await?)),
            Consistency::Stale => Ok(Self(context.cluster.state())),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Wait {
    Edges,
}

#[derive(Debug, Deserialize)]
struct Writing {
    wait: Option<Wait>,
}

/// With `?wait=edges`, answers a write only once every live edge serves from a state that has it, or tells that one does
/// not yet.
pub(crate) async fn wait_for_edges(
    State(context): State<Shared>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    if request.method().is_safe() {
        return Ok(next.run(request).await);
    }
    let writing = Query::<Writing>::try_from_uri(request.uri())
        .map_err(|_| ApiError::invalid("wait", "use `edges`"))?;
    let mut response = next.run(request).await;
    // Another node that made the change has said so already.
    let is_told = response.headers().contains_key(EDGES_HEADER);
    if writing.wait == Some(Wait::Edges) && response.status().is_success() && !is_told {
        let word = if edges_have_all(&context).await { "applied" } else { "behind" };
        response.headers_mut().insert(EDGES_HEADER, HeaderValue::from_static(word));
    }
    Ok(response)
}

async fn edges_have_all(context: &Context) -> bool {
    let wanted = context.cluster.state().index;
    context.cluster.wait_edges(wanted, EDGES_TIMEOUT).await.is_ok()
}
