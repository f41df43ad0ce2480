//! REST, authentication and OpenAPI, and the Git server that deploys what is pushed to it.
//!
//! [`ApiHandle`] is the whole HTTP face of a node but the edge. A handler reads what the cluster agrees on, proposes a
//! change, and shows the outcome; it decides nothing that [`temps_state::State::apply`] decides. The path of a change:
//! [`auth`] finds the caller, the noun's file makes a command of the body, `Context::change` proposes it, and
//! [`error`] turns a refusal into a problem document.

mod admin;
mod answer;
mod api_keys;
mod audit;
mod auth;
mod body;
mod build_log;
mod callers;
mod certificates;
mod changes;
mod conditions;
mod consistency;
mod context;
mod credentials;
mod dashboard;
mod deletion;
mod deployments;
mod detections;
mod dns_providers;
mod dns_zones;
mod domains;
mod engine;
mod environments;
mod error;
mod events;
mod exec;
mod failing;
mod far;
mod follow;
mod front;
mod git_push;
mod guards;
mod handle;
mod header_policies;
mod health;
mod idempotency;
mod ids;
mod internal;
mod links;
mod login_limit;
mod logs;
mod metrics;
mod nodes;
mod openapi;
mod pages;
mod passwords;
mod placement;
mod places;
mod projects;
mod push;
mod registry;
mod relay;
mod replicas;
mod requests;
mod router;
mod schema;
mod secrets;
mod session;
mod sessions;
mod settings;
mod source_copy;
mod status;
mod streams;
mod uploads;
mod usage;
mod users;
mod variables;
mod webhooks;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use prometheus_client::registry::Registry;
use temps_builder::Builder;
use temps_raft::Cluster;
use temps_scheduler::Scheduler;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::context::Context;

pub use admin::{check_admin, ensure_admin};
pub use deployments::SourceIn;
pub use dns_zones::ZoneLook;
pub use domains::{AddressSeen, DomainLook, DomainSeen, LOOK_WITHIN, RefusedSeen};
pub use error::{ApiError, Problem};
pub use front::API_CONNECTIONS_MAX;
pub use handle::ApiHandle;
pub use health::Sites;
pub use nodes::{
    BINARY_BYTES_MAX, UpgradeFailure, UpgradeOutcome, UpgradeStage, UpgradeStatus, Upgrades,
};
pub use pages::Page;
pub use registry::{LocalRegistry, OtherNodes};
pub use relay::{Duplex, Nodes};
pub use requests::{Followed, RequestLine, RequestSeen, Requests};
pub use variables::RESERVED_VARIABLES;

/// What the API needs to know of its node.
#[derive(Debug, Clone)]
pub struct ApiConfig {
    /// The port of the edge's plain HTTP listener; part of the apps' URLs.
    pub http_port: u16,
    /// The port of the edge's TLS listener.
    pub https_port: Option<u16>,
    /// Where other nodes reach this one, as far as it knows by itself; `None` for a node that is alone.
    pub peer_address: Option<SocketAddr>,
    /// The node's data folder; the repositories that are pushed to lie in its `git` folder.
    pub data_dir: PathBuf,
    /// Whether the edge knows in which country an address is.
    pub countries: bool,
}

/// What the API is made of.
pub struct Api {
    /// What the cluster agrees on.
    pub cluster: Cluster,
    /// The containers.
    pub scheduler: Scheduler,
    /// Uploads and build logs.
    pub builder: Builder,
    /// The index of the state that this node's edge serves from.
    pub edge_applied: watch::Receiver<u64>,
    /// Whether it has the static sites that it serves.
    pub sites: watch::Receiver<Sites>,
    /// Metrics of the other parts of the node.
    pub metrics: Arc<Registry>,
    /// The way to other nodes; `None` for a node that is alone.
    pub nodes: Option<Arc<dyn Nodes>>,
    /// Cancelled once this node was removed from the cluster through its own API.
    pub left: CancellationToken,
    /// Replaces the node's program; `None` where nobody does.
    pub upgrades: Option<Arc<dyn Upgrades>>,
    /// Looks at domains; `None` where nobody does.
    pub domain_look: Option<Arc<dyn DomainLook>>,
    /// Looks how zones are handed over; `None` where nobody does.
    pub zone_look: Option<Arc<dyn ZoneLook>>,
    /// Tells which requests the edge has answered; `None` where nobody does.
    pub requests: Option<Arc<dyn Requests>>,
    /// Ports and folders.
    pub config: ApiConfig,
}

impl Api {
    /// The API, ready to serve.
    pub fn handle(self) -> ApiHandle {
        ApiHandle::new(Arc::new(Context::new(self)))
    }
}
