//! The container engine, as far as replicas need it. It does what it is told and decides nothing.

mod body;
mod exit;
pub(crate) mod loopback;
pub(crate) mod sockets;

use std::collections::HashMap;
use std::time::Duration;

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::errors::Error as DockerError;
use bollard::models::{
    ContainerInspectResponse, ContainerStateStatusEnum, ContainerSummary, ContainerSummaryStateEnum,
};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, EventsOptionsBuilder, InspectContainerOptions,
    ListContainersOptionsBuilder, LogsOptionsBuilder, RemoveContainerOptionsBuilder,
    StartContainerOptions, StopContainerOptionsBuilder,
};
use futures::{Stream, StreamExt};
use temps_builder::Engine;
use temps_state::{Failure, ReplicaId};
use tokio::time::timeout;

use crate::SchedulerError;
use crate::container::{Container, DATA_DIR, Role, Status};
use crate::network::Network;
use crate::plan::find;
use crate::spec::Spec;

/// Seconds a container may take to end by itself when it is stopped.
pub const STOP_SECONDS: i32 = 10;
/// How long an engine that says it is there may take to list containers before it counts as away: nothing else is done
/// meanwhile.
pub const LIST_MAX: Duration = Duration::from_secs(15);
/// How many lines of a container's log a failure shows.
pub const LOG_TAIL_LINES: usize = 30;

type Result<T> = std::result::Result<T, SchedulerError>;

/// The engine of this node, and the containers in it that are this node's.
#[derive(Clone)]
pub struct Runtime {
    engine: Engine,
    data_dir: String,
    network: Network,
}

impl Runtime {
    /// The engine's containers that are labelled with that data folder; new ones are connected to that network.
    pub fn new(engine: Engine, data_dir: String, network: Network) -> Self {
        Self { engine, data_dir, network }
    }

    /// A connection to the engine.
    pub async fn docker(&self) -> Result<Docker> {
        Ok(self.engine.docker().await?)
    }

    /// This node's containers.
    pub async fn list(&self) -> Result<Vec<Container>> {
        let options = ListContainersOptionsBuilder::new().all(true).filters(&self.own()).build();
        let docker = self.docker().await?;
        let list = self.engine.while_there(&docker, docker.list_containers(Some(options)));
        let listed = timeout(LIST_MAX, list).await;
        let listed = listed.unwrap_or(Err(DockerError::RequestTimeoutError));
        let listed = listed.map_err(SchedulerError::container("list", "containers"))?;
        Ok(listed.into_iter().filter_map(|summary| self.read(summary)).collect())
    }

    fn own(&self) -> HashMap<String, Vec<String>> {
        HashMap::from([("label".into(), vec![format!("{DATA_DIR}={}", self.data_dir)])])
    }

    fn read(&self, summary: ContainerSummary) -> Option<Container> {
        let role = Role::of(&summary.labels.unwrap_or_default(), &self.data_dir);
        let networks = summary.network_settings.and_then(|settings| settings.networks);
        let address = networks
            .and_then(|networks| networks.get(self.network.name())?.ip_address.clone())
            .and_then(|address| address.parse().ok());
        Some(Container { id: summary.id?, role, status: status(summary.state?), address })
    }

    /// Makes the container of a spec and starts it; one that is there already is taken as it is.
    pub async fn start(&self, spec: &Spec) -> Result<()> {
        let docker = self.docker().await?;
        let id = match self.create(&docker, spec).await {
            // It went away in between: it is made again.
            Err(error) if is_missing_network(&error) => self.create(&docker, spec).await?,
            created => created?,
        };
        let started = docker.start_container(&id, None::<StartContainerOptions>).await;
        unless_status(started, 304)
            .map_err(SchedulerError::container("start container", &spec.name))
    }

    /// Makes the container of a spec and starts it unless it was started before, by whomever; answers its id.
    pub async fn start_once(&self, spec: &Spec) -> Result<String> {
        let docker = self.docker().await?;
        if let Some(id) = self.existing(&docker, spec).await? {
            let state = self.state(&docker, &id).await?.and_then(|state| state.status);
            if state != Some(ContainerStateStatusEnum::CREATED) {
                return Ok(id);
            }
        }
        self.start(spec).await?;
        self.existing(&docker, spec)
            .await?
            .ok_or_else(|| SchedulerError::Gone { name: spec.name.clone() })
    }

    /// The container of one of this node's replicas.
    pub async fn container_of(&self, replica: ReplicaId) -> Result<Container> {
        let all = self.list().await?;
        find(&all, replica).cloned().ok_or(SchedulerError::NotRunning { replica })
    }

    async fn create(&self, docker: &Docker, spec: &Spec) -> Result<String> {
        if let Some(id) = self.existing(docker, spec).await? {
            return Ok(id);
        }
        self.network.ensure(docker).await?;
        let body = body::of(spec, self.network.name(), &self.network.nameservers().await);
        let options = CreateContainerOptionsBuilder::new().name(&spec.name).build();
        let created = docker.create_container(Some(options), body).await;
        let created = created.map_err(SchedulerError::container("create container", &spec.name))?;
        Ok(created.id)
    }

    /// A start that was cut off has left its container: it is known by its name and labels.
    async fn existing(&self, docker: &Docker, spec: &Spec) -> Result<Option<String>> {
        let found = docker.inspect_container(&spec.name, None::<InspectContainerOptions>).await;
        let found = match found {
            Err(error) if has_status(&error, 404) => return Ok(None),
            found => found.map_err(SchedulerError::container("inspect container", &spec.name))?,
        };
        let labels = found.config.and_then(|config| config.labels).unwrap_or_default();
        match Role::of(&labels, &self.data_dir) == spec.role {
            true => Ok(found.id),
            false => Err(SchedulerError::NameTaken { name: spec.name.clone() }),
        }
    }

    /// Freezes a container.
    pub async fn pause(&self, id: &str) -> Result<()> {
        let paused = self.docker().await?.pause_container(id).await;
        paused.map_err(SchedulerError::container("pause container", id))
    }

    /// Lets a frozen container go on.
    pub async fn unpause(&self, id: &str) -> Result<()> {
        let unpaused = self.docker().await?.unpause_container(id).await;
        unpaused.map_err(SchedulerError::container("unpause container", id))
    }

    /// Stops a container and removes it with its log and its anonymous volumes; one that is gone is no error.
    pub async fn remove(&self, id: &str) -> Result<()> {
        let docker = self.docker().await?;
        // A frozen container cannot act on the signal, and has nothing under way.
        if self.state(&docker, id).await?.as_ref().is_some_and(|state| state.paused != Some(true)) {
            let options = StopContainerOptionsBuilder::new().t(STOP_SECONDS).build();
            let stopped = unless_status(docker.stop_container(id, Some(options)).await, 304);
            unless_status(stopped, 404).map_err(SchedulerError::container("stop container", id))?;
        }
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        let removed = unless_status(docker.remove_container(id, Some(options)).await, 404);
        unless_status(removed, 409).map_err(SchedulerError::container("remove container", id))
    }

    /// Removes the container of a spec, if it is ours.
    pub async fn remove_named(&self, spec: &Spec) -> Result<()> {
        let docker = self.docker().await?;
        match self.existing(&docker, spec).await? {
            Some(id) => self.remove(&id).await,
            None => Ok(()),
        }
    }

    async fn state(
        &self,
        docker: &Docker,
        id: &str,
    ) -> Result<Option<bollard::models::ContainerState>> {
        match docker.inspect_container(id, None::<InspectContainerOptions>).await {
            Err(error) if has_status(&error, 404) => Ok(None),
            found => Ok(found.map_err(SchedulerError::container("inspect container", id))?.state),
        }
    }

    /// Why a container ended, with the last lines of its log.
    pub async fn ended(&self, id: &str) -> Result<Failure> {
        let inspected = self.inspect(id).await?;
        let memory = inspected.host_config.and_then(|host| host.memory).unwrap_or(0);
        let state = inspected.state.unwrap_or_default();
        Ok(exit::failure(&state, memory, self.log_tail(id).await))
    }

    /// The id of a container's first process, in this machine's numbering; `None` while it does not run.
    pub async fn pid(&self, id: &str) -> Option<u32> {
        let state = self.inspect(id).await.ok()?.state?;
        state.pid.and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid > 0)
    }

    /// Everything the engine knows of a container.
    pub async fn inspect(&self, id: &str) -> Result<ContainerInspectResponse> {
        let docker = self.docker().await?;
        let found = docker.inspect_container(id, None::<InspectContainerOptions>).await;
        found.map_err(SchedulerError::container("inspect container", id))
    }

    /// The last lines of a container's log; none when they cannot be had.
    pub async fn log_tail(&self, id: &str) -> Vec<String> {
        let Ok(docker) = self.docker().await else { return vec![] };
        let tail = LOG_TAIL_LINES.to_string();
        let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail(&tail).build();
        let lines = docker.logs(id, Some(options)).take(LOG_TAIL_LINES);
        lines.filter_map(async |line| line.ok().map(text)).collect().await
    }

    /// Ticks whenever one of this node's containers changes; ends when the engine goes away.
    pub async fn events(&self) -> Result<impl Stream<Item = ()> + Send + use<>> {
        let mut filters = self.own();
        filters.insert("type".into(), vec!["container".into()]);
        let options = EventsOptionsBuilder::new().filters(&filters).build();
        let events = self.docker().await?.events(Some(options));
        Ok(events.take_while(|event| std::future::ready(event.is_ok())).map(|_| ()))
    }
}

/// A log frame's text, without its line end.
pub fn text(output: LogOutput) -> String {
    String::from_utf8_lossy(&output.into_bytes()).trim_end_matches(['\r', '\n']).to_owned()
}

fn status(state: ContainerSummaryStateEnum) -> Status {
    use ContainerSummaryStateEnum as State;
    match state {
        State::CREATED => Status::Created,
        State::RUNNING => Status::Running,
        State::PAUSED => Status::Paused,
        State::EXITED => Status::Exited,
        State::DEAD => Status::Dead,
        _ => Status::Changing,
    }
}

fn is_missing_network(error: &SchedulerError) -> bool {
    matches!(error, SchedulerError::Container { source: DockerError::DockerResponseServerError { message, .. }, .. }
        if message.contains("network") && message.contains("not found"))
}

pub(crate) fn has_status(error: &DockerError, status: u16) -> bool {
    matches!(error, DockerError::DockerResponseServerError { status_code, .. } if *status_code == status)
}

pub(crate) fn unless_status(
    result: std::result::Result<(), DockerError>,
    status: u16,
) -> std::result::Result<(), DockerError> {
    match result {
        Err(error) if has_status(&error, status) => Ok(()),
        result => result,
    }
}
