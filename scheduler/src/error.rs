//! What can go wrong between the state and the containers, and what a deployment's record says of it.

use std::error::Error;

use bollard::errors::Error as DockerError;
use temps_builder::{BuildError, EngineUnavailable};
use temps_state::{DeploymentId, Failure, FailureCode, NodeId, ReplicaId, SealError, VariableName};

/// Why the scheduler could not do something.
#[derive(Debug, thiserror::Error)]
pub enum SchedulerError {
    /// There is no such replica.
    #[error("there is no replica {replica}")]
    ReplicaUnknown {
        /// The one asked for.
        replica: ReplicaId,
    },
    /// The replica is another node's.
    #[error("replica {replica} runs on node {node}")]
    ReplicaElsewhere {
        /// The one asked for.
        replica: ReplicaId,
        /// Where it is.
        node: NodeId,
    },
    /// The replica has no container now.
    #[error("replica {replica} has no running container")]
    NotRunning {
        /// The one asked for.
        replica: ReplicaId,
    },
    /// The deployment has nothing to run.
    #[error("deployment {deployment} has no image to run")]
    NoImage {
        /// Which one.
        deployment: DeploymentId,
    },
    /// A sealed variable does not open.
    #[error("cannot open variable {name}")]
    OpenVariable {
        /// Which one.
        name: VariableName,
        /// Why.
        #[source]
        source: SealError,
    },
    /// Somebody else's container has the name.
    #[error("a container named {name} is there already, and Temps did not start it")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// A container is gone that was made just now.
    #[error("container {name} was removed by somebody else")]
    Gone {
        /// Its name.
        name: String,
    },
    /// The engine is away.
    #[error(transparent)]
    Engine(#[from] EngineUnavailable),
    /// The image could not be had.
    #[error(transparent)]
    Image(#[from] BuildError),
    /// The engine did not do something.
    #[error("cannot {doing} {what}")]
    Container {
        /// What was tried, such as `start container`.
        doing: &'static str,
        /// On what.
        what: String,
        /// Why not.
        #[source]
        source: DockerError,
    },
}

impl SchedulerError {
    /// The engine's refusal to do something.
    pub(crate) fn container(
        doing: &'static str,
        what: impl Into<String>,
    ) -> impl FnOnce(DockerError) -> Self {
        let what = what.into();
        move |source| Self::Container { doing, what, source }
    }

    /// The kind of failure that this is for a deployment.
    pub fn code(&self) -> FailureCode {
        use FailureCode as Code;
        match self {
            Self::Engine(_) => Code::EngineUnavailable,
            Self::Image(error) => error.code(),
            Self::Container { source, .. } => engine_code(source),
            Self::OpenVariable { .. } => Code::Internal,
            _ => Code::StartFailed,
        }
    }

    /// What a deployment's record says of it.
    pub fn failure(&self, log_tail: Vec<String>) -> Failure {
        if let Self::Image(error) = self {
            return error.failure(log_tail);
        }
        let code = self.code();
        Failure { code, message: self.message(), hint: hint(code).into(), log_tail }
    }

    fn message(&self) -> String {
        let mut message = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            let text = match error.downcast_ref::<DockerError>() {
                Some(DockerError::DockerResponseServerError { message, .. }) => message.clone(),
                _ => error.to_string(),
            };
            if !message.contains(&text) {
                message = format!("{message}: {text}");
            }
            cause = error.source();
        }
        message
    }
}

fn engine_code(error: &DockerError) -> FailureCode {
    let DockerError::DockerResponseServerError { status_code, message } = error else {
        return FailureCode::EngineUnavailable;
    };
    if message.contains("no space left on device") {
        return FailureCode::DiskFull;
    }
    match (status_code, message.contains("No such image")) {
        (404, true) => FailureCode::ImageNotFound,
        _ => FailureCode::StartFailed,
    }
}

fn hint(code: FailureCode) -> &'static str {
    match code {
        FailureCode::DiskFull => {
            "free space where the container engine keeps its data; `docker system df` shows what takes it"
        }
        FailureCode::ImageNotFound => {
            "the image was removed from this node: deploy again to build it anew"
        }
        FailureCode::EngineUnavailable => {
            "start the container engine on the node (`systemctl start docker`), then deploy again"
        }
        FailureCode::Internal => "set the variable again, then deploy again",
        _ => "check the start command and the image, then deploy again",
    }
}
