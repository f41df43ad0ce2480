//! Places 10,000 replicas on 1,000 simulated nodes and prints placements per second: as a pure function, and committed
//! through a real log with fsync. `bench/placement.sh` runs it.

use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt};
use jiff::{SignedDuration, Timestamp};
use temps_raft::{Cluster, Config, Proposal, fresh_id};
use temps_scheduler::faults::Faults;
use temps_scheduler::{leader, rollout};
use temps_state::*;

const NODES: usize = 1_000;
const APPS: usize = 1_000;
const REPLICAS_OF_AN_APP: u32 = 10;
/// How many of the preparing proposals are under way at once.
const AT_ONCE: usize = 128;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let config = Config { data_dir: folder.path().into(), peer: None };
    let cluster = Cluster::start(config).await?;
    for round in preparation() {
        let proposals = round.into_iter().map(|command| propose(&cluster, command));
        stream::iter(proposals).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
    }
    admit_and_build(&cluster).await;

    let total = APPS * REPLICAS_OF_AN_APP as usize;
    let mut faults = Faults::default();
    let began = Instant::now();
    let commands = rollout::next(&cluster.state(), &faults, Timestamp::now(), &mut fresh_id);
    let pure = began.elapsed();
    assert_eq!(placements(&commands), total);

    let began = Instant::now();
    while cluster.state().replicas.len() < total {
        leader::roll_out(&cluster, &mut faults).await?;
    }
    print(total, "pure", pure);
    print(total, "committed", began.elapsed());
    Ok(cluster.stop().await?)
}

fn print(total: usize, what: &str, took: Duration) {
    let rate = total as f64 / took.as_secs_f64();
    println!(
        "{total} replicas on {NODES} nodes, {what}: {took:.1?}, {rate:.0} placements per second"
    );
}

fn placements(commands: &[Command]) -> usize {
    let places = |command: &Command| match command {
        Command::PlaceReplicas { places, .. } => places.len(),
        _ => 0,
    };
    commands.iter().map(places).sum()
}

async fn propose(cluster: &Cluster, command: Command) {
    let proposal = Proposal::new(Actor::Node { id: cluster.node_id() }, command);
    cluster.propose(proposal).await.expect("a cluster of one takes it");
}

/// The first node, a token for the others, and the projects.
fn preparation() -> Vec<Vec<Command>> {
    let now = Timestamp::now();
    let token = JoinToken {
        id: fresh_id(),
        key: "token".into(),
        created_at: now,
        expires_at: now + SignedDuration::from_hours(1),
        uses_left: NODES as u32,
    };
    let first = vec![
        Command::RecordNode { node: Node { builds: true, ..Node::new(NodeId(1), "n1", now) } },
        Command::CreateJoinToken { token },
    ];
    let admit = |number: usize| Command::AdmitNode {
        token_key: "token".into(),
        node: Node { key: format!("{number:064x}"), ..Node::new(NodeId(0), "n", now) },
    };
    let key = ClusterKey::new([7; CLUSTER_KEY_LEN]);
    let secret = key.seal([0; NONCE_LEN], "place", "value").expect("short enough");
    let project = |number: usize| Command::CreateProject {
        project: Project {
            id: fresh_id(),
            name: format!("app-{number}").parse().expect("a name"),
            created_at: now,
            disabled: false,
            repository: None,
            webhook_secret: secret.clone(),
            previews: false,
            deployments_made: 0,
            callers: Default::default(),
        },
        production: fresh_id(),
    };
    vec![first, (1..NODES).map(admit).collect(), (0..APPS).map(project).collect()]
}

/// Every node tells of itself, and every app has an image whose replicas have no place yet.
async fn admit_and_build(cluster: &Cluster) {
    let state = cluster.state();
    let capacity = Capacity { cpu_millis: 16_000, memory_mib: 65_536 };
    let ready = state.nodes.values().map(|node| {
        let node = Node { capacity, builds: node.id == NodeId(1), ..node.clone() };
        propose(cluster, Command::RecordNode { node })
    });
    stream::iter(ready).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
    let apps = state.environments.keys().map(|environment| build(cluster, *environment));
    stream::iter(apps).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
}

async fn build(cluster: &Cluster, environment: EnvironmentId) {
    let id = fresh_id();
    let source = Source::Image { reference: "app".into() };
    let deployment = NewDeployment { id, environment, source, revision: None };
    let config = RunConfig {
        preset: "image".into(),
        port: 3000,
        port_assumed: false,
        command: None,
        health: HealthCheck::default(),
        resources: Resources::default(),
        node_labels: Default::default(),
        before_deploy: vec![],
        cron: vec![],
        drain_seconds: 30,
    };
    let artifact = Artifact::Image { id: "sha256:00".into() };
    for command in [
        Command::SetReplicas { id: environment, replicas: REPLICAS_OF_AN_APP },
        Command::CreateDeployment { deployment },
        Command::StartBuild { id, on: NodeId(1) },
        Command::FinishBuild { id, built: Built { artifact, config, revision: None } },
    ] {
        propose(cluster, command).await;
    }
}
