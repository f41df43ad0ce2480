//! What every verb needs: where to print, whom to ask, and which project is meant.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::de::DeserializeOwned;

use crate::addresses::Addresses;
use crate::client::{Client, path};
use crate::config_file::ConfigFile;
use crate::error::CliError;
use crate::folder;
use crate::output::Output;
use crate::view;

/// The address of a node on this machine, where nothing names another.
const URL_DEFAULT: &str = "http://127.0.0.1:3000";

/// What every verb needs.
pub struct Context {
    /// Where to print.
    pub output: Output,
    api_url: Option<String>,
}

impl Context {
    /// A context for an address from the command line or the environment.
    pub fn new(output: Output, api_url: Option<String>) -> Self {
        Self { output, api_url: api_url.filter(|url| !url.is_empty()) }
    }

    /// A client with the key that belongs to the addresses.
    pub fn client(&self) -> Result<Client, CliError> {
        let config = ConfigFile::load(&ConfigFile::path()?)?;
        let addresses = self.addresses(&config)?;
        let named = std::env::var("TEMPS_API_TOKEN").ok().filter(|key| !key.is_empty());
        let kept = || config.login(&addresses).map(|(_, login)| login.key.clone());
        match named.or_else(kept) {
            Some(key) => Ok(Client::with_key(addresses, key).telling(self.output)),
            None => Err(not_logged_in(&addresses)),
        }
    }

    /// The same for verbs that only look: without a quorum, what one node last knew is shown, and said to be that.
    pub fn reader(&self) -> Result<Client, CliError> {
        Ok(self.client()?.content_with_stale(self.output))
    }

    /// Prints all items of a list, `most` at the most: as JSON, or as people are shown them.
    pub async fn list<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
        most: usize,
        people: impl FnOnce(Vec<T>) -> String,
    ) -> Result<(), CliError> {
        let value = self.reader()?.list(path, query, most).await?;
        self.output.try_answer(&value, || Ok(people(view::items(&value)?)))
    }

    /// The addresses to use: those named, the last login's, or this machine's.
    pub fn addresses(&self, config: &ConfigFile) -> Result<Addresses, CliError> {
        match &self.api_url {
            Some(named) => Addresses::read(named),
            None => Ok(config.addresses()?.unwrap_or_else(|| Addresses::only(URL_DEFAULT.into()))),
        }
    }
}

fn not_logged_in(addresses: &Addresses) -> CliError {
    CliError::blocked(
        format!("you are not logged in to {}", addresses.all().join(", ")),
        "there is no API key for it, neither from a login nor in TEMPS_API_TOKEN",
        format!("temps login {}", addresses.all().join(" ")),
    )
}

/// Which project is meant.
#[derive(Args, Clone, Default)]
pub struct ProjectArg {
    /// The project; this folder's (.temps/project.json) when not given.
    #[arg(short, long, global = true, env = "TEMPS_PROJECT", hide_env_values = true)]
    #[arg(value_name = "NAME")]
    pub project: Option<String>,
}

impl ProjectArg {
    /// The project's name.
    pub fn name(&self) -> Result<String, CliError> {
        let here = std::env::current_dir().map_err(CliError::file("read", Path::new(".")))?;
        match self.named(&here)? {
            Some(name) => Ok(name),
            None => Err(no_project(&here)),
        }
    }

    /// The project that is named, or that a folder is linked to.
    pub fn named(&self, folder: &Path) -> Result<Option<String>, CliError> {
        match &self.project {
            Some(name) if !name.is_empty() => Ok(Some(name.clone())),
            _ => folder::linked(folder),
        }
    }
}

fn no_project(here: &Path) -> CliError {
    CliError::usage(
        "it is not clear which project is meant",
        format!("neither --project nor a .temps/project.json in {} names one", here.display()),
        "temps projects list, then the same command with --project NAME",
    )
}

/// Which environment of which project is meant.
#[derive(Args, Clone)]
pub struct TargetArgs {
    #[command(flatten)]
    pub project: ProjectArg,
    /// The environment.
    #[arg(short, long, global = true, default_value = temps_state::PRODUCTION)]
    #[arg(value_name = "NAME")]
    pub environment: String,
}

impl TargetArgs {
    /// The path of the environment, and of what is in it.
    pub fn path(&self, more: &[&str]) -> Result<String, CliError> {
        let project = self.project.name()?;
        Ok(path(&[&["projects", &project, "environments", &self.environment], more].concat()))
    }

    /// `shop/production`.
    pub fn label(&self) -> Result<String, CliError> {
        Ok(format!("{}/{}", self.project.name()?, self.environment))
    }
}

/// Where logins are kept, and what is there.
pub fn logins() -> Result<(PathBuf, ConfigFile), CliError> {
    let path = ConfigFile::path()?;
    let config = ConfigFile::load(&path)?;
    Ok((path, config))
}
