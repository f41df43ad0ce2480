//! Which project a folder belongs to: `.temps/project.json` in it or above it, its Git remote, its name.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use temps_state::Name;

use crate::error::CliError;

/// Where a folder remembers its project.
const LINK: &str = ".temps/project.json";

/// What `.temps/project.json` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The project's name.
    pub project: String,
}

/// The project that a folder, or the nearest one above it, is linked to.
pub fn linked(folder: &Path) -> Result<Option<String>, CliError> {
    for folder in folder.ancestors() {
        let path = folder.join(LINK);
        match fs::read(&path) {
            Ok(bytes) => return read(&path, &bytes).map(Some),
            Err(error) if absent(&error) => {}
            Err(error) => return Err(CliError::file("read", path)(error)),
        }
    }
    Ok(None)
}

fn absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn read(path: &Path, bytes: &[u8]) -> Result<String, CliError> {
    let link: Link = serde_json::from_slice(bytes).map_err(|error| {
        CliError::blocked(
            format!("cannot read {}", path.display()),
            error.to_string(),
            format!("rm {}, and name the project with --project", path.display()),
        )
    })?;
    Ok(link.project)
}

/// Links a folder to a project; Git does not see the link.
pub fn link(folder: &Path, project: &str) -> Result<(), CliError> {
    let path = folder.join(LINK);
    let write = || -> io::Result<()> {
        let inside = folder.join(".temps");
        fs::create_dir_all(&inside)?;
        let text = serde_json::to_string_pretty(&Link { project: project.into() })?;
        fs::write(&path, text + "\n")?;
        fs::write(inside.join(".gitignore"), "*\n")
    };
    write().map_err(CliError::file("write", &path))
}

/// A name for the project of a folder that is not linked yet: its Git remote's when it is the root of a work tree, or
/// the folder's own.
pub fn suggested_name(folder: &Path) -> Option<Name> {
    let remote = fs::read_to_string(folder.join(".git/config")).ok();
    let remote = remote.as_deref().and_then(origin_of).and_then(name_of_url);
    remote.or_else(|| Name::slug(&folder.file_name()?.to_string_lossy()))
}

/// The URL of `origin` in the text of a `.git/config`.
fn origin_of(config: &str) -> Option<&str> {
    let mut lines = config.lines().map(str::trim);
    lines.find(|line| *line == r#"[remote "origin"]"#)?;
    let section = lines.take_while(|line| !line.starts_with('['));
    section
        .filter_map(|line| line.split_once('='))
        .find(|(key, _)| key.trim() == "url")
        .map(|(_, url)| url.trim())
}

/// The name of the repository that a URL points at: `git@host:team/shop.git` is `shop`.
pub fn name_of_url(url: &str) -> Option<Name> {
    let last = url.trim_end_matches('/').rsplit(['/', ':']).next()?;
    Name::slug(last.strip_suffix(".git").unwrap_or(last))
}

/// The name of the app in an image reference: `registry:5000/team/shop:2@sha256:…` is `shop`.
pub fn name_of_image(reference: &str) -> Option<Name> {
    let path = reference.split('@').next()?;
    let last = path.rsplit('/').next()?;
    Name::slug(last.split(':').next()?)
}

/// The folder as an absolute path, which must be a folder.
pub fn existing(path: &Path) -> Result<PathBuf, CliError> {
    let folder = fs::canonicalize(path).map_err(CliError::file("read", path))?;
    if folder.is_dir() {
        return Ok(folder);
    }
    Err(CliError::usage(
        format!("{} is not a folder", path.display()),
        "a deployment is made of a folder, a Git URL or an image",
        "temps deploy <folder>",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_found_from_the_folders_below_and_hidden_from_git() {
        let top = tempfile::tempdir().unwrap();
        let below = top.path().join("a/b");
        fs::create_dir_all(&below).unwrap();
        assert_eq!(linked(&below).unwrap(), None);
        link(top.path(), "shop").unwrap();
        assert_eq!(linked(&below).unwrap().as_deref(), Some("shop"));
        assert_eq!(fs::read_to_string(top.path().join(".temps/.gitignore")).unwrap(), "*\n");
    }

    #[test]
    fn a_folder_is_named_after_its_remote_or_itself() {
        let top = tempfile::tempdir().unwrap();
        let folder = top.path().join("My Shop");
        fs::create_dir_all(folder.join(".git")).unwrap();
        assert_eq!(suggested_name(&folder).unwrap().as_str(), "my-shop");
        let config =
            "[core]\n\tbare = false\n[remote \"origin\"]\n\turl = git@h.org:team/Store.git\n";
        fs::write(folder.join(".git/config"), config).unwrap();
        assert_eq!(suggested_name(&folder).unwrap().as_str(), "store");
    }

    #[test]
    fn urls_and_images_have_names() {
        for (url, name) in [
            ("https://git.example.com/team/shop.git", "shop"),
            ("git@host:team/Web_App.git", "web-app"),
            ("file:///srv/shop/", "shop"),
            ("host:shop", "shop"),
        ] {
            assert_eq!(name_of_url(url).unwrap().as_str(), name, "{url}");
        }
        for (image, name) in [
            ("nginx:stable", "nginx"),
            ("registry:5000/team/shop", "shop"),
            ("registry:5000/team/shop:2@sha256:abc", "shop"),
        ] {
            assert_eq!(name_of_image(image).unwrap().as_str(), name, "{image}");
        }
    }
}
