//! Addresses that the answers name: apps on the edge, Git remotes and webhooks on this API.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use temps_state::{Environment, Project, State};

use crate::ApiError;
use crate::context::Shared;

/// The port that an `http` URL need not name.
const HTTP_PORT: u16 = 80;

/// How the client reaches this API and this node's edge.
#[derive(Debug, Clone)]
pub(crate) struct Links {
    api: String,
    edge_port: u16,
}

impl Links {
    /// Where an environment is served.
    pub fn app(&self, state: &State, environment: &Environment) -> String {
        let host = state.host_of(environment).unwrap_or_default();
        match self.edge_port {
            HTTP_PORT => format!("http://{host}"),
            port => format!("http://{host}:{port}"),
        }
    }

    /// Where a project's source can be pushed to.
    pub fn git(&self, project: &Project) -> String {
        format!("{}/git/{}.git", self.api, project.name)
    }

    /// Where a Git server sends a project's webhooks.
    pub fn webhook(&self, server: &str, project: &Project) -> String {
        format!("{}/api/webhook/git/{server}/{}", self.api, project.name)
    }
}

impl FromRequestParts<Shared> for Links {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, context: &Shared) -> Result<Self, ApiError> {
        let authority = parts.uri.authority().map(|authority| authority.to_string());
        let host = header_text(&parts.headers, header::HOST.as_str()).map(String::from);
        let host = host.or(authority).unwrap_or_else(|| "localhost".into());
        let scheme = if is_https(&parts.headers) { "https" } else { "http" };
        Ok(Self { api: format!("{scheme}://{host}"), edge_port: context.config.http_port })
    }
}

/// Whether the client came over TLS, as a proxy before this API tells.
pub(crate) fn is_https(headers: &HeaderMap) -> bool {
    header_text(headers, "x-forwarded-proto")
        .is_some_and(|proto| proto.eq_ignore_ascii_case("https"))
}

fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
