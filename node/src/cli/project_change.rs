//! `temps projects set`: where a project's source is, and whether it has previews. What is not named stays as it is.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::context::Context;
use super::projects::about;
use crate::client::path;
use crate::error::CliError;
use crate::terminal;
use crate::view::{self, Project};

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Switch {
    On,
    Off,
}

impl Switch {
    /// Whether it is on.
    pub fn is_on(self) -> bool {
        self == Self::On
    }
}

/// What to change.
#[derive(clap::Args, Default)]
#[group(required = true, multiple = true)]
pub struct Change {
    /// The Git repository to deploy from: https, ssh or file URL.
    #[arg(long, value_name = "URL")]
    repository: Option<String>,
    /// Take the repository away, with its deploy key: the project deploys from folders, pushes and images only.
    #[arg(long, conflicts_with_all = ["repository", "branch", "directory", "deploy_key"])]
    no_repository: bool,
    /// The branch that production follows.
    #[arg(long, value_name = "NAME")]
    branch: Option<String>,
    /// The folder of the app inside the repository; empty for its root.
    #[arg(long, value_name = "PATH")]
    directory: Option<String>,
    /// A file with the private SSH key that may read the repository, or - for standard input; an empty one removes the key.
    #[arg(long, value_name = "FILE")]
    deploy_key: Option<PathBuf>,
    /// Whether pushes to other branches make preview environments.
    #[arg(long, value_name = "on|off", hide_possible_values = true)]
    previews: Option<Switch>,
}

pub async fn run(context: &Context, name: &str, change: Change) -> Result<(), CliError> {
    let key = change.deploy_key.as_deref().map(read_key).transpose()?;
    let client = context.client()?;
    let path = path(&["projects", name]);
    let now = client.get(&path).await?;
    let body = body(change, view::read(&now.value)?, key)?;
    let value = client.patch(&path, &body, now.etag.as_deref()).await?.value;
    context.output.try_answer(&value, || Ok(about(&view::read(&value)?)))
}

/// A private key from a file or, for `-`, standard input.
pub fn read_key(file: &Path) -> Result<String, CliError> {
    match file.as_os_str() == "-" {
        // A key without its last line break is none.
        true => terminal::read_stdin().map(|key| if key.is_empty() { key } else { key + "\n" }),
        false => fs::read_to_string(file).map_err(CliError::file("read", file)),
    }
}

/// The change as REST takes it: a repository is sent whole.
fn body(change: Change, project: Project, key: Option<String>) -> Result<Value, CliError> {
    let Change { repository, no_repository: none, branch, directory, deploy_key: _, previews } =
        change;
    let mut body = json!({"previews": previews.map(Switch::is_on)});
    if none {
        body["repository"] = Value::Null;
    } else if repository.is_some() || branch.is_some() || directory.is_some() || key.is_some() {
        let now = project.repository;
        let url = repository.or_else(|| now.as_ref().map(|now| now.url.clone()));
        body["repository"] = json!({
            "url": url.ok_or_else(|| no_repository(&project.name))?,
            "branch": branch.or_else(|| now.as_ref().map(|now| now.branch.clone())),
            "directory": directory.or_else(|| now.as_ref().map(|now| now.directory.clone())),
            "deploy_key": key,
        });
    }
    Ok(body)
}

fn no_repository(project: &str) -> CliError {
    CliError::blocked(
        format!("project {project} has no repository yet"),
        "a branch, a folder or a key belongs to one",
        format!("temps projects set {project} --repository URL, and the rest behind it"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::Repository;

    fn project() -> Project {
        let (url, branch) = ("https://host/a.git".into(), "main".into());
        let repository = Repository { url, branch, directory: "web".into(), ..Default::default() };
        Project { name: "shop".into(), repository: Some(repository), ..Project::default() }
    }

    #[test]
    fn what_is_not_named_stays() {
        let change = Change { branch: Some("release".into()), ..Change::default() };
        let wanted = json!({"previews": null, "repository": {
            "url": "https://host/a.git", "branch": "release", "directory": "web", "deploy_key": null,
        }});
        assert_eq!(body(change, project(), None).unwrap(), wanted);
        let change = Change { previews: Some(Switch::Off), ..Change::default() };
        assert_eq!(body(change, project(), None).unwrap(), json!({"previews": false}));
    }

    #[test]
    fn a_repository_is_taken_away_by_null() {
        let change = Change { no_repository: true, ..Change::default() };
        let wanted = json!({"previews": null, "repository": null});
        assert_eq!(body(change, project(), None).unwrap(), wanted);
    }

    #[test]
    fn a_branch_belongs_to_a_repository() {
        let branch = || Change { branch: Some("release".into()), ..Change::default() };
        let none = || Project { repository: None, ..project() };
        let error = body(branch(), none(), None).unwrap_err();
        assert!(error.advice().next.contains("temps projects set shop --repository"));
        let both = Change { repository: Some("git@host:a".into()), ..branch() };
        assert_eq!(body(both, none(), None).unwrap()["repository"]["branch"], "release");
    }
}
