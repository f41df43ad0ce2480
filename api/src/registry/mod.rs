//! The registry of container images: OCI distribution 1.1, pull and push.
//!
//! It is there twice. On the API it is for people, with an API key or a password. On loopback it is for the node's own
//! engine. Both have the same: the tags that the state has of what people pushed, the tags that a node has of what was
//! built, and blobs, which the node gets from others when they are missing here.

mod access;
mod blobs;
mod error;
mod internal;
mod local;
mod manifests;
mod own;
mod peers;
mod reach;
mod route;
mod tags;
mod uploads;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use temps_builder::tags::BUILT;
use temps_builder::{BlobDigest, Builder};
use temps_raft::{Applied, Cluster};
use temps_state::Permission;

use self::access::{Access, Asker};
use self::error::Refusal;
use self::route::Route;
use crate::ApiError;
use crate::context::Shared;

pub(crate) use self::access::Logins;
pub(crate) use self::internal::routes as internal_routes;
pub use self::local::LocalRegistry;
pub(crate) use self::own::own_image;
pub use self::peers::OtherNodes;

/// The digest of what is sent, or was received.
const DIGEST_HEADER: HeaderName = HeaderName::from_static("docker-content-digest");
/// Says that this is a registry, to older clients.
const VERSION_HEADER: HeaderName = HeaderName::from_static("docker-distribution-api-version");

type Answer = Result<Response, Refusal>;

/// What the handlers use.
#[derive(Clone)]
struct Registry {
    builder: Builder,
    cluster: Cluster,
    access: Access,
}

/// The registry for people, below `/v2/`.
pub(crate) fn public(context: &Shared) -> Router<Shared> {
    mount(Registry {
        builder: context.builder.clone(),
        cluster: context.cluster.clone(),
        access: Access::People(context.clone()),
    })
}

fn mount<S: Clone + Send + Sync + 'static>(registry: Registry) -> Router<S> {
    let handler = move |request: Request| {
        let registry = registry.clone();
        async move { registry.serve(request).await }
    };
    Router::new()
        .route("/v2", any(handler.clone()))
        .route("/v2/", any(handler.clone()))
        .route("/v2/{*path}", any(handler))
        // Layers are bounded where they are received.
        .layer(DefaultBodyLimit::disable())
}

impl Registry {
    async fn serve(&self, request: Request) -> Response {
        let mut response = self.answer(request).await.unwrap_or_else(Refusal::into_response);
        let version = HeaderValue::from_static("registry/2.0");
        response.headers_mut().insert(VERSION_HEADER, version);
        response
    }

    async fn answer(&self, request: Request) -> Answer {
        let path = request.uri().path().trim_start_matches("/v2").trim_start_matches('/');
        // Nobody learns anything before they have said who they are.
        let route = Route::read(path);
        let changes = route.as_ref().is_none_or(|route| route.changes(request.method()));
        let needed = if changes { Permission::Deploy } else { Permission::Read };
        let (request, asker) = self.access.check(request, needed).await?;
        let route = route.ok_or_else(Refusal::unknown_path)?;
        let built = route.repository().is_some_and(is_built);
        if built && changes && !self.is_local() {
            return Err(Refusal::denied("`temps/` has what Temps builds: push to another name"));
        }
        self.route(route, request, &asker).await
    }

    async fn route(&self, route: Route, request: Request, asker: &Asker) -> Answer {
        let (method, headers) = (request.method().clone(), request.headers().clone());
        match (route, method) {
            (Route::Check, Method::GET | Method::HEAD) => Ok(StatusCode::OK.into_response()),
            (Route::Blob(repository, digest), Method::GET) => {
                self.blob(&repository, &digest, &headers).await
            }
            (Route::Blob(repository, digest), Method::HEAD) => {
                self.has_blob(&repository, &digest).await
            }
            (Route::Uploads(repository), Method::POST) => self.begin(&repository, request).await,
            (Route::Upload(repository, upload), method) => {
                self.upload(&repository, &upload, method, request).await
            }
            (Route::Manifest(repository, reference), method @ (Method::GET | Method::HEAD)) => {
                self.manifest(&repository, &reference, &method).await
            }
            (Route::Manifest(repository, reference), Method::PUT) => {
                self.put_manifest(&repository, &reference, request, asker).await
            }
            (Route::Manifest(repository, reference), Method::DELETE) => {
                self.untag(&repository, &reference, asker).await
            }
            (Route::Tags(repository), Method::GET) => self.tags(&repository, request.uri()).await,
            _ => Err(Refusal::unsupported()),
        }
    }

    fn is_local(&self) -> bool {
        matches!(self.access, Access::Engine(..))
    }

    /// The newest state; without a quorum, what this node knows.
    async fn newest(&self) -> Newest {
        match self.cluster.read_latest().await {
            Ok(state) => Newest { state, doubt: None },
            Err(error) => Newest { state: self.cluster.state(), doubt: Some(error.into()) },
        }
    }
}

/// The newest state that could be had.
struct Newest {
    state: Arc<Applied>,
    /// Why there may be a newer one.
    doubt: Option<ApiError>,
}

impl Newest {
    /// Why what is not in it cannot be had: it is not there, or nobody can say now.
    fn lacks(self, refusal: Refusal) -> Refusal {
        self.doubt.map_or(refusal, Refusal::from)
    }
}

/// Whether a repository has what Temps builds.
fn is_built(repository: &str) -> bool {
    repository.starts_with(BUILT)
}

fn digest_value(digest: &BlobDigest) -> HeaderValue {
    HeaderValue::from_str(&digest.to_string()).expect("a digest is letters, digits and a colon")
}

/// Where something is, as a path: names have only letters that need no encoding.
fn location(path: &str) -> HeaderValue {
    HeaderValue::from_str(path).expect("names are letters, digits and `._-/:`")
}

/// One value of a query string, decoded.
fn parameter(uri: &axum::http::Uri, name: &str) -> Option<String> {
    let axum::extract::Query(pairs) =
        axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri).ok()?;
    pairs.into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
}
