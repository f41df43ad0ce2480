//! Whether this node has the static sites that its edge serves: one that just joined gets them from the others first.

use std::path::Path;
use std::time::Duration;

use temps_api::Sites;
use temps_raft::Cluster;
use temps_state::Standing::Joining;
use temps_state::{Artifact, Deployment, MANIFEST, NodeId, State};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// How long the node waits for them once the cluster counts on it. One that nobody has must not keep it from serving the others.
const HERE_WITHIN: Duration = Duration::from_secs(30);
/// The pause between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Tells whether the sites are here; once they were, sites that are new get there before traffic does.
pub fn watch(
    data_dir: &Path,
    cluster: &Cluster,
    edge_applied: watch::Receiver<u64>,
    stop: &CancellationToken,
) -> watch::Receiver<Sites> {
    let (tell, sites) = watch::channel(Sites::Awaited);
    let (folder, cluster) = (data_dir.join("static"), cluster.clone());
    tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
        if let Some(found) = find(&folder, &cluster, edge_applied).await {
            tell.send_replace(found);
        }
    }));
    sites
}

/// What became of them, once that is known; `None` where the edge ended before.
async fn find(
    folder: &Path,
    cluster: &Cluster,
    mut edge_applied: watch::Receiver<u64>,
) -> Option<Sites> {
    let me = cluster.node_id();
    // Before that, its state is an old one, on the way to the one that the others have.
    let counts = |state: &State| state.nodes.get(&me).is_some_and(|node| node.standing != Joining);
    cluster.watch().wait_for(|state| counts(state)).await.ok()?;
    let until = Instant::now() + HERE_WITHIN;
    loop {
        let state = cluster.state();
        let missing = missing(&state, me, folder);
        if missing == 0 {
            // The edge reads a site anew with the state that says that it is here.
            edge_applied.wait_for(|applied| *applied >= state.index).await.ok()?;
            return Some(Sites::Here);
        }
        if Instant::now() >= until {
            warn!(missing, "some static sites could not be fetched in time");
            return Some(Sites::Missing);
        }
        sleep(LOOK_EVERY).await;
    }
}

/// How many of the sites that routes lead to are not in the folder, or not known to be.
fn missing(state: &State, me: NodeId, folder: &Path) -> usize {
    let current = state.environments.values().filter_map(|environment| environment.current);
    let deployments = current.filter_map(|id| state.deployments.get(&id));
    let is_missing = |deployment: &&Deployment| match &deployment.artifact {
        Some(Artifact::Static { digest, .. }) => {
            let is_here = folder.join(digest).join(MANIFEST).is_file();
            !(is_here && deployment.holders.contains(&me))
        }
        Some(Artifact::Image { .. }) | None => false,
    };
    deployments.filter(is_missing).count()
}
