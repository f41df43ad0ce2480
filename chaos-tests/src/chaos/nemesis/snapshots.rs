//! Nodes that end in the middle of a snapshot.

use std::convert::Infallible;
use std::time::Duration;

use futures::future::join_all;
use reqwest::Method;
use serde_json::json;

use super::{disks, processes};
use crate::GroundError;
use crate::chaos::Field;
use crate::client::Request;
use crate::disk::Order;
use crate::wait::until;

/// How long a node may take to come to its next snapshot, which it writes after some thousands of changes.
const NEXT_SNAPSHOT: Duration = Duration::from_secs(90);
/// Clients who change something all the time, so that it comes.
const WRITERS: usize = 16;
/// How long one change of theirs may take.
const WRITE_LIMIT: Duration = Duration::from_secs(2);
/// The project that they change, which no workload knows.
const PROJECT: &str = "filler";

/// Ends the processes of these nodes while they sync a snapshot.
pub(super) async fn kill(field: &Field, nodes: &[usize]) -> Result<(), GroundError> {
    for &node in nodes {
        disks::told(field, node, Order::StallSnapshots).await?;
        let what = format!("n{node} writes a snapshot");
        let writes = until(&what, NEXT_SNAPSHOT, async || {
            disks::told(field, node, Order::Count).await.is_ok_and(|stalled| stalled > 0)
        });
        tokio::select! {
            written = writes => written?,
            never = fill_the_log(field) => match never {},
        };
        processes::kill(field, &[node]).await?;
    }
    Ok(())
}

/// Makes one change after the other, of which nobody is told anything.
async fn fill_the_log(field: &Field) -> Infallible {
    let new = json!({ "name": PROJECT });
    // It is there from the second time on.
    let _ = field.client.post(1, "/projects", &new, None).await;
    join_all((0..WRITERS).map(|writer| write(field, writer))).await;
    std::future::pending().await
}

async fn write(field: &Field, writer: usize) -> Infallible {
    let path = format!("/projects/{PROJECT}/environments/production/env-vars");
    let name = format!("W{writer}");
    loop {
        let variable = json!({ "name": name, "value": field.number().to_string() });
        let body = json!({ "variables": [variable] });
        let node = writer % field.nodes + 1;
        let request = Request::new(node, Method::PUT, &path);
        let request = Request { body: Some(&body), within: WRITE_LIMIT, ..request };
        if field.client.send(request).await.is_err() {
            field.pause(WRITE_LIMIT / 10).await;
        }
    }
}
