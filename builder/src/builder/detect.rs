//! Looks at a source as a build would, and builds nothing.

use std::fmt;
use std::time::Duration;

use temps_presets::Recipe;
use temps_state::{NodeId, Revision, RunConfig, Source};

use super::fetch::Fetch;
use crate::masked_log::MaskedLog;
use crate::recipe::SourcePlan;
use crate::{BuildError, Builder};

/// How long fetching a source to look at it may take: less than clients wait for an answer.
pub const DETECT_SECONDS_MAX: u64 = 50;

/// What to look at.
pub struct DetectRequest {
    /// The source.
    pub source: Source,
    /// The private SSH key that may read the repository.
    pub deploy_key: Option<String>,
    /// The nodes to ask for an upload that is not here.
    pub nodes: Vec<NodeId>,
}

impl fmt::Debug for DetectRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DetectRequest").finish_non_exhaustive()
    }
}

/// What would be built.
#[derive(Debug)]
pub struct Detected {
    /// How, and why so.
    pub recipe: Recipe,
    /// How the app would run.
    pub config: RunConfig,
    /// The source's own configuration file, when it has one.
    pub config_file: Option<&'static str>,
    /// The commit that was looked at, when it came from Git.
    pub revision: Option<Revision>,
}

impl Builder {
    /// Fetches a source with the bounds of a build, and says what would be built of it. Nothing of it is kept.
    pub async fn detect(&self, request: DetectRequest) -> Result<Detected, BuildError> {
        let within = Duration::from_secs(DETECT_SECONDS_MAX);
        let looked = tokio::time::timeout(within, self.look(&request)).await;
        looked.unwrap_or(Err(BuildError::DetectTimedOut { seconds: DETECT_SECONDS_MAX }))
    }

    async fn look(&self, request: &DetectRequest) -> Result<Detected, BuildError> {
        let DetectRequest { source, deploy_key, nodes } = request;
        let work = self.work_folder("detect-")?;
        let fetch = Fetch { builder: self, source, deploy_key: deploy_key.as_deref(), nodes };
        let fetched = fetch.run(work.path(), &MaskedLog::silent()).await?;
        let SourcePlan { config, recipe } = SourcePlan::read(&fetched.root)?;
        Ok(Detected {
            config: config.run_config(&recipe, None),
            config_file: config.file,
            recipe,
            revision: fetched.revision,
        })
    }
}
