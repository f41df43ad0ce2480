//! Fetches a source into a folder of its own.

use std::io;
use std::path::{Path, PathBuf};

use temps_state::Revision;

use crate::archive::{self, Bounds};
use crate::checkout::{Checkout, Wanted, app_folder};
use crate::git::Git;
use crate::git_url::GitUrl;
use crate::masked_log::MaskedLog;
use crate::{BuildError, Uploads, step};

/// How much of a commit's hash people read.
const SHORT_HASH: usize = 7;

/// A fetched source.
pub(crate) struct SourceFolder {
    /// The app's folder.
    pub(crate) root: PathBuf,
    /// The commit, when it came from Git.
    pub(crate) revision: Option<Revision>,
}

/// Unpacks an upload into `work`.
pub(crate) async fn unpack(
    uploads: &Uploads,
    digest: &str,
    work: &Path,
    log: &MaskedLog,
) -> Result<SourceFolder, BuildError> {
    let path = uploads.path(digest);
    let facts = std::fs::metadata(&path)
        .map_err(|source| BuildError::Read { what: "the upload", source })?;
    log.write(step::SOURCE, &format!("unpacking the upload, {} KiB", facts.len().div_ceil(1024)));
    let root = folder(work)?;
    let target = root.clone();
    let unpacked = tokio::task::spawn_blocking(move || {
        archive::unpack_file(&path, &target, Bounds::default())
    });
    unpacked.await.map_err(|panic| write_error(io::Error::other(panic)))??;
    Ok(SourceFolder { root, revision: None })
}

/// A Git source.
pub(crate) struct GitSource<'a> {
    pub(crate) url: &'a str,
    pub(crate) wanted: Wanted,
    pub(crate) directory: &'a str,
    pub(crate) deploy_key: Option<&'a str>,
    pub(crate) known_hosts: &'a Path,
}

impl GitSource<'_> {
    /// Clones it into `work`.
    pub(crate) async fn check_out(
        &self,
        work: &Path,
        log: &MaskedLog,
    ) -> Result<SourceFolder, BuildError> {
        let url = GitUrl::read(self.url)?;
        log.write(step::SOURCE, &format!("cloning {}", url.shown()));
        let root = folder(work)?;
        let git = Git::new(&root, work, self.known_hosts, self.deploy_key).map_err(write_error)?;
        let checkout = Checkout { git, url: &url, wanted: &self.wanted, folder: &root };
        let revision = checkout.run().await?;
        log.write(step::SOURCE, &told(&revision));
        Ok(SourceFolder { root: app_folder(&root, self.directory)?, revision: Some(revision) })
    }
}

fn told(revision: &Revision) -> String {
    let hash = revision.commit.get(..SHORT_HASH).unwrap_or(&revision.commit);
    let branch = revision.branch.as_ref().map(|b| format!(" on {b}")).unwrap_or_default();
    format!("commit {hash}{branch} by {}: {}", revision.author, revision.message)
}

fn folder(work: &Path) -> Result<PathBuf, BuildError> {
    let root = work.join("source");
    std::fs::create_dir(&root).map_err(write_error)?;
    Ok(root)
}

fn write_error(source: io::Error) -> BuildError {
    BuildError::Write { what: "the source", source }
}
