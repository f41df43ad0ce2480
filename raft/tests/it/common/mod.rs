//! What the tests share: a node in this process, and a node in a process of its own that may be killed.

pub mod ground;
pub mod link;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use futures::{StreamExt, stream};
use temps_raft::{Cluster, Committed, Config, Proposal, ProposeError, fresh_id};
use temps_state::{Actor, Command, NodeId, Role, State, User};

/// How long anything here may take.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// How many entries of a churn are under way: few enough that none waits for long on a slow machine.
const CHURNED_AT_ONCE: usize = 256;

pub async fn start(dir: &Path) -> Cluster {
    Cluster::start(Config { data_dir: dir.into(), peer: None }).await.expect("the node starts")
}

/// Stops a node as a process that ends does: nothing of it is left.
pub async fn stop(cluster: Cluster) {
    cluster.stop().await.expect("the node stops");
}

/// A write that can be told apart from all others.
pub fn write(number: u64) -> Proposal {
    let user = User {
        id: fresh_id(),
        email: email(number),
        role: Role::Admin,
        password_hash: "-".into(),
        created_at: jiff::Timestamp::now(),
    };
    Proposal::new(Actor::Node { id: NodeId(1) }, Command::CreateUser { user })
}

pub fn email(number: u64) -> String {
    format!("user{number:08}@example.test")
}

pub async fn put(cluster: &Cluster, number: u64) -> Result<Committed, ProposeError> {
    cluster.propose(write(number)).await
}

/// The numbers of all writes in a state.
pub fn numbers(state: &State) -> BTreeSet<u64> {
    let number = |email: &String| email.strip_prefix("user")?.split('@').next()?.parse().ok();
    state.emails.keys().filter_map(number).collect()
}

/// Entries that change something, many at once, without filling any table.
pub async fn churn(cluster: &Cluster, entries: u64) {
    for done in churn_results(cluster, entries).await {
        done.expect("the entry is applied");
    }
}

/// The same, when some may fail.
pub async fn churn_quietly(cluster: &Cluster, entries: u64) {
    drop(churn_results(cluster, entries).await);
}

async fn churn_results(cluster: &Cluster, entries: u64) -> Vec<Result<Committed, ProposeError>> {
    let node = |number| temps_state::Node {
        architecture: "amd64".into(),
        capacity: temps_state::Capacity { cpu_millis: 1000, memory_mib: number },
        builds: true,
        ..temps_state::Node::new(NodeId(1), format!("node{number}"), jiff::Timestamp::now())
    };
    let proposals = (0..entries).map(|number| {
        let proposal = Proposal::new(Actor::Node { id: NodeId(1) }, node(number).into());
        cluster.propose(proposal)
    });
    stream::iter(proposals).buffer_unordered(CHURNED_AT_ONCE).collect().await
}

/// Waits for a condition.
pub async fn until(what: &str, condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("in time: {what}"));
}
