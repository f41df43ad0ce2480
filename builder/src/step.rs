//! The steps of a build, as its log names them.

/// The source is fetched.
pub const SOURCE: &str = "source";
/// The source is looked at.
pub const DETECT: &str = "detect";
/// An image is built or pulled.
pub const BUILD: &str = "build";
/// The artifact is put where replicas or the edge find it.
pub const PUBLISH: &str = "publish";
