//! The handle on everything the scheduler runs.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use futures::{Stream, StreamExt, TryStreamExt, stream};
use temps_builder::{Builder, Engine};
use temps_raft::Cluster;
use temps_state::{EnvironmentId, NodeId, ProjectId, ReplicaId};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::container::Role;
use crate::exec::{self, ExecRequest, ExecSession};
use crate::faults::{Avoided, Faults};
use crate::log_line::ReplicaLine;
use crate::logs::{self, LogQuery};
use crate::network::Network;
use crate::reconcile::{ACTIONS_AT_ONCE_MAX, Reconciler};
use crate::runtime::Runtime;
use crate::spec::Site;
use crate::stats::{self, Stats};
use crate::{SchedulerError, build_loop, copies, leader, leftovers, prepare};

/// What the scheduler needs to be told.
#[derive(Debug, Clone)]
pub struct SchedulerConfig {
    /// The node's data folder; marks this node's containers.
    pub data_dir: PathBuf,
    /// What apps are told as the address of the API.
    pub api_url: String,
    /// Where this node's edge takes plain HTTP, as this node reaches it.
    pub edge: Option<SocketAddr>,
}

/// Where this node's own replicas that answer their health checks listen; empty until that was looked at first.
pub type LocalEndpoints = Option<Arc<BTreeMap<ReplicaId, SocketAddr>>>;

/// The project of each of this node's containers, by its address on their network.
pub type Residents = Arc<BTreeMap<IpAddr, ProjectId>>;

/// From desired state to running containers, on this node; and for the cluster while it leads. Clones share it.
#[derive(Clone)]
pub struct Scheduler {
    cluster: Cluster,
    runtime: Runtime,
    local: watch::Receiver<LocalEndpoints>,
    residents: watch::Receiver<Residents>,
    faults: watch::Receiver<Arc<Faults>>,
    tasks: TaskTracker,
    cancel: CancellationToken,
}

impl Scheduler {
    /// Starts all loops, with containers on the usual network that ask nobody in particular for names.
    pub fn start(
        cluster: Cluster,
        builder: Builder,
        engine: Engine,
        config: SchedulerConfig,
    ) -> Self {
        Self::start_on(Network::default(), cluster, builder, engine, config)
    }

    /// Starts all loops. Containers that run already are adopted; new ones are connected to `network`.
    pub fn start_on(
        network: Network,
        cluster: Cluster,
        builder: Builder,
        engine: Engine,
        config: SchedulerConfig,
    ) -> Self {
        let data_dir = std::path::absolute(&config.data_dir).unwrap_or(config.data_dir);
        let data_dir = data_dir.to_string_lossy().into_owned();
        let runtime = Runtime::new(engine, data_dir.clone(), network);
        let site = Site { cluster: cluster.clone(), data_dir, api_url: config.api_url };
        let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
        let (tell_faults, faults) = watch::channel(Arc::default());
        tasks.spawn(leader::lead(cluster.clone(), config.edge, tell_faults, cancel.clone()));
        let (tell, local) = watch::channel(LocalEndpoints::default());
        let (tell_residents, residents) = watch::channel(Residents::default());
        let reconciler =
            Reconciler::new(site.clone(), runtime.clone(), builder.clone(), tell, tell_residents);
        tasks.spawn(reconciler.run(cancel.clone()));
        tasks.spawn(copies::run(cluster.clone(), builder.clone(), cancel.clone()));
        tasks.spawn(leftovers::run(cluster.clone(), builder.clone(), cancel.clone()));
        tasks.spawn(build_loop::run(cluster.clone(), builder.clone(), cancel.clone()));
        tasks.spawn(prepare::run(site, runtime.clone(), builder, cancel.clone()));
        tasks.close();
        Self { cluster, runtime, local, residents, faults, tasks, cancel }
    }

    /// What this node itself knows of its replicas, sooner than the cluster does, and also without a quorum.
    pub fn local_endpoints(&self) -> watch::Receiver<LocalEndpoints> {
        self.local.clone()
    }

    /// Whose this node's containers are; those too that do not answer their health checks yet.
    pub fn residents(&self) -> watch::Receiver<Residents> {
        self.residents.clone()
    }

    /// What a node is not given for now because it could not run it, as far as this node saw.
    pub fn avoided(&self, node: NodeId) -> Vec<Avoided> {
        self.faults.borrow().avoided(node).collect()
    }

    /// The lines of some replicas of this node, merged.
    pub async fn logs(
        &self,
        replicas: Vec<ReplicaId>,
        query: LogQuery,
    ) -> Result<impl Stream<Item = ReplicaLine> + Send + 'static + use<>, SchedulerError> {
        for replica in &replicas {
            self.check_is_here(*replica)?;
        }
        self.runtime.docker().await?;
        Ok(logs::lines(self.runtime.clone(), self.cluster.clone(), replicas, query).await)
    }

    /// The lines of this node's replicas of what is live in an environment, merged. A follower takes up those that come
    /// later as well, and ends with the environment.
    pub async fn environment_logs(
        &self,
        environment: EnvironmentId,
        query: LogQuery,
    ) -> Result<impl Stream<Item = ReplicaLine> + Send + 'static + use<>, SchedulerError> {
        let (runtime, cluster) = (self.runtime.clone(), self.cluster.clone());
        if !logs::is_elsewhere_only(&cluster.state(), cluster.node_id(), environment) {
            runtime.docker().await?;
        }
        Ok(logs::environment_lines(runtime, cluster, environment, query).await)
    }

    /// Runs a command in a replica of this node.
    pub async fn exec(
        &self,
        replica: ReplicaId,
        request: ExecRequest,
    ) -> Result<ExecSession, SchedulerError> {
        self.check_is_here(replica)?;
        exec::start(&self.runtime, replica, request).await
    }

    /// What a replica of this node uses; takes about a second.
    pub async fn stats(&self, replica: ReplicaId) -> Result<Stats, SchedulerError> {
        self.check_is_here(replica)?;
        stats::read(&self.runtime, replica).await
    }

    /// Ends all loops and the builds under way. Containers run on, and the next start adopts them.
    pub async fn stop(&self) {
        self.cancel.cancel();
        self.tasks.wait().await;
    }

    /// Ends all loops, then stops and removes all containers of this node, frozen ones too: for a node that its cluster
    /// has removed, whose data folder is of no more use. Each has ten seconds to end; tells how many there were.
    pub async fn clear(&self) -> Result<usize, SchedulerError> {
        self.stop().await;
        let containers = self.runtime.list().await?.into_iter();
        let own = containers.filter(|container| container.role != Role::Foreign);
        let removals = own.map(|container| async move { self.runtime.remove(&container.id).await });
        let removed = stream::iter(removals).buffer_unordered(ACTIONS_AT_ONCE_MAX);
        removed.try_fold(0, async |count, ()| Ok(count + 1)).await
    }

    fn check_is_here(&self, id: ReplicaId) -> Result<(), SchedulerError> {
        let state = self.cluster.state();
        let replica =
            state.replicas.get(&id).ok_or(SchedulerError::ReplicaUnknown { replica: id })?;
        match replica.node == self.cluster.node_id() {
            true => Ok(()),
            false => Err(SchedulerError::ReplicaElsewhere { replica: id, node: replica.node }),
        }
    }
}
