//! An environment that answers, and what it answers with.

use std::sync::Arc;

use temps_state::{EnvironmentId, Name, ProjectId};

use crate::guard::Checks;
use crate::headers::Told;
use crate::security_headers::SecurityHeaders;
use crate::upstream::Pool;

/// Who answers for a host.
#[derive(Debug)]
pub(crate) struct Route {
    /// The project.
    pub(crate) project: ProjectId,
    /// Its name.
    pub(crate) project_name: Name,
    /// Whether its owner has switched it off.
    pub(crate) disabled: bool,
    /// The environment.
    pub(crate) environment: EnvironmentId,
    /// Its name.
    pub(crate) environment_name: Name,
    /// What its app is told about every request.
    pub(crate) told: Told,
    /// What answers.
    pub(crate) target: Target,
    /// What is added to its answers.
    pub(crate) security: Arc<SecurityHeaders>,
    /// What is checked before it is asked.
    pub(crate) checks: Option<Arc<Checks>>,
}

/// What answers.
#[derive(Debug)]
pub(crate) enum Target {
    /// Replicas of the live deployment, those that are healthy.
    Replicas(Pool),
    /// Files that the edge serves itself.
    Static {
        /// Which site.
        digest: String,
        /// Whether unknown paths get `index.html`.
        single_page: bool,
    },
    /// Nothing: there is no live deployment.
    Nothing,
}
