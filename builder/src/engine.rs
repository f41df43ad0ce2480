//! The node's container engine: connects when it is needed, and agrees on an API version with it.

use std::sync::Arc;
use std::time::Duration;

use bollard::{API_DEFAULT_VERSION, Docker};
use tokio::net::UnixStream;
use tokio::sync::Mutex;
use tokio::time::timeout;

/// How long one call may take before it fails, in seconds; streams are not bound by it.
pub const ENGINE_TIMEOUT_SECONDS: u64 = 120;
/// How long the engine may take to say that it is there, in seconds.
pub const ENGINE_GREETING_SECONDS_MAX: u64 = 5;

/// A handle on the engine; cheap to clone. The engine may be away and come back, also as another version.
#[derive(Clone)]
pub struct Engine {
    socket: Arc<str>,
    connected: Arc<Mutex<Option<Docker>>>,
}

/// The engine does not answer.
#[derive(Debug, thiserror::Error)]
#[error("the container engine does not answer on {socket}")]
pub struct EngineUnavailable {
    socket: String,
    #[source]
    source: bollard::errors::Error,
}

impl Engine {
    /// An engine on a Unix socket; nothing is connected yet.
    pub fn on_socket(path: &str) -> Self {
        Self { socket: path.into(), connected: Arc::default() }
    }

    /// A connection whose API version both sides know. Asks the engine only when the last connection failed.
    pub async fn docker(&self) -> Result<Docker, EngineUnavailable> {
        let mut connected = self.connected.lock().await;
        let greeting = Duration::from_secs(ENGINE_GREETING_SECONDS_MAX);
        if let Some(docker) = connected.as_ref()
            && matches!(timeout(greeting, docker.ping()).await, Ok(Ok(_)))
        {
            return Ok(docker.clone());
        }
        *connected = None;
        let late = bollard::errors::Error::RequestTimeoutError;
        let docker = timeout(greeting, self.connect()).await.unwrap_or(Err(late));
        let docker = docker.map_err(|source| self.unavailable(source))?;
        *connected = Some(docker.clone());
        Ok(docker)
    }

    /// A bare connection, for the calls that the client library lacks.
    pub(crate) async fn stream(&self) -> Result<UnixStream, EngineUnavailable> {
        let path = self.socket.strip_prefix("unix://").unwrap_or(&self.socket);
        UnixStream::connect(path).await.map_err(|err| self.unavailable(err.into()))
    }

    async fn connect(&self) -> Result<Docker, bollard::errors::Error> {
        Docker::connect_with_unix(&self.socket, ENGINE_TIMEOUT_SECONDS, API_DEFAULT_VERSION)?
            .negotiate_version()
            .await
    }

    fn unavailable(&self, source: bollard::errors::Error) -> EngineUnavailable {
        EngineUnavailable { socket: self.socket.to_string(), source }
    }
}
