//! Gets what is to be built, or looked at, into a folder.

use std::path::Path;

use temps_state::{NodeId, Source};

use crate::checkout::Wanted;
use crate::masked_log::MaskedLog;
use crate::source_folder::{self, GitSource, SourceFolder};
use crate::{BuildError, Builder};

/// A source to fetch.
pub(super) struct Fetch<'a> {
    pub(super) builder: &'a Builder,
    pub(super) source: &'a Source,
    pub(super) deploy_key: Option<&'a str>,
    /// The nodes to ask for an upload that is not here.
    pub(super) nodes: &'a [NodeId],
}

impl Fetch<'_> {
    /// Fetches it into `work`.
    pub(super) async fn run(
        &self,
        work: &Path,
        log: &MaskedLog,
    ) -> Result<SourceFolder, BuildError> {
        match self.source {
            Source::Upload { digest } => {
                self.builder.obtain_upload(digest, self.nodes).await?;
                source_folder::unpack(self.builder.uploads(), digest, work, log).await
            }
            Source::Git { url, branch, commit, directory } => {
                let git = GitSource {
                    url,
                    wanted: Wanted::read(branch.as_deref(), commit.as_deref()),
                    directory,
                    deploy_key: self.deploy_key,
                    known_hosts: &self.builder.folder("known_hosts"),
                };
                git.check_out(work, log).await
            }
            Source::Image { .. } | Source::Artifact { .. } => Err(BuildError::NothingToBuild),
        }
    }
}
