//! The side channel of a BuildKit build: over it the engine asks for the build's secrets, step by step.
//!
//! The engine's `/session` call turns one connection around: from then on the engine is the gRPC client on it and this
//! end the server. Secrets so reach a `RUN --mount=type=secret` step without being in the request, an argument or a layer.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bollard::health::health_check_response::ServingStatus;
use bollard::health::health_server::{Health, HealthServer};
use bollard::health::{
    HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse,
};
use bollard::moby::buildkit::secrets::v1::secrets_server::{Secrets, SecretsServer};
use bollard::moby::buildkit::secrets::v1::{GetSecretRequest, GetSecretResponse};
use futures::{StreamExt, stream};
use http::{Method, Request, StatusCode};
use http_body_util::Empty;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use temps_state::VariableName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::server::Connected;
use tonic::{Response, Status};

use crate::raw_engine::RawEngine;
use crate::{BuildError, Engine};

/// The call by which the engine asks for a secret.
const GET_SECRET: &str = "/moby.buildkit.secrets.v1.Secrets/GetSecret";

/// Secrets by id.
#[derive(Clone, Default)]
pub(crate) struct BuildSecrets(BTreeMap<&'static str, Vec<u8>>);

impl BuildSecrets {
    /// The secret `id`; an empty one counts as not there, so that mounts of it are left out.
    pub(crate) fn with(mut self, id: &'static str, value: String) -> Self {
        if !value.is_empty() {
            self.0.insert(id, value.into_bytes());
        }
        self
    }
}

/// Variables as a shell file of `export NAME='value'` lines; never empty, so that a build step may count on it.
pub(crate) fn shell_file(variables: &BTreeMap<VariableName, String>) -> String {
    let line = |(name, value): (&VariableName, &String)| {
        format!("export {name}='{}'\n", value.replace('\'', r"'\''"))
    };
    let lines = variables.iter().map(line);
    ["# the environment's variables\n".to_owned()].into_iter().chain(lines).collect()
}

/// An open session; dropping it closes it.
pub(crate) struct Session {
    _open: DropGuard,
}

impl Session {
    /// Opens a session under an id that no other build uses.
    pub(crate) async fn open(
        engine: &Engine,
        id: &str,
        secrets: BuildSecrets,
    ) -> Result<Self, BuildError> {
        let mut raw = RawEngine::connect(engine).await?;
        let request = Request::builder()
            .method(Method::POST)
            .uri(raw.path("/session"))
            .header("Host", "engine")
            .header("Connection", "Upgrade")
            .header("Upgrade", "h2c")
            .header("X-Docker-Expose-Session-Uuid", id)
            .header("X-Docker-Expose-Session-Grpc-Method", GET_SECRET)
            .body(Empty::<bytes::Bytes>::new())
            .map_err(RawEngine::refused)?;
        let response = raw.send(request).await?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            let detail = format!("/session answered {}", response.status());
            return Err(BuildError::EngineRefused { detail });
        }
        let upgraded = hyper::upgrade::on(response).await.map_err(RawEngine::lost)?;
        let open = CancellationToken::new();
        tokio::spawn(serve(upgraded, secrets, open.clone()));
        Ok(Self { _open: open.drop_guard() })
    }
}

async fn serve(connection: Upgraded, secrets: BuildSecrets, open: CancellationToken) {
    // The server ends its connections when no more can come, and there is only this one.
    let only = stream::iter([Ok::<_, io::Error>(Connection(TokioIo::new(connection)))]);
    let served = tonic::transport::Server::builder()
        .add_service(HealthServer::new(Alive))
        .add_service(SecretsServer::new(secrets))
        .serve_with_incoming_shutdown(only.chain(stream::pending()), open.cancelled_owned())
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "build session ended");
    }
}

#[tonic::async_trait]
impl Secrets for BuildSecrets {
    async fn get_secret(
        &self,
        request: tonic::Request<GetSecretRequest>,
    ) -> Result<Response<GetSecretResponse>, Status> {
        let data = self.0.get(request.get_ref().id.as_str());
        let data = data.ok_or_else(|| Status::not_found("no such secret"))?;
        Ok(Response::new(GetSecretResponse { data: data.clone() }))
    }
}

/// Answers the engine's question whether this end is still there.
struct Alive;

type Watched = Pin<Box<dyn futures::Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

#[tonic::async_trait]
impl Health for Alive {
    type WatchStream = Watched;

    async fn check(
        &self,
        _: tonic::Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        Ok(Response::new(HealthCheckResponse { status: ServingStatus::Serving.into() }))
    }

    async fn list(
        &self,
        _: tonic::Request<HealthListRequest>,
    ) -> Result<Response<HealthListResponse>, Status> {
        Err(Status::unimplemented("there is nothing to list"))
    }

    async fn watch(
        &self,
        _: tonic::Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("ask again instead"))
    }
}

/// The turned connection.
struct Connection(TokioIo<Upgraded>);

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, data)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_back_what_the_file_says() {
        let odd = "it's\n$HOME `id` \"x\" \\ ü";
        let variables = BTreeMap::from([
            ("ODD".parse().unwrap(), odd.to_owned()),
            ("PLAIN".parse().unwrap(), "1".to_owned()),
        ]);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("env");
        std::fs::write(&path, shell_file(&variables)).unwrap();
        let script = format!(". {} && printf '%s|%s' \"$ODD\" \"$PLAIN\"", path.display());
        let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{odd}|1"));
    }

    #[tokio::test]
    async fn an_empty_or_unknown_secret_is_not_there() {
        let secrets = BuildSecrets::default().with("a", "x".into()).with("b", String::new());
        let get = async |id: &str| {
            let request = GetSecretRequest { id: id.into(), ..Default::default() };
            secrets.get_secret(tonic::Request::new(request)).await.map(|r| r.into_inner().data)
        };
        assert_eq!(get("a").await.unwrap(), b"x");
        assert!(get("b").await.is_err());
        assert!(get("c").await.is_err());
    }
}
