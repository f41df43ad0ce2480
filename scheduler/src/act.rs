//! Does what the plan says, one action at a time, and tells how it went.

use std::time::Duration;

use temps_builder::Builder;
use temps_state::{Failure, ReplicaId, State};
use tokio::time::sleep;

use crate::SchedulerError;
use crate::plan::Action;
use crate::runtime::Runtime;
use crate::spec::Site;

/// How long what failed is left alone.
pub const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// What an action in flight is about; no second one about the same is begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// A replica's container, there or not.
    Replica(ReplicaId),
    /// A container.
    Container(String),
    /// What the cluster knows of a replica.
    Report(ReplicaId),
    /// What the cluster knows of the engine.
    Engine,
}

impl About {
    /// What an action is about.
    pub fn of(action: &Action) -> Self {
        match action {
            Action::Start { replica, .. } | Action::Inquire { replica, .. } => {
                Self::Replica(*replica)
            }
            Action::Pause { container }
            | Action::Unpause { container }
            | Action::Remove { container } => Self::Container(container.clone()),
        }
    }
}

/// How an action ended, as far as it is remembered.
pub enum Outcome {
    /// A replica's container was started, or not.
    Started(ReplicaId, Result<(), SchedulerError>),
    /// It is known why a replica's container ended.
    Ended(ReplicaId, Failure),
    /// Nothing to remember; the next look at the containers tells.
    Other,
}

/// What actions are done with.
#[derive(Clone)]
pub struct Hand {
    /// What containers are made from.
    pub site: Site,
    /// The engine.
    pub runtime: Runtime,
    /// Gets images that the engine lacks.
    pub builder: Builder,
}

impl Hand {
    /// Does an action. One that failed is over only after a pause.
    pub async fn perform(&self, state: &State, action: Action) -> Outcome {
        let done = match &action {
            Action::Start { replica, fresh } => {
                return Outcome::Started(*replica, self.start(state, *replica, *fresh).await);
            }
            Action::Inquire { replica, container } => match self.runtime.ended(container).await {
                Ok(failure) => return Outcome::Ended(*replica, failure),
                Err(error) => Err(error),
            },
            Action::Pause { container } => self.runtime.pause(container).await,
            Action::Unpause { container } => self.runtime.unpause(container).await,
            Action::Remove { container } => self.runtime.remove(container).await,
        };
        if let Err(error) = done {
            tracing::warn!(?action, %error, "an action failed");
            sleep(RETRY_PAUSE).await;
        }
        Outcome::Other
    }

    async fn start(&self, state: &State, id: ReplicaId, fresh: bool) -> Result<(), SchedulerError> {
        let unknown = SchedulerError::ReplicaUnknown { replica: id };
        let replica = state.replicas.get(&id).ok_or(unknown)?;
        let spec = self.site.replica(state, replica)?;
        if let Some(deployment) = state.deployments.get(&replica.deployment) {
            self.builder.provide_image(state, deployment).await?;
        }
        if fresh {
            self.runtime.remove_named(&spec).await?;
        }
        self.runtime.start(&spec).await
    }
}
