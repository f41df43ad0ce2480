//! The requests that edges have answered: the latest of an environment, and those to come, from all nodes.

mod far;
mod filter;

use std::collections::HashSet;
use std::net::IpAddr;

use axum::extract::{Path, Query, State};
use axum::http::request::Parts;
use axum::response::Response;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, future};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use temps_state::{EnvironmentId, NodeId};
use utoipa::{IntoParams, ToSchema};

use self::far::FromOthers;
use self::filter::Filter;
use crate::auth::MayRead;
use crate::consistency::Seen;
use crate::context::{Context, Shared};
use crate::relay::Relayed;
use crate::{ApiError, far as other_nodes, ids, nodes, streams};

/// How many of the latest requests of each node are shown when the client does not say.
pub const TAIL_DEFAULT: usize = 100;
/// The most; no node keeps more.
pub const TAIL_MAX: usize = 1_000;

/// This node's edge, as far as it tells of requests.
pub trait Requests: Send + Sync + 'static {
    /// The latest of an environment, oldest first.
    fn latest(&self, environment: EnvironmentId) -> Vec<RequestSeen>;

    /// Those from now on.
    fn follow(&self, environment: EnvironmentId) -> BoxStream<'static, Followed>;
}

/// What comes to somebody who follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Followed {
    /// A request.
    Request(RequestSeen),
    /// So many were not told, as they came faster than they were taken.
    Missed(u64),
}

/// A request that an edge answered. Queries are nowhere in it: they carry tokens and addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = SeenRequest)]
pub struct RequestSeen {
    /// When it was over.
    pub at: Timestamp,
    /// The node whose edge it was.
    #[schema(value_type = u64)]
    pub node: NodeId,
    /// Its id, which its answer and the app's log may have, too.
    pub request_id: String,
    /// Its method.
    pub method: String,
    /// The name that it was sent to.
    pub host: String,
    /// Its path, or the beginning of a long one.
    pub path: String,
    /// Whether it came over TLS.
    pub https: bool,
    /// The status of its answer; null when the client left before.
    pub status: Option<u16>,
    /// How many octets of a body it brought.
    pub received_bytes: u64,
    /// How many octets of a body it got.
    pub sent_bytes: u64,
    /// How long it took.
    pub milliseconds: u64,
    /// Who sent it.
    #[schema(value_type = String)]
    pub client: IpAddr,
    /// The node of the replica that answered; null where the edge did itself.
    #[schema(value_type = Option<u64>)]
    pub replica_node: Option<NodeId>,
    /// What went wrong.
    pub error: Option<String>,
}

/// A line of the answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schema(as = RequestLine)]
pub enum RequestLine {
    /// A request.
    Request(RequestSeen),
    /// Requests of a node are missing here.
    Missing {
        /// Since when this is known.
        at: Timestamp,
        /// Whose.
        #[schema(value_type = u64)]
        node: NodeId,
        /// Why.
        why: String,
    },
}

/// Which requests to show. All that is named must hold.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RequestQuery {
    /// Whether to wait for requests to come.
    #[serde(default)]
    pub follow: bool,
    /// How many of the latest of each node; 100 when missing.
    pub tail: Option<usize>,
    /// Only requests since.
    pub since: Option<Timestamp>,
    /// A status such as `404`, a class such as `5xx`, or `none` for those whose client left before.
    pub status: Option<String>,
    /// The method.
    pub method: Option<String>,
    /// How the path begins.
    pub path: Option<String>,
    /// The name that it was sent to.
    pub host: Option<String>,
    /// Who sent it: an address.
    pub client: Option<String>,
    /// How long it took at least, in milliseconds.
    pub min_ms: Option<u64>,
    /// The node whose edge it was, by name or id.
    pub node: Option<String>,
}

/// Streams the requests of an environment. Those of one node come in order, those of different nodes as they come.
#[utoipa::path(
    get, path = "/api/projects/{p}/environments/{e}/requests", tag = "replicas", params(RequestQuery),
    responses((status = 200, body = RequestLine, content_type = "application/x-ndjson"))
)]
pub(crate) async fn list(
    State(context): State<Shared>,
    MayRead(caller): MayRead,
    Path(path): Path<(String, String)>,
    Query(query): Query<RequestQuery>,
    parts: Parts,
    Seen(state): Seen,
) -> Result<Response, ApiError> {
    let (_, environment) = ids::place(&state, &path)?;
    let filter = Filter::read(&query)?;
    let node = query.node.as_deref().map(|node| nodes::find(&state, node)).transpose()?;
    let node = node.map(|node| node.id);
    let follower = context.follow(Some(caller))?;
    let here = context.cluster.node_id();
    let near = match node {
        Some(node) if node != here => stream::empty().boxed(),
        _ => own(&context, environment.id, &query, filter),
    };
    let lines = match parts.extensions.get::<Relayed>() {
        Some(Relayed) => near,
        None => {
            let wish = FromOthers {
                environment: environment.id,
                node,
                follow: query.follow,
                since: query.since,
            };
            stream::select(near, other_nodes::all(&context, &parts, wish)).boxed()
        }
    };
    Ok(streams::answer(&parts, follower, lines))
}

/// What this node's own edge has, and what is to come.
fn own(
    context: &Context,
    environment: EnvironmentId,
    query: &RequestQuery,
    filter: Filter,
) -> BoxStream<'static, RequestLine> {
    let Some(edge) = &context.requests else { return stream::empty().boxed() };
    // Begun before the past is looked at, so that nothing is between the two.
    let to_come = query.follow.then(|| edge.follow(environment));
    let tail = query.tail.unwrap_or(TAIL_DEFAULT).min(TAIL_MAX);
    let past = edge.latest(environment);
    let known: HashSet<String> = past.iter().map(|seen| seen.request_id.clone()).collect();
    let past = last(past.into_iter().filter(|seen| filter.takes(seen)).collect(), tail);
    let past = stream::iter(past.into_iter().map(RequestLine::Request));
    let Some(to_come) = to_come else { return past.boxed() };
    let node = context.cluster.node_id();
    let to_come = to_come.filter_map(move |followed| {
        future::ready(match followed {
            Followed::Request(seen) => (filter.takes(&seen) && !known.contains(&seen.request_id))
                .then_some(RequestLine::Request(seen)),
            Followed::Missed(count) => Some(RequestLine::Missing {
                at: Timestamp::now(),
                node,
                why: format!("{count} requests came faster than they were read"),
            }),
        })
    });
    past.chain(to_come).boxed()
}

/// The last of some.
fn last<T>(mut all: Vec<T>, count: usize) -> Vec<T> {
    let from = all.len().saturating_sub(count);
    all.split_off(from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_ones_are_shown() {
        assert_eq!(last(vec![1, 2, 3], 2), [2, 3]);
        assert_eq!(last(vec![1], 2), [1]);
        assert!(last(vec![1, 2], 0).is_empty());
    }
}
