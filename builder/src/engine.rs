//! The node's container engine: connects when it is needed, and agrees on an API version with it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bollard::errors::Error;
use bollard::{API_DEFAULT_VERSION, Docker};
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};

/// How long one call may take before it fails, in seconds; streams are not bound by it.
pub const ENGINE_TIMEOUT_SECONDS: u64 = 120;
/// How long the engine may take to say that it is there, in seconds.
pub const ENGINE_GREETING_SECONDS_MAX: u64 = 5;
/// How long after an answer the engine is asked again whether it is there, while a long call is waited for.
const GREETING_PAUSE: Duration = Duration::from_secs(1);

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
    source: Error,
}

impl Engine {
    /// An engine on a Unix socket; nothing is connected yet.
    pub fn on_socket(path: &str) -> Self {
        Self { socket: path.into(), connected: Arc::default() }
    }

    /// A connection whose API version both sides know. Asks the engine only when the last connection failed.
    pub async fn docker(&self) -> Result<Docker, EngineUnavailable> {
        // Not held while the engine is asked: one that is frozen would let everybody wait for each other.
        let known = self.connected().clone();
        if let Some(docker) = known {
            match greeted(docker.ping()).await {
                Ok(_) => return Ok(docker),
                Err(late @ Error::RequestTimeoutError) => {
                    *self.connected() = None;
                    return Err(self.unavailable(late));
                }
                // It may have come back as another version.
                Err(_) => *self.connected() = None,
            }
        }
        let docker = greeted(self.connect()).await.map_err(|source| self.unavailable(source))?;
        *self.connected() = Some(docker.clone());
        Ok(docker)
    }

    /// What a call answers, which may take long; it fails as soon as the engine does not even say that it is there.
    pub async fn while_there<T>(
        &self,
        docker: &Docker,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let silence = async {
            loop {
                sleep(GREETING_PAUSE).await;
                if let Err(error) = greeted(docker.ping()).await {
                    return error;
                }
            }
        };
        tokio::select! {
            answer = call => answer,
            error = silence => Err(error),
        }
    }

    /// A bare connection, for the calls that the client library lacks.
    pub(crate) async fn stream(&self) -> Result<UnixStream, EngineUnavailable> {
        let path = self.socket.strip_prefix("unix://").unwrap_or(&self.socket);
        UnixStream::connect(path).await.map_err(|err| self.unavailable(err.into()))
    }

    fn connected(&self) -> MutexGuard<'_, Option<Docker>> {
        self.connected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self) -> Result<Docker, Error> {
        Docker::connect_with_unix(&self.socket, ENGINE_TIMEOUT_SECONDS, API_DEFAULT_VERSION)?
            .negotiate_version()
            .await
    }

    fn unavailable(&self, source: Error) -> EngineUnavailable {
        EngineUnavailable { socket: self.socket.to_string(), source }
    }
}

/// What the engine says, in the time that it has for saying that it is there.
async fn greeted<T>(asked: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let within = Duration::from_secs(ENGINE_GREETING_SECONDS_MAX);
    timeout(within, asked).await.unwrap_or(Err(Error::RequestTimeoutError))
}
