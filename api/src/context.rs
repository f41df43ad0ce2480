//! What every handler can use.

use std::sync::Arc;
use std::time::Instant;

use temps_builder::Builder;
use temps_raft::{Applied, Cluster, Committed, Proposal};
use temps_scheduler::Scheduler;
use temps_state::{Reply, UserId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::auth::Caller;
use crate::body::BODY_TIMEOUT;
use crate::credentials::Credentials;
use crate::dns_zones::ZoneLook;
use crate::domains::DomainLook;
use crate::engine::EngineSight;
use crate::follow::Follower;
use crate::git_push::{GitTasks, Repositories};
use crate::login_limit::LoginLimit;
use crate::metrics::HttpMetrics;
use crate::nodes::Upgrades;
use crate::passwords::Passwords;
use crate::places::Places;
use crate::relay::Nodes;
use crate::requests::Requests;
use crate::{Api, ApiConfig, ApiError, Sites, registry};

/// How many streams that last as long as somebody reads them (logs, events, shells) a node serves at once.
pub const FOLLOWED_MAX: usize = 512;
/// How many bodies (uploads, pushes) a node takes in at once, and looks at domains and zones.
pub const BODIES_MAX: usize = 256;
/// How many requests a node has sent on to others at once, but for the streams that are followed.
pub const RELAYED_MAX: usize = 256;
/// How many webhooks a node reads at once; nobody has proven anything before their body is read.
pub const WEBHOOKS_AT_ONCE: usize = 8;

/// How many sources a node looks at at once: each is fetched and unpacked on its disk.
pub const DETECTIONS_MAX: usize = 4;

/// What every handler can use.
pub(crate) struct Context {
    pub cluster: Cluster,
    pub scheduler: Scheduler,
    pub builder: Builder,
    pub edge_applied: watch::Receiver<u64>,
    pub sites: watch::Receiver<Sites>,
    pub nodes: Option<Arc<dyn Nodes>>,
    pub left: CancellationToken,
    pub upgrades: Option<Arc<dyn Upgrades>>,
    pub domain_look: Option<Arc<dyn DomainLook>>,
    pub zone_look: Option<Arc<dyn ZoneLook>>,
    pub requests: Option<Arc<dyn Requests>>,
    pub engine: EngineSight,
    pub registry: Arc<prometheus_client::registry::Registry>,
    pub http: HttpMetrics,
    pub config: ApiConfig,
    pub credentials: Credentials,
    pub logins: LoginLimit,
    pub passwords: Passwords,
    pub registry_logins: registry::Logins,
    pub repositories: Repositories,
    pub git_tasks: GitTasks,
    pub started: Instant,
    followed: Arc<Places<UserId>>,
    bodies: Arc<Semaphore>,
    relayed: Arc<Semaphore>,
    webhooks: Arc<Semaphore>,
    detections: Arc<Semaphore>,
}

/// The state of the router.
pub(crate) type Shared = Arc<Context>;

impl Context {
    pub fn new(api: Api) -> Self {
        let Api {
            cluster,
            scheduler,
            builder,
            edge_applied,
            sites,
            metrics,
            nodes,
            left,
            upgrades,
            domain_look,
            zone_look,
            requests,
            config,
        } = api;
        Self {
            repositories: Repositories::new(&config.data_dir),
            git_tasks: GitTasks::default(),
            cluster,
            scheduler,
            builder,
            edge_applied,
            sites,
            nodes,
            left,
            upgrades,
            domain_look,
            zone_look,
            requests,
            engine: EngineSight::default(),
            registry: metrics,
            http: HttpMetrics::default(),
            config,
            credentials: Credentials::default(),
            logins: LoginLimit::default(),
            passwords: Passwords::default(),
            registry_logins: registry::Logins::default(),
            started: Instant::now(),
            followed: Places::new(FOLLOWED_MAX),
            bodies: Arc::new(Semaphore::new(BODIES_MAX)),
            relayed: Arc::new(Semaphore::new(RELAYED_MAX)),
            webhooks: Arc::new(Semaphore::new(WEBHOOKS_AT_ONCE)),
            detections: Arc::new(Semaphore::new(DETECTIONS_MAX)),
        }
    }

    /// Asks the cluster for a change, and gives its answer and a state that has it.
    pub async fn change(&self, proposal: Proposal) -> Result<(Reply, Arc<Applied>), ApiError> {
        let Committed { reply, .. } = self.cluster.propose(proposal).await?;
        Ok((reply, self.cluster.state()))
    }

    /// A place among the streams that are followed, of which no user gets all; `None` is another node, which has counted
    /// its user. Given back when dropped, as all places are.
    pub fn follow(&self, caller: Option<Caller>) -> Result<Follower, ApiError> {
        let place = self.followed.take(caller.as_ref().map(|caller| caller.user.id));
        let place = place.ok_or(ApiError::Busy { what: "streams" })?;
        Ok(Follower::new(place, caller, self.cluster.watch()))
    }

    /// A place among the bodies this node takes in at once.
    pub fn body_slot(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        slot(&self.bodies, "uploads")
    }

    /// A place among the requests this node has sent on.
    pub fn relay_slot(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        slot(&self.relayed, "requests for other nodes")
    }

    /// A place among the sources this node looks at.
    pub fn detection_slot(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        slot(&self.detections, "sources to look at")
    }

    /// A place among the webhooks this node reads at once; waits as long as a body may take.
    pub async fn webhook_slot(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        let slot = Arc::clone(&self.webhooks).acquire_owned();
        match tokio::time::timeout(BODY_TIMEOUT, slot).await {
            Ok(Ok(slot)) => Ok(slot),
            _ => Err(ApiError::Busy { what: "webhooks" }),
        }
    }
}

fn slot(of: &Arc<Semaphore>, what: &'static str) -> Result<OwnedSemaphorePermit, ApiError> {
    Arc::clone(of).try_acquire_owned().map_err(|_| ApiError::Busy { what })
}
