//! Web APIs that take a token with every request and speak JSON.

use std::sync::Arc;

use reqwest::{Method, RequestBuilder, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::ProviderError;
use crate::http::{Answer, Http, send};
use crate::oauth::Tokens;
use crate::secret::Secret;

/// What an answer means where the provider has words of its own.
pub(crate) type Judge = fn(Answer) -> Result<Answer, ProviderError>;

/// Speaks to an API.
#[derive(Clone)]
pub(crate) struct Api {
    http: Http,
    key: Key,
    judge: Judge,
}

/// What lets the cluster in.
#[derive(Clone)]
pub(crate) enum Key {
    /// A token that lasts.
    Kept(Secret),
    /// Tokens for a while each.
    Granted(Arc<Tokens>),
}

/// An account that a token lets in.
#[derive(Deserialize)]
pub(crate) struct Credentials {
    /// The token.
    token: Secret,
}

impl From<Credentials> for Key {
    fn from(Credentials { token }: Credentials) -> Self {
        Self::Kept(token)
    }
}

impl Api {
    /// One at an endpoint, or where everybody finds it.
    pub(crate) fn new(
        endpoint: Option<String>,
        usual: &str,
        key: impl Into<Key>,
        judge: Judge,
    ) -> Result<Self, ProviderError> {
        let http = Http::new(endpoint.as_deref().unwrap_or(usual))?;
        Ok(Self { http, key: key.into(), judge })
    }

    /// The URL of something, by the parts of its path and its query.
    pub(crate) fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Url {
        self.http.url(path, query)
    }

    /// A request to be asked.
    pub(crate) fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.http.request(method, url)
    }

    /// Sends a request, and gives its answer unless that is a refusal.
    pub(crate) async fn ask(&self, request: RequestBuilder) -> Result<Answer, ProviderError> {
        (self.judge)(self.send(request).await?)
    }

    /// Reads something of a zone: where there is nothing, there is no such zone.
    pub(crate) async fn read<T: DeserializeOwned>(
        &self,
        url: Url,
        zone: &str,
    ) -> Result<T, ProviderError> {
        let answer = self.send(self.request(Method::GET, url)).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Err(ProviderError::ZoneUnknown { zone: zone.into() });
        }
        (self.judge)(answer)?.json()
    }

    async fn send(&self, request: RequestBuilder) -> Result<Answer, ProviderError> {
        let tokens = match &self.key {
            Key::Kept(token) => return send(request.bearer_auth(token.expose())).await,
            Key::Granted(tokens) => tokens,
        };
        let answer = send(request.bearer_auth(tokens.token().await?.expose())).await?;
        if answer.status == StatusCode::UNAUTHORIZED {
            tokens.forget().await;
        }
        Ok(answer)
    }
}
