//! Projects and where they run.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// A project.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Project {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When it was created.
    pub created_at: Option<Timestamp>,
    /// Whether it answers 403.
    pub disabled: bool,
    /// Where its source is.
    pub repository: Option<Repository>,
    /// Whether pushes to other branches make preview environments.
    pub previews: bool,
    /// Where `git push` goes.
    pub git_url: Option<String>,
    /// Other projects that may call it by its internal names.
    pub callers: Vec<String>,
    /// Where it runs.
    pub environments: Vec<Environment>,
}

/// Where a project's source is.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Repository {
    /// What to clone.
    pub url: String,
    /// What production follows.
    pub branch: String,
    /// The folder of the app inside it.
    pub directory: String,
    /// Whether there is a key that may read it.
    pub has_deploy_key: bool,
}

/// An environment.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Environment {
    /// Its name.
    pub name: String,
    /// `{"type": "production"}`, or a preview with its branch.
    pub kind: Value,
    /// Where it is served.
    pub url: String,
    /// How many replicas are wanted.
    pub replicas: u32,
    /// How many answer.
    pub healthy_replicas: u32,
    /// Why it has fewer replicas than it should, where no node has room for more.
    pub lacking: Option<Lacking>,
    /// What is live.
    pub current: Option<Current>,
}

/// Why replicas have no place.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Lacking {
    /// What is lacking, and on how many nodes.
    pub message: String,
    /// What to do.
    pub hint: String,
}

/// The live deployment of an environment.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Current {
    /// Its number.
    pub number: u64,
    /// Its phase.
    pub phase: String,
}
