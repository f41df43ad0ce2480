//! Records at DNS providers: what the cluster's names need there, and how each provider is told.
//!
//! [`wanted`](wanted::wanted) and [`plan`](plan::plan) think; [`Provider`] speaks, with a small file for every provider;
//! [`keep_records`] has the node that leads keep them in step, for as long as the node runs. Nothing is touched that the
//! state does not name as made by the cluster.

mod api;
mod azure;
mod change;
mod cloudflare;
mod digitalocean;
mod error;
mod gate;
mod google;
mod hetzner;
mod http;
mod jwt;
mod keep_error;
mod keeper;
mod ledger;
mod oauth;
mod outcome;
mod plan;
mod provider;
mod record_set;
mod rfc2136;
mod round;
mod route53;
mod secret;
mod sigv4;
mod text;
mod wanted;

pub use change::Change;
pub use error::ProviderError;
pub use keeper::keep_records;
pub use outcome::Outcome;
pub use plan::{Plan, plan};
pub use provider::{KINDS, Provider};
pub use record_set::{Found, Listing, RecordSet};
pub use wanted::{Wanted, wanted};
