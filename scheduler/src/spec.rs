//! What container to make. Pure: from the state to names, labels, environment and limits.

use std::collections::BTreeMap;
use std::fmt;

use temps_raft::Cluster;
use temps_state::{
    Artifact, Deployment, INTERNAL_DOMAIN, NodeId, Replica, Resources, State, Variable,
};

use crate::SchedulerError;
use crate::container::{
    DATA_DIR, DEPLOYMENT, ENVIRONMENT, MANAGED, PREPARE, PROJECT, REPLICA, Role,
};

/// The characters of an id that end a container's name.
const ID_TAIL_CHARS: usize = 8;

/// A container to make.
#[derive(Clone, PartialEq, Eq)]
pub struct Spec {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// The image's id.
    pub image: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its environment; may hold secrets.
    pub environment: BTreeMap<String, String>,
    /// What it runs instead of the image's own entry point.
    pub command: Option<Vec<String>>,
    /// What it may use.
    pub resources: Resources,
}

impl fmt::Debug for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, image, labels, .. } = self;
        write!(f, "Spec {{ {name}, {image}, {labels:?}, … }}")
    }
}

/// What specs are made from besides the state.
#[derive(Clone)]
pub struct Site {
    /// Opens sealed variables.
    pub cluster: Cluster,
    /// The data folder that marks this node's containers.
    pub data_dir: String,
    /// What apps are told as the address of the API.
    pub api_url: String,
}

impl Site {
    /// The container of a replica.
    pub fn replica(&self, state: &State, replica: &Replica) -> Result<Spec, SchedulerError> {
        let id = replica.deployment;
        let deployment =
            state.deployments.get(&id).ok_or(SchedulerError::NoImage { deployment: id })?;
        let mut spec =
            self.spec(state, deployment, Role::Replica(replica.id), &replica.id.to_string())?;
        spec.labels.insert(REPLICA.into(), replica.id.to_string());
        spec.command = deployment.config.as_ref().and_then(|config| config.command.clone());
        Ok(spec)
    }

    /// The container of a deployment's `beforeDeploy` commands.
    pub fn prepare(&self, state: &State, deployment: &Deployment) -> Result<Spec, SchedulerError> {
        let id = deployment.id.to_string();
        let mut spec =
            self.spec(state, deployment, Role::Prepare(deployment.id), &format!("before-{id}"))?;
        spec.labels.insert(PREPARE.into(), id);
        let commands = deployment.config.iter().flat_map(|config| &config.before_deploy);
        spec.command = Some(vec!["/bin/sh".into(), "-c".into(), script(commands)]);
        Ok(spec)
    }

    fn spec(
        &self,
        state: &State,
        deployment: &Deployment,
        role: Role,
        id: &str,
    ) -> Result<Spec, SchedulerError> {
        let no_image = SchedulerError::NoImage { deployment: deployment.id };
        let (Some(Artifact::Image { id: image }), Some(config)) =
            (&deployment.artifact, &deployment.config)
        else {
            return Err(no_image);
        };
        let [project, environment] = names(state, deployment).ok_or(no_image)?;
        Ok(Spec {
            name: name(&project, &environment, id),
            role,
            image: image.clone(),
            labels: self.labels(deployment, project, environment),
            environment: self.environment(deployment, config.port)?,
            command: None,
            resources: within(state, self.cluster.node_id(), config.resources),
        })
    }

    fn labels(
        &self,
        deployment: &Deployment,
        project: String,
        environment: String,
    ) -> BTreeMap<String, String> {
        BTreeMap::from([
            (MANAGED.into(), "true".into()),
            (DATA_DIR.into(), self.data_dir.clone()),
            (DEPLOYMENT.into(), deployment.id.to_string()),
            (PROJECT.into(), project),
            (ENVIRONMENT.into(), environment),
        ])
    }

    /// The variables the app was deployed with, and those of Temps. `HOST` may be set otherwise, `PORT` may not: it is
    /// where the health check and the edge look.
    fn environment(
        &self,
        deployment: &Deployment,
        port: u16,
    ) -> Result<BTreeMap<String, String>, SchedulerError> {
        let mut environment = BTreeMap::from([("HOST".to_owned(), "0.0.0.0".to_owned())]);
        for (name, sealed) in &deployment.variables {
            let place = Variable::place(deployment.environment, name);
            let open = |source| SchedulerError::OpenVariable { name: name.clone(), source };
            environment.insert(name.to_string(), self.cluster.open(&place, sealed).map_err(open)?);
        }
        environment.extend([
            ("PORT".into(), port.to_string()),
            ("TEMPS_API_URL".into(), self.api_url.clone()),
            ("TEMPS_INTERNAL_DOMAIN".into(), INTERNAL_DOMAIN.into()),
            ("TEMPS_PROJECT_ID".into(), deployment.project.to_string()),
            ("TEMPS_ENVIRONMENT_ID".into(), deployment.environment.to_string()),
            ("TEMPS_DEPLOYMENT_ID".into(), deployment.id.to_string()),
        ]);
        Ok(environment)
    }
}

fn names(state: &State, deployment: &Deployment) -> Option<[String; 2]> {
    let project = state.projects.get(&deployment.project)?;
    let environment = state.environments.get(&deployment.environment)?;
    Some([project.name.to_string(), environment.name.to_string()])
}

fn name(project: &str, environment: &str, id: &str) -> String {
    let before = if id.starts_with("before-") { "before-" } else { "" };
    let tail = &id[id.len().saturating_sub(ID_TAIL_CHARS)..];
    format!("temps-{project}-{environment}-{before}{tail}")
}

/// An engine refuses to promise more processor than there is.
fn within(state: &State, node: NodeId, wants: Resources) -> Resources {
    let has = state.nodes.get(&node).map_or(0, |node| node.capacity.cpu_millis);
    let most = u32::try_from(has).ok().filter(|has| *has > 0).unwrap_or(wants.cpu_millis);
    Resources { cpu_millis: wants.cpu_millis.min(most), ..wants }
}

/// Runs the commands one after the other, each in a shell of its own, and ends with the code of the first that fails.
fn script<'a>(commands: impl Iterator<Item = &'a String>) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
    let lines = commands.map(|command| {
        let shown = quoted(&format!("$ {command}"));
        let failed = quoted(&format!("`{command}` failed with code"));
        let command = quoted(command);
        format!("echo {shown}\n/bin/sh -c {command} || {{ code=$?; echo {failed} $code; exit $code; }}\n")
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn before_deploy_commands_run_in_order_and_stop_at_the_first_failure() {
        let commands = ["echo 'a b'", "exit 3", "echo never"].map(String::from);
        let output = std::process::Command::new("/bin/sh")
            .args(["-c", &script(commands.iter())])
            .output()
            .expect("sh is there");
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(text, "$ echo 'a b'\na b\n$ exit 3\n`exit 3` failed with code 3\n");
        assert_eq!(output.status.code(), Some(3));
    }

    #[test]
    fn a_container_is_named_after_project_environment_and_the_end_of_its_id() {
        assert_eq!(name("shop", "production", "rep_0123456789"), "temps-shop-production-23456789");
        assert_eq!(name("a", "b", "before-dep_12345678"), "temps-a-b-before-12345678");
    }
}
