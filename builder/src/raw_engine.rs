//! One bare HTTP connection to the engine, for the two calls that the client library does not offer as they are
//! needed here: a BuildKit build whose session answers for secrets, and that session.

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio_util::task::AbortOnDropHandle;

use crate::{BuildError, Engine};

/// A connection for one request; dropping it closes the connection, and the engine stops what it did for it.
pub(crate) struct RawEngine<B> {
    sender: http1::SendRequest<B>,
    version: String,
    _connection: AbortOnDropHandle<()>,
}

impl RawEngine<()> {
    /// What went wrong with a request that could not even be written down.
    pub(crate) fn refused(error: impl std::fmt::Display) -> BuildError {
        BuildError::EngineRefused { detail: error.to_string() }
    }

    /// What a broken connection means.
    pub(crate) fn lost(error: hyper::Error) -> BuildError {
        use std::error::Error;
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        BuildError::EngineLost { detail: format!("{error}{cause}") }
    }

    /// Connects, at the API version that both sides know.
    pub(crate) async fn connect<B>(engine: &Engine) -> Result<RawEngine<B>, BuildError>
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let version = engine.docker().await?.client_version().to_string();
        let stream = TokioIo::new(engine.stream().await?);
        let (sender, connection) = http1::handshake(stream).await.map_err(RawEngine::lost)?;
        let connection = AbortOnDropHandle::new(tokio::spawn(async {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(%error, "connection to the engine ended");
            }
        }));
        Ok(RawEngine { sender, version, _connection: connection })
    }
}

impl<B: Body<Data = Bytes> + Send + 'static> RawEngine<B> {
    /// A path of the API, with its version.
    pub(crate) fn path(&self, path: &str) -> String {
        format!("/v{}{path}", self.version)
    }

    /// Sends the request and waits for the answer's head.
    pub(crate) async fn send(
        &mut self,
        request: Request<B>,
    ) -> Result<Response<Incoming>, BuildError> {
        self.sender.send_request(request).await.map_err(RawEngine::lost)
    }
}

/// A text as one value of a query string (RFC 3986 §2.1).
pub(crate) fn percent_encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let encode = |byte: u8| {
        if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    text.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_percent_encoded() {
        assert_eq!(percent_encoded("a-b_c.~1"), "a-b_c.~1");
        assert_eq!(percent_encoded("{\"a\":\"ä &\"}"), "%7B%22a%22%3A%22%C3%A4%20%26%22%7D");
    }
}
