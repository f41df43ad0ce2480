//! What something is set for: the cluster, a project or an environment, as the command line names it.

use crate::error::CliError;

/// The flags that name it.
#[derive(clap::Args)]
pub struct Scope {
    /// The project; the whole cluster when not given.
    #[arg(short, long, global = true, value_name = "NAME")]
    project: Option<String>,
    /// The environment; the whole project when not given.
    #[arg(short, long, global = true, value_name = "NAME")]
    environment: Option<String>,
}

/// What the flags name.
pub enum Named<'a> {
    /// Everything.
    Cluster,
    /// A project.
    Project(&'a str),
    /// An environment of a project.
    Environment(&'a str, &'a str),
}

impl Scope {
    /// What is named, for the verb of that name.
    pub fn read(&self, verb: &str) -> Result<Named<'_>, CliError> {
        match (&self.project, &self.environment) {
            (None, None) => Ok(Named::Cluster),
            (Some(project), None) => Ok(Named::Project(project)),
            (Some(project), Some(environment)) => Ok(Named::Environment(project, environment)),
            (None, Some(environment)) => Err(CliError::usage(
                format!("it is not clear whose environment {environment} is meant"),
                "--project does not name its project",
                format!("temps {verb} show --project NAME --environment {environment}"),
            )),
        }
    }
}
