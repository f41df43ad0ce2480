//! What a deployment is made of, as REST takes and shows it.

use serde::{Deserialize, Serialize};
use temps_state::{DeploymentId, Project, Revision, Source};
use utoipa::ToSchema;

use crate::ApiError;
use crate::projects::{redacted, tidy_directory};

/// The longest branch name, commit, image reference or author, in octets.
pub const TEXT_BYTES_MAX: usize = 512;
/// The longest URL, in octets.
pub const URL_BYTES_MAX: usize = 2_048;

/// What to deploy.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[schema(as = NewSource)]
pub enum SourceIn {
    /// An archive sent to POST /api/uploads.
    Upload {
        /// What that answered.
        digest: String,
    },
    /// A commit of a Git repository.
    Git {
        /// Any URL Git can clone; the project's repository when missing.
        url: Option<String>,
        /// The branch; the project's, or the repository's default, when missing.
        branch: Option<String>,
        /// The commit; the branch's newest when missing.
        commit: Option<String>,
        /// The folder of the app inside the repository.
        directory: Option<String>,
    },
    /// A ready image.
    Image {
        /// Its reference, such as `nginx:stable`.
        reference: String,
    },
    /// What an earlier deployment of the project built.
    Artifact {
        /// That deployment's id or number.
        of: String,
    },
}

/// What a deployment is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schema(as = Source)]
pub enum SourceOut {
    /// A folder sent by a client or a `git push`.
    Upload {
        /// SHA-256 of the archive, in hex.
        digest: String,
    },
    /// A commit of a Git repository.
    Git {
        /// Where it was cloned from, without credentials.
        url: String,
        /// The branch.
        branch: Option<String>,
        /// The commit.
        commit: Option<String>,
        /// The folder of the app inside the repository; empty for its root.
        directory: String,
    },
    /// A ready image.
    Image {
        /// Its reference.
        reference: String,
    },
    /// What an earlier deployment built.
    Artifact {
        /// That deployment.
        #[schema(value_type = String)]
        of: DeploymentId,
    },
}

/// The commit a deployment is made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Revision)]
pub struct RevisionBody {
    /// The branch.
    #[serde(default)]
    pub branch: Option<String>,
    /// The commit's full hash.
    pub commit: String,
    /// The first line of its message.
    #[serde(default)]
    pub message: String,
    /// Who wrote it.
    #[serde(default)]
    pub author: String,
}

impl From<&Source> for SourceOut {
    fn from(source: &Source) -> Self {
        match source.clone() {
            Source::Upload { digest } => Self::Upload { digest },
            Source::Git { url, branch, commit, directory } => {
                Self::Git { url: redacted(&url), branch, commit, directory }
            }
            Source::Image { reference } => Self::Image { reference },
            Source::Artifact { of } => Self::Artifact { of },
        }
    }
}

impl From<&Revision> for RevisionBody {
    fn from(revision: &Revision) -> Self {
        let Revision { branch, commit, message, author } = revision.clone();
        Self { branch, commit, message, author }
    }
}

impl RevisionBody {
    /// A revision with everything cut to its bound.
    pub(crate) fn read(self) -> Result<Revision, ApiError> {
        let Self { branch, commit, message, author } = self;
        let branch = branch.map(|branch| checked_branch("revision.branch", branch)).transpose()?;
        let commit = checked_commit("revision.commit", commit)?;
        Ok(revision(branch, commit, &message, &author))
    }
}

/// A revision with its texts cut to their bounds; of a message, only the first line.
pub(crate) fn revision(
    branch: Option<String>,
    commit: String,
    message: &str,
    author: &str,
) -> Revision {
    let message = cut(message.lines().next().unwrap_or_default());
    Revision { branch, commit, message, author: cut(author) }
}

fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(TEXT_BYTES_MAX)].into()
}

impl SourceIn {
    /// Refuses what no project could be deployed from, before anything is asked of a cluster.
    pub fn check(&self) -> Result<(), ApiError> {
        match self.clone() {
            Self::Upload { digest } => checked_digest(digest).map(drop),
            Self::Image { reference } => checked_reference(reference).map(drop),
            Self::Artifact { .. } => Ok(()),
            Self::Git { url, branch, commit, directory } => {
                url.map(|url| checked_url("source.url", url)).transpose()?;
                branch.map(|b| checked_branch("source.branch", b)).transpose()?;
                commit.map(|c| checked_commit("source.commit", c)).transpose()?;
                directory.map(|d| tidy_directory("source.directory", &d)).transpose()?;
                Ok(())
            }
        }
    }

    /// The source that the cluster keeps. `find` looks a deployment of the project up.
    pub(crate) fn read(
        self,
        project: Option<&Project>,
        find: impl Fn(&str) -> Result<DeploymentId, ApiError>,
    ) -> Result<Source, ApiError> {
        match self {
            Self::Upload { digest } => Ok(Source::Upload { digest: checked_digest(digest)? }),
            Self::Image { reference } => {
                Ok(Source::Image { reference: checked_reference(reference)? })
            }
            Self::Artifact { of } => Ok(Source::Artifact { of: find(&of)? }),
            Self::Git { url, branch, commit, directory } => {
                let branch = branch.map(|b| checked_branch("source.branch", b)).transpose()?;
                let commit = commit.map(|c| checked_commit("source.commit", c)).transpose()?;
                let directory =
                    directory.map(|d| tidy_directory("source.directory", &d)).transpose()?;
                git(project, url, branch, commit, directory)
            }
        }
    }
}

/// A Git source; what is missing comes from the project's repository.
fn git(
    project: Option<&Project>,
    url: Option<String>,
    branch: Option<String>,
    commit: Option<String>,
    directory: Option<String>,
) -> Result<Source, ApiError> {
    if let Some(url) = url {
        let url = checked_url("source.url", url)?;
        return Ok(Source::Git { url, branch, commit, directory: directory.unwrap_or_default() });
    }
    let Some(project) = project else {
        return Err(ApiError::invalid(
            "source.url",
            "name a repository, or a project that has one",
        ));
    };
    let Some(repository) = project.repository.clone() else {
        return Err(ApiError::Conflict {
            code: "no_repository",
            why: format!("project {} has no repository to deploy from", project.name),
            hint: "name one with `temps deploy --git URL`, or give it to the project: `temps projects set --repository URL`",
        });
    };
    Ok(Source::Git {
        url: repository.url,
        branch: branch.or_else(|| commit.is_none().then_some(repository.branch)),
        commit,
        directory: directory.unwrap_or(repository.directory),
    })
}

/// A URL for Git: bounded, of plain characters, never an option, and never git's `helper::address`.
pub(crate) fn checked_url(field: &'static str, url: String) -> Result<String, ApiError> {
    let plain = !url.contains(|c: char| c.is_control() || c.is_whitespace());
    let helper = !url.contains("://") && url.contains("::");
    let bounded = (1..=URL_BYTES_MAX).contains(&url.len());
    match plain && bounded && !helper && !url.starts_with('-') {
        true => Ok(url),
        false => Err(ApiError::NotCloneable { field }),
    }
}

/// A branch name, by the rules that matter of git-check-ref-format(1).
pub(crate) fn checked_branch(field: &str, branch: String) -> Result<String, ApiError> {
    let bad = |c: char| c.is_control() || c.is_whitespace() || "~^:?*[\\".contains(c);
    let good = (1..=TEXT_BYTES_MAX).contains(&branch.len())
        && !branch.contains(bad)
        && !branch.contains("..")
        && !branch.starts_with(['-', '/', '.'])
        && !branch.ends_with(['/', '.']);
    match good {
        true => Ok(branch),
        false => Err(ApiError::invalid(field, "this is no branch name")),
    }
}

pub(crate) fn checked_commit(field: &str, commit: String) -> Result<String, ApiError> {
    let hex = commit.bytes().all(|b| b.is_ascii_hexdigit());
    match hex && (7..=64).contains(&commit.len()) {
        true => Ok(commit.to_ascii_lowercase()),
        false => Err(ApiError::invalid(field, "a commit is 7 to 64 hexadecimal digits")),
    }
}

fn checked_digest(digest: String) -> Result<String, ApiError> {
    match digest.len() == 64 && digest.bytes().all(|b| b"0123456789abcdef".contains(&b)) {
        true => Ok(digest),
        false => Err(ApiError::invalid("source.digest", "use the digest of POST /api/uploads")),
    }
}

fn checked_reference(reference: String) -> Result<String, ApiError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
    let good = (1..=TEXT_BYTES_MAX).contains(&reference.len())
        && reference.chars().all(plain)
        && reference.starts_with(|c: char| c.is_ascii_alphanumeric());
    match good {
        true => Ok(reference),
        false => Err(ApiError::invalid("source.reference", "this is no image reference")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_could_take_for_something_else_is_refused() {
        for bad in ["", "-b", "a b", "a..b", "/a", "a/", "a~1", "a\n", ".a"] {
            assert!(checked_branch("b", bad.into()).is_err(), "{bad:?}");
        }
        for good in ["main", "feature/log-in", "v1.2", "ü"] {
            assert!(checked_branch("b", good.into()).is_ok(), "{good}");
        }
        for bad in ["", "--upload-pack=x", "ext::sh -c id", "ext::x", "a b"] {
            assert!(checked_url("u", bad.into()).is_err(), "{bad:?}");
        }
        for good in ["https://host/a.git", "https://[::1]/a", "git@host:a.git", "/srv/a.git"] {
            assert!(checked_url("u", good.into()).is_ok(), "{good}");
        }
        assert!(checked_commit("c", "HEAD".into()).is_err());
        assert_eq!(checked_commit("c", "ABCDEF0".into()).unwrap(), "abcdef0");
    }

    #[test]
    fn a_message_is_its_first_line_and_bounded() {
        let revision = revision(None, "a".repeat(40), &format!("{}\nmore", "é".repeat(400)), "me");
        assert!(revision.message.len() <= TEXT_BYTES_MAX);
        assert!(!revision.message.contains('\n'));
    }
}
