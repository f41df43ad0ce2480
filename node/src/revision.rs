//! The commit that a folder is at, as `git` tells it, for the deployment's record.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::Serialize;

/// The most octets of one answer of git.
const ANSWER_BYTES_MAX: u64 = 64 << 10;
/// What a message begins with when the folder is not as it was committed.
const CHANGED: &str = "(uncommitted changes) ";
/// What a Git hook sets for its own repository, which need not be the folder's.
const OF_HOOKS: [&str; 3] = ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"];

/// A commit, as REST takes it.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Revision {
    /// The branch; none on a detached head.
    pub branch: Option<String>,
    /// The full hash.
    pub commit: String,
    /// The first line of the message.
    pub message: String,
    /// Who wrote it.
    pub author: String,
}

/// The commit that holds a folder; `None` where git, a repository or a commit is missing, or does not know the folder.
pub fn read(folder: &Path) -> Option<Revision> {
    git(folder, &["rev-parse", "--verify", "--quiet", "HEAD:./"])?;
    let format = "--format=%H%x00%an%x00%s";
    let log = git(folder, &["log", "-1", "--no-show-signature", format, "HEAD", "--"])?;
    let mut fields = log.trim_end().splitn(3, '\0').map(String::from);
    let (commit, author, message) = (fields.next()?, fields.next()?, fields.next()?);
    // What git does not tell in so many octets are changes as well.
    let changes = git(folder, &["status", "--porcelain", "--", "."]);
    let changed = changes.is_none_or(|changes| !changes.is_empty());
    let branch = git(folder, &["symbolic-ref", "--quiet", "--short", "HEAD"]);
    Some(Revision {
        branch: branch.map(|branch| branch.trim_end().into()),
        commit,
        message: if changed { format!("{CHANGED}{message}") } else { message },
        author,
    })
}

/// What git answers in a folder, when it succeeds within the bound. It changes nothing there.
fn git(folder: &Path, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("git");
    command.args(["-c", "core.fsmonitor=false", "-C"]).arg(folder).args(arguments);
    for name in OF_HOOKS {
        command.env_remove(name);
    }
    command.env("GIT_OPTIONAL_LOCKS", "0").env("LC_ALL", "C");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let mut octets = Vec::new();
    let output = child.stdout.take()?;
    // Git that has more to say ends when nobody reads on.
    let read = output.take(ANSWER_BYTES_MAX).read_to_end(&mut octets);
    let ended = child.wait().ok()?;
    (read.is_ok() && ended.success()).then(|| String::from_utf8_lossy(&octets).into_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn run(folder: &Path, arguments: &[&str]) {
        let as_ann = ["-c", "user.name=Ann", "-c", "user.email=ann@example.com"];
        git(folder, &[&as_ann, arguments].concat()).unwrap_or_else(|| panic!("{arguments:?}"));
    }

    fn committed() -> tempfile::TempDir {
        let top = tempfile::tempdir().unwrap();
        fs::create_dir(top.path().join("app")).unwrap();
        fs::write(top.path().join("app/index.html"), "one").unwrap();
        fs::write(top.path().join(".gitignore"), "dist\n").unwrap();
        run(top.path(), &["init", "--quiet", "--initial-branch=topic/x"]);
        run(top.path(), &["add", "."]);
        run(top.path(), &["commit", "--quiet", "-m", "The first page\n\nwith more"]);
        top
    }

    #[test]
    fn a_folder_of_a_work_tree_has_a_commit() {
        let top = committed();
        let revision = read(&top.path().join("app")).unwrap();
        assert_eq!(revision.commit.len(), 40);
        assert_eq!(revision.branch.as_deref(), Some("topic/x"));
        assert_eq!(
            (revision.author.as_str(), revision.message.as_str()),
            ("Ann", "The first page")
        );
        run(top.path(), &["checkout", "--quiet", "--detach"]);
        assert_eq!(read(top.path()).unwrap(), Revision { branch: None, ..revision });
    }

    #[test]
    fn changes_that_are_not_committed_are_told() {
        let top = committed();
        fs::write(top.path().join("app/new.html"), "two").unwrap();
        assert_eq!(read(top.path()).unwrap().message, "(uncommitted changes) The first page");
    }

    #[test]
    fn what_git_does_not_know_has_no_commit() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(read(folder.path()), None, "no repository");
        run(folder.path(), &["init", "--quiet"]);
        assert_eq!(read(folder.path()), None, "no commit");
        let top = committed();
        fs::create_dir(top.path().join("dist")).unwrap();
        assert_eq!(read(&top.path().join("dist")), None, "ignored");
        assert_eq!(read(Path::new("/nowhere")), None);
    }
}
