//! Checks out one commit of a Git repository.

use std::io;
use std::path::{Component, Path, PathBuf};

use temps_state::Revision;

use crate::BuildError;
use crate::git::{GIT_SECONDS_MAX, Git, GitError, Output, PROTOCOLS};
use crate::git_url::GitUrl;

/// The most octets of git's own words in an error.
const DETAIL_BYTES_MAX: usize = 1_000;
/// The longest branch or commit name.
const REVISION_BYTES_MAX: usize = 255;

/// Which commit to check out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The newest of the default branch.
    Default,
    /// The newest of a branch, or a tag's.
    Branch(String),
    /// This one, whole or shortened, with the branch it is said to be on.
    Commit { commit: String, branch: Option<String> },
}

impl Wanted {
    pub(crate) fn read(branch: Option<&str>, commit: Option<&str>) -> Self {
        let branch = branch.filter(|b| !b.is_empty()).map(String::from);
        match (commit.filter(|c| !c.is_empty()), branch) {
            (Some(commit), branch) => Self::Commit { commit: commit.into(), branch },
            (None, Some(branch)) => Self::Branch(branch),
            (None, None) => Self::Default,
        }
    }

    fn is_plain(&self) -> bool {
        let plain = |text: &str| {
            text.len() <= REVISION_BYTES_MAX
                && !text.starts_with(['-', '/', '.'])
                && !text.contains("..")
                && !text.contains(|c: char| c.is_ascii_control() || " ~^:?*[\\".contains(c))
        };
        match self {
            Self::Default => true,
            Self::Branch(name) => plain(name),
            Self::Commit { commit, .. } => commit.bytes().all(|b| b.is_ascii_hexdigit()),
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Default => "default branch".into(),
            Self::Branch(name) => format!("branch `{name}`"),
            Self::Commit { commit, .. } => format!("commit `{commit}`"),
        }
    }
}

/// A checkout under way.
pub(crate) struct Checkout<'a> {
    pub(crate) git: Git,
    pub(crate) url: &'a GitUrl,
    pub(crate) wanted: &'a Wanted,
    pub(crate) folder: &'a Path,
}

impl Checkout<'_> {
    /// Fills the folder and says which commit it holds. Git's own files are removed again: no build needs them, and
    /// they hold the URL with its credentials.
    pub(crate) async fn run(&self) -> Result<Revision, BuildError> {
        if !self.wanted.is_plain() {
            return Err(self.revision_not_found(Vec::new()));
        }
        self.must(PROTOCOLS, &["init", "--quiet"]).await?;
        self.must(PROTOCOLS, &["remote", "add", "origin", self.url.with_credentials()]).await?;
        let branch = self.fetch().await?;
        self.must(PROTOCOLS, &["checkout", "--quiet", "--detach", "FETCH_HEAD"]).await?;
        let revision = self.revision(branch).await?;
        self.submodules().await?;
        remove_git_files(self.folder)
            .map_err(|source| BuildError::Write { what: "the source", source })?;
        Ok(revision)
    }

    /// Leaves the wanted commit in `FETCH_HEAD` and tells its branch.
    async fn fetch(&self) -> Result<Option<String>, BuildError> {
        match self.wanted {
            Wanted::Default => {
                self.fetch_one("HEAD").await?.map_err(|failed| self.classify(&failed))?;
                self.default_branch().await
            }
            Wanted::Branch(name) => {
                for kind in ["heads", "tags"] {
                    match self.fetch_one(&format!("refs/{kind}/{name}")).await? {
                        Ok(()) => return Ok(Some(name.clone())),
                        Err(failed) if is_unknown_revision(&failed.stderr) => {}
                        Err(failed) => return Err(self.classify(&failed)),
                    }
                }
                Err(self.revision_not_found(self.branches().await?))
            }
            Wanted::Commit { commit, branch } => {
                if self.fetch_one(commit).await?.is_err() {
                    self.fetch_all_for(commit).await?;
                }
                Ok(branch.clone())
            }
        }
    }

    async fn fetch_one(&self, what: &str) -> Result<Result<(), Output>, BuildError> {
        let args = ["fetch", "--quiet", "--depth=1", "--no-tags", "origin", what];
        let output = self.run_git(PROTOCOLS, &args).await?;
        Ok(if output.status.success() { Ok(()) } else { Err(output) })
    }

    /// For servers that give no single commit, and for shortened names: takes everything and looks for it.
    async fn fetch_all_for(&self, commit: &str) -> Result<(), BuildError> {
        let refs = ["+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"];
        self.must(PROTOCOLS, &["fetch", "--quiet", "origin", refs[0], refs[1]]).await?;
        let name = format!("{commit}^{{commit}}");
        let found = self.run_git(PROTOCOLS, &["rev-parse", "--verify", "--quiet", &name]).await?;
        if !found.status.success() {
            return Err(self.revision_not_found(self.branches().await?));
        }
        self.must(PROTOCOLS, &["fetch", "--quiet", ".", found.stdout.trim()]).await.map(drop)
    }

    async fn default_branch(&self) -> Result<Option<String>, BuildError> {
        let output = self.must(PROTOCOLS, &["ls-remote", "--symref", "origin", "HEAD"]).await?;
        let branch = output.stdout.lines().find_map(|line| {
            line.strip_prefix("ref: refs/heads/")?.split_whitespace().next().map(String::from)
        });
        Ok(branch)
    }

    async fn branches(&self) -> Result<Vec<String>, BuildError> {
        let output = self.must(PROTOCOLS, &["ls-remote", "--heads", "origin"]).await?;
        let branches = output.stdout.lines();
        Ok(branches.filter_map(|l| l.split_once("refs/heads/").map(|(_, b)| b.into())).collect())
    }

    async fn revision(&self, branch: Option<String>) -> Result<Revision, BuildError> {
        let output = self.must(PROTOCOLS, &["log", "-1", "--format=%H%n%an%n%s"]).await?;
        let mut lines = output.stdout.lines().map(String::from);
        let mut next = || lines.next().unwrap_or_default();
        let (commit, author, message) = (next(), next(), next());
        Ok(Revision { branch, commit, message, author })
    }

    async fn submodules(&self) -> Result<(), BuildError> {
        if !self.folder.join(".gitmodules").is_file() {
            return Ok(());
        }
        let args =
            ["submodule", "--quiet", "update", "--init", "--recursive", "--depth=1", "--jobs=2"];
        self.must(self.url.submodule_protocols(), &args).await.map(drop)
    }

    async fn must(&self, protocols: &str, args: &[&str]) -> Result<Output, BuildError> {
        let output = self.run_git(protocols, args).await?;
        if output.status.success() { Ok(output) } else { Err(self.classify(&output)) }
    }

    async fn run_git(&self, protocols: &str, args: &[&str]) -> Result<Output, BuildError> {
        self.git.run(protocols, args).await.map_err(|error| match error {
            GitError::Start(source) if source.kind() == io::ErrorKind::StorageFull => {
                BuildError::Write { what: "the source", source }
            }
            GitError::Start(source) => BuildError::GitMissing { source },
            GitError::TimedOut => {
                BuildError::CheckoutTimedOut { url: self.url.shown(), seconds: GIT_SECONDS_MAX }
            }
        })
    }

    fn revision_not_found(&self, branches: Vec<String>) -> BuildError {
        let (url, revision) = (self.url.shown(), self.wanted.shown());
        BuildError::RevisionNotFound { url, revision, branches }
    }

    fn classify(&self, failed: &Output) -> BuildError {
        let url = self.url.shown();
        let detail = self.detail(&failed.stderr);
        match Trouble::of(&failed.stderr) {
            Trouble::NotFound => BuildError::RepositoryNotFound { url, detail },
            Trouble::Unreachable => BuildError::RepositoryUnreachable { url, detail },
            Trouble::Revision => self.revision_not_found(Vec::new()),
            Trouble::Other => BuildError::Checkout { url, detail },
        }
    }

    /// Git's own words without credentials, in one line.
    fn detail(&self, stderr: &str) -> String {
        let mut text = stderr.replace(self.url.with_credentials(), &self.url.shown());
        if let Some(password) = self.url.password() {
            text = text.replace(password, crate::masked_log::MASK);
        }
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
        let mut text = lines.join("; ");
        text.truncate(text.floor_char_boundary(DETAIL_BYTES_MAX));
        text
    }
}

/// The kinds of trouble that git's messages tell of.
#[derive(Debug, PartialEq, Eq)]
enum Trouble {
    NotFound,
    Unreachable,
    Revision,
    Other,
}

const UNKNOWN_REVISION: [&str; 4] =
    ["couldn't find remote ref", "not our ref", "remote branch", "no such remote ref"];
const UNREACHABLE: [&str; 10] = [
    "could not resolve host",
    "connection refused",
    "connection timed out",
    "connection reset",
    "failed to connect",
    "network is unreachable",
    "no route to host",
    "operation too slow",
    "temporary failure in name resolution",
    "name or service not known",
];
const NOT_FOUND: [&str; 11] = [
    "not found",
    "does not exist",
    "does not appear to be a git repository",
    "no such file or directory",
    "authentication failed",
    "could not read username",
    "could not read password",
    "permission denied",
    "host key verification failed",
    "could not read from remote repository",
    "the requested url returned error: 40",
];

fn is_unknown_revision(stderr: &str) -> bool {
    Trouble::of(stderr) == Trouble::Revision
}

impl Trouble {
    fn of(stderr: &str) -> Self {
        let text = stderr.to_ascii_lowercase();
        let tells = |signs: &[&str]| signs.iter().any(|sign| text.contains(sign));
        if crate::error::says_disk_full(&text) {
            Self::Other
        } else if tells(&UNKNOWN_REVISION) {
            Self::Revision
        } else if tells(&UNREACHABLE) {
            Self::Unreachable
        } else if tells(&NOT_FOUND) {
            Self::NotFound
        } else {
            Self::Other
        }
    }
}

fn remove_git_files(folder: &Path) -> io::Result<()> {
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            match (entry.file_name() == ".git", entry.file_type()?.is_dir()) {
                (true, true) => std::fs::remove_dir_all(entry.path())?,
                (true, false) => std::fs::remove_file(entry.path())?,
                (false, true) => folders.push(entry.path()),
                (false, false) => {}
            }
        }
    }
    Ok(())
}

/// The app's folder inside the source: a real folder, not reached through links that lead out.
pub(crate) fn app_folder(source: &Path, directory: &str) -> Result<PathBuf, BuildError> {
    let missing = || BuildError::DirectoryMissing { directory: directory.into() };
    let inner = Path::new(directory.trim_matches('/'));
    if inner.components().any(|c| !matches!(c, Component::Normal(_) | Component::CurDir)) {
        return Err(missing());
    }
    let root = source.canonicalize().map_err(|_| missing())?;
    let folder = root.join(inner).canonicalize().map_err(|_| missing())?;
    if folder.starts_with(&root) && folder.is_dir() { Ok(folder) } else { Err(missing()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gits_words_are_told_apart() {
        for (stderr, trouble) in [
            ("fatal: couldn't find remote ref refs/heads/x", Trouble::Revision),
            ("fatal: remote error: upload-pack: not our ref 1234", Trouble::Revision),
            ("fatal: repository 'https://h/x/' not found", Trouble::NotFound),
            ("fatal: '/x' does not appear to be a git repository", Trouble::NotFound),
            (
                "fatal: could not read Username for 'https://h': terminal prompts disabled",
                Trouble::NotFound,
            ),
            ("git@h: Permission denied (publickey).", Trouble::NotFound),
            (
                "fatal: unable to access 'https://h/': Could not resolve host: h",
                Trouble::Unreachable,
            ),
            (
                "ssh: connect to host h port 22: Connection refused\nfatal: Could not read from remote repository.",
                Trouble::Unreachable,
            ),
            ("fatal: write error: No space left on device", Trouble::Other),
            ("fatal: something new", Trouble::Other),
        ] {
            assert_eq!(Trouble::of(stderr), trouble, "{stderr}");
        }
    }

    #[test]
    fn names_that_git_would_take_for_something_else_are_no_revisions() {
        let plain = |branch, commit| Wanted::read(branch, commit).is_plain();
        assert!(plain(None, None) && plain(Some("feature/a-1.2"), None));
        assert!(plain(None, Some("0123abc")));
        for bad in ["--upload-pack=x", "a b", "a..b", "a:b", "x~1", "/a"] {
            assert!(!plain(Some(bad), None), "{bad}");
            assert!(!plain(None, Some(bad)), "{bad}");
        }
    }

    #[test]
    fn the_apps_folder_is_inside_the_source() {
        let source = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(source.path().join("apps/web")).unwrap();
        std::os::unix::fs::symlink("/etc", source.path().join("out")).unwrap();
        for good in ["", "apps/web", "/apps/web/", "./apps"] {
            assert!(app_folder(source.path(), good).is_ok(), "{good}");
        }
        for bad in ["nope", "..", "apps/../../etc", "out"] {
            assert!(app_folder(source.path(), bad).is_err(), "{bad}");
        }
    }
}
