//! `/api/changes`: a stream that says which tables of the cluster's state have changed, so that whoever shows them asks
//! again then, and only then.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::request::Parts;
use axum::response::Response;
use futures::{Stream, stream};
use serde::Serialize;
use temps_raft::Applied;
use temps_state::State as Agreed;
use tokio::sync::watch;
use tokio::time::sleep;
use utoipa::ToSchema;

use crate::ApiError;
use crate::auth::MayRead;
use crate::context::Shared;
use crate::streams;

/// How long changes are gathered before they are told.
const GATHERED_FOR: Duration = Duration::from_millis(100);

/// What has changed since the line before.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Changes)]
pub struct ChangesOut {
    /// The last log entry that the answering node has applied.
    pub applied_index: u64,
    /// The tables that changed, such as `deployments`; empty in the first line.
    pub tables: BTreeSet<String>,
}

/// Streams what changes in the cluster's state: the names of tables, never what is in them.
#[utoipa::path(
    get, path = "/api/changes", tag = "cluster",
    responses((status = 200, body = ChangesOut, content_type = "application/x-ndjson",
               description = "One object a line, and an empty line after 30 s of silence; server-sent events with `Accept: text/event-stream`"))
)]
pub(crate) async fn changes(
    State(context): State<Shared>,
    MayRead(caller): MayRead,
    parts: Parts,
) -> Result<Response, ApiError> {
    let follower = context.follow(Some(caller))?;
    Ok(streams::answer(&parts, follower, told(context.cluster.watch())))
}

/// The first line at once, each other once something has changed.
fn told(applied: watch::Receiver<Arc<Applied>>) -> impl Stream<Item = ChangesOut> + Send + 'static {
    let start = (applied, None::<Arc<Applied>>);
    stream::unfold(start, |(mut applied, last)| async move {
        let (now, tables) = match last {
            None => (newest(&mut applied), BTreeSet::new()),
            Some(last) => next(&mut applied, &last).await?,
        };
        let line = ChangesOut { applied_index: now.index, tables };
        Some((line, (applied, Some(now))))
    })
}

/// The next state in which a table differs. Entries that change nothing are told by nobody.
async fn next(
    applied: &mut watch::Receiver<Arc<Applied>>,
    last: &Applied,
) -> Option<(Arc<Applied>, BTreeSet<String>)> {
    loop {
        applied.changed().await.ok()?;
        sleep(GATHERED_FOR).await;
        let now = newest(applied);
        let tables = tables_changed(last, &now);
        if !tables.is_empty() {
            return Some((now, tables));
        }
    }
}

fn newest(applied: &mut watch::Receiver<Arc<Applied>>) -> Arc<Applied> {
    Arc::clone(&applied.borrow_and_update())
}

fn tables_changed(older: &Agreed, newer: &Agreed) -> BTreeSet<String> {
    let rows = newer.changes_since(older).into_iter();
    rows.filter_map(|row| Some(row.key.split_once('/')?.0.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures::StreamExt;
    use jiff::Timestamp;
    use temps_state::{Node, NodeId};

    use super::*;

    fn state(index: u64, nodes: &[u64]) -> Arc<Applied> {
        let node = |id: &u64| {
            (NodeId(*id), Node::new(NodeId(*id), format!("n{id}"), Timestamp::UNIX_EPOCH))
        };
        let state = Agreed { nodes: nodes.iter().map(node).collect(), ..Agreed::default() };
        Arc::new(Applied { index, state, ..Applied::default() })
    }

    #[tokio::test]
    async fn tables_that_changed_are_told_and_nothing_else() {
        let (applied, watched) = watch::channel(state(1, &[1]));
        let mut lines = pin!(told(watched));
        let line = |applied_index, tables: &[&str]| {
            let tables = tables.iter().map(ToString::to_string).collect();
            Some(ChangesOut { applied_index, tables })
        };
        assert_eq!(lines.next().await, line(1, &[]));
        applied.send_replace(state(2, &[1, 2]));
        assert_eq!(lines.next().await, line(2, &["nodes"]));
        applied.send_replace(state(3, &[1, 2]));
        let (line_4, ()) = tokio::join!(lines.next(), async {
            tokio::task::yield_now().await;
            applied.send_replace(state(4, &[1]));
        });
        assert_eq!(line_4, line(4, &["nodes"]));
        drop(applied);
        assert_eq!(lines.next().await, None);
    }
}
