//! What to build.

use std::collections::BTreeMap;
use std::fmt;

use temps_state::{BuildSettings, DeploymentId, Name, NodeId, Revision, Source, VariableName};

use crate::git_url::GitUrl;
use crate::masked_log::Mask;

/// What to build, and with what.
#[derive(Clone)]
pub struct BuildRequest {
    /// The deployment it is for.
    pub deployment: DeploymentId,
    /// The project's name.
    pub project: Name,
    /// The environment's name.
    pub environment: Name,
    /// What it is made of.
    pub source: Source,
    /// The commit, when already known.
    pub revision: Option<Revision>,
    /// The private SSH key that may read the repository.
    pub deploy_key: Option<String>,
    /// The environment's variables, opened.
    pub variables: BTreeMap<VariableName, String>,
    /// The nodes to ask for a source that is not here.
    pub nodes: Vec<NodeId>,
    /// Bounds.
    pub limits: BuildSettings,
}

impl BuildRequest {
    /// What must not show in the log: the values of the variables, the key, and the password in the URL.
    pub(crate) fn mask(&self) -> Mask {
        let url = match &self.source {
            Source::Git { url, .. } => GitUrl::read(url).ok(),
            _ => None,
        };
        let values = self.variables.values().map(String::as_str);
        let password = url.as_ref().and_then(GitUrl::password);
        Mask::of(values.chain(self.deploy_key.as_deref()).chain(password))
    }
}

impl fmt::Debug for BuildRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BuildRequest")
            .field("deployment", &self.deployment)
            .field("project", &self.project)
            .field("environment", &self.environment)
            .finish_non_exhaustive()
    }
}
