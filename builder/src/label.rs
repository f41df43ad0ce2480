//! The labels by which Temps knows its images and containers again.

/// On everything Temps made: `true` on images and replicas, [`EXPORTS`] on containers that only lend their files.
/// Containers inherit the labels of their image: what a container is must be told by more than this one.
pub const MANAGED: &str = "sh.temps.managed";
/// See [`MANAGED`].
pub const EXPORTS: &str = "export";
/// The data folder of the node that made it: several nodes may share one engine.
pub const DATA_DIR: &str = "sh.temps.data-dir";
/// The project's name.
pub const PROJECT: &str = "sh.temps.project";
/// The deployment's id.
pub const DEPLOYMENT: &str = "sh.temps.deployment";
