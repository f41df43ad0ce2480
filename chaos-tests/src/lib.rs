//! Real clusters on one machine: every node on a machine of its own made of namespaces, with its own address, engine
//! and disk folder, running the real binary. `deploy/cluster.sh` makes them and breaks them; this crate calls it, asks
//! the nodes over HTTP, and counts what a fault cost.
//!
//! ```no_run
//! # async fn story() -> Result<(), temps_chaos_tests::GroundError> {
//! use temps_chaos_tests::{Ground, Options, Traffic};
//!
//! let ground = Ground::up(3, Options::default()).await?;
//! ground.temps(&["deploy", "deploy/samples/static-site", "--project", "site"]).await?;
//! let traffic = Traffic::start(&ground.edges(&[1, 2]), "site-production.localho.st", 50);
//! ground.node(3).kill9().await?;
//! ground.partition(&[&[1], &[2, 3]]).await?;
//! ground.heal().await?;
//! let report = traffic.stop().await;
//! println!("{report}");
//! ground.down().await
//! # }
//! ```
#![forbid(unsafe_code)]

mod app;
mod authority;
mod calendar;
pub mod chaos;
pub mod check;
mod client;
pub mod disk;
mod error;
mod failing;
mod ground;
mod guard;
pub mod history;
#[path = "../../providers/tests/it/knot_config.rs"]
mod knot_config;
mod members;
mod name_server;
mod node;
pub mod page;
mod program;
mod report;
mod script;
mod traffic;
mod visitor;
mod wait;
mod writes;

pub use app::App;
pub use authority::Authority;
pub use client::{Answer, Client, Request};
pub use error::GroundError;
pub use ground::{Ground, Options, Start};
pub use name_server::NameServer;
pub use node::{Memory, Node};
pub use report::{Failure, Report, Tally};
pub use script::{binary_has, write_other_binary};
pub use traffic::Traffic;
pub use visitor::{Visit, Visitor};
pub use wait::{RECOVERY, until};
pub use writes::{Writes, Written};
