//! Somebody who only looks: what every node says of itself, and where replicas are.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{APPS, Field};
use crate::App;
use crate::client::{Answer, Request};
use crate::history::{EdgeSight, ReplicaSight, Sight, What};

/// From one look to the next.
const LOOKS: Duration = Duration::from_millis(500);
/// How long a node may take to say how it is.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is known of the cluster while it runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Known {
    /// Who leads, as the newest leadership says.
    pub leader: Option<usize>,
    /// That leadership: a term, and within it the leader's id.
    pub leadership: (u64, Option<u64>),
}

/// Begins to look; all end with the run.
pub(super) fn begin(
    field: &Field,
    with_app: bool,
    workers: &mut JoinSet<()>,
) -> watch::Receiver<Known> {
    let (known, told) = watch::channel(Known::default());
    for node in 1..=field.nodes {
        workers.spawn(look(field.clone(), node, known.clone()));
    }
    if with_app {
        for app in APPS {
            workers.spawn(look_at_replicas(field.clone(), app));
        }
    }
    told
}

async fn get(field: &Field, node: usize, path: &str) -> Option<Answer> {
    let request = Request { within: PATIENCE, ..Request::new(node, Method::GET, path) };
    field.client.send(request).await.ok().filter(Answer::is_success)
}

async fn look(field: Field, node: usize, known: watch::Sender<Known>) {
    while !field.is_over() {
        let seen = get(&field, node, "/status").await.and_then(|answer| sight(node, &answer.body));
        if let Some(EdgeSight { leader, leader_id, term, .. }) = seen {
            known.send_if_modified(|known| {
                let leadership = (term, leader_id);
                let is_newer = leadership > known.leadership;
                if is_newer {
                    *known = Known { leader, leadership };
                }
                is_newer
            });
        }
        let sight = seen.map_or(Sight::Silence { node }, Sight::Node);
        field.recorder.note(What::Sight(sight)).await;
        field.pause(LOOKS).await;
    }
}

/// What a node says of itself.
pub(super) fn sight(node: usize, status: &Value) -> Option<EdgeSight> {
    let leader_id = status["leader"].as_u64();
    Some(EdgeSight {
        node,
        leader: leader_id.and_then(|id| machines(status).get(&id).copied()),
        leader_id,
        term: status["term"].as_u64()?,
        applied: status["applied_index"].as_u64()?,
        edge: status["edge"]["applied_index"].as_u64()?,
    })
}

/// The machine of each node's id: nodes are called as their machines are.
fn machines(status: &Value) -> BTreeMap<u64, usize> {
    let of = |node: &Value| {
        let number = node["name"].as_str()?.strip_prefix('n')?.parse().ok()?;
        Some((node["id"].as_u64()?, number))
    };
    status["nodes"].as_array().into_iter().flatten().filter_map(of).collect()
}

async fn look_at_replicas(field: Field, app: App) {
    let path = format!("/projects/{}/environments/production", app.project());
    for turn in 0.. {
        if field.is_over() {
            return;
        }
        let node = turn % field.nodes + 1;
        let replicas = get(&field, node, &format!("{path}/replicas")).await;
        let environment = get(&field, node, &path).await;
        let status = get(&field, node, "/status").await;
        if let (Some(replicas), Some(environment), Some(status)) = (replicas, environment, status) {
            let nodes = Nodes { machines: machines(&status.body), drained: drained(&status.body) };
            let replicas = replicas.body.as_array().into_iter().flatten();
            let sight = Sight::Replicas {
                app: app.project().into(),
                wanted: environment.body["replicas"]
                    .as_u64()
                    .and_then(|wanted| usize::try_from(wanted).ok())
                    .unwrap_or_default(),
                replicas: replicas.filter_map(|one| replica(one, &nodes)).collect(),
            };
            field.recorder.note(What::Sight(sight)).await;
        }
        field.pause(LOOKS).await;
    }
}

/// The ids of nodes that give away what they run.
fn drained(status: &Value) -> BTreeSet<u64> {
    let nodes = status["nodes"].as_array().into_iter().flatten();
    nodes
        .filter(|node| node["standing"] == "draining")
        .filter_map(|node| node["id"].as_u64())
        .collect()
}

/// What replicas' nodes are.
struct Nodes {
    machines: BTreeMap<u64, usize>,
    drained: BTreeSet<u64>,
}

fn replica(replica: &Value, nodes: &Nodes) -> Option<ReplicaSight> {
    let node = replica["node"].as_u64()?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let is_healthy = replica["observed"]["type"] == "healthy";
    Some(ReplicaSight {
        id: text(&replica["id"])?,
        node,
        machine: nodes.machines.get(&node).copied(),
        deployment: text(&replica["deployment"])?,
        serves: replica["intent"]["type"] == "serve",
        endpoint: text(&replica["observed"]["endpoint"]).filter(|_| is_healthy),
        leaves: nodes.drained.contains(&node),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_node_says_is_read() {
        let status = json!({
            "leader": 7, "term": 3, "applied_index": 12, "edge": { "applied_index": 11 },
            "nodes": [{ "id": 1, "name": "n1" }, { "id": 7, "name": "n2", "standing": "draining" }],
        });
        let expected = EdgeSight {
            node: 1,
            leader: Some(2),
            leader_id: Some(7),
            term: 3,
            applied: 12,
            edge: 11,
        };
        assert_eq!(sight(1, &status), Some(expected));
        let observed = json!({ "type": "healthy", "endpoint": "10.0.0.1:80" });
        let intent = json!({ "type": "serve" });
        let shown = json!({ "id": "rep_1", "node": 7, "deployment": "dep_1", "intent": intent, "observed": observed });
        let nodes = Nodes { machines: machines(&status), drained: drained(&status) };
        let replica = replica(&shown, &nodes).unwrap();
        assert_eq!((replica.machine, replica.serves, replica.leaves), (Some(2), true, true));
        assert_eq!(replica.endpoint.as_deref(), Some("10.0.0.1:80"));
    }
}
