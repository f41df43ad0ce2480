//! The way to providers that are asked over HTTP: bounded requests, and one reading of what their answers mean.

use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, StatusCode, Url};
use serde::de::DeserializeOwned;

use crate::ProviderError;

/// How long one request may take.
const REQUEST_MAX: Duration = Duration::from_secs(10);
/// How long connecting may take.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// The longest answer, in octets.
const ANSWER_BYTES_MAX: usize = 8 << 20;
/// The most pages of a list that are asked for.
pub(crate) const PAGES_MAX: usize = 1_000;

/// Speaks to a provider's API.
#[derive(Clone)]
pub(crate) struct Http {
    client: Client,
    base: Url,
}

/// What a provider answered.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Vec<u8>,
    wait: Option<Duration>,
}

impl Http {
    /// One that asks at an endpoint; over plain HTTP on this machine alone, as credentials are sent there.
    pub(crate) fn new(endpoint: &str) -> Result<Self, ProviderError> {
        let wrong = |why: &str| ProviderError::Credentials(format!("the endpoint {why}"));
        let base = endpoint.trim_end_matches('/');
        let base = Url::parse(base).map_err(|_| wrong("is no URL"))?;
        let is_local = matches!(base.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        if base.scheme() != "https" && !(base.scheme() == "http" && is_local) {
            return Err(wrong("is not https://"));
        }
        if base.cannot_be_a_base() || base.query().is_some() {
            return Err(wrong("has more than a path"));
        }
        // Without one of its own the client would panic; where the process has one, that stays.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .timeout(REQUEST_MAX)
            .connect_timeout(CONNECT_MAX)
            .redirect(Policy::none())
            .user_agent(concat!("temps/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| ProviderError::unreachable(&error))?;
        Ok(Self { client, base })
    }

    /// The URL of something below the endpoint, by the parts of its path and its query.
    pub(crate) fn url(&self, path: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    pub(crate) fn request(&self, method: Method, url: Url) -> RequestBuilder {
        self.client.request(method, url)
    }
}

/// Sends a request; whatever status comes back is an answer.
pub(crate) async fn send(request: RequestBuilder) -> Result<Answer, ProviderError> {
    let failing = |error: reqwest::Error| match error.is_connect() {
        true => ProviderError::unreachable(&error.without_url()),
        false => ProviderError::failing(&error.without_url()),
    };
    let mut response = request.send().await.map_err(failing)?;
    let status = response.status();
    let wait = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let wait = wait.and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failing)? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(ProviderError::Garbled { why: "it is too long".into() });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, body, wait })
}

impl Answer {
    /// What a status means that everybody uses alike; `said` is what the provider says of it.
    pub(crate) fn judge(self, said: impl FnOnce(&[u8]) -> String) -> Result<Self, ProviderError> {
        match self.status {
            status if status.is_success() => Ok(self),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Err(ProviderError::unauthorized(&said(&self.body)))
            }
            StatusCode::TOO_MANY_REQUESTS => Err(ProviderError::Limited { wait: self.wait }),
            StatusCode::LOCKED => Err(ProviderError::Locked),
            status if status.is_server_error() => {
                let why = format!("{status}: {}", crate::error::bounded(&said(&self.body)));
                Err(ProviderError::Failing { why })
            }
            _ => Err(ProviderError::refused(&said(&self.body))),
        }
    }

    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, ProviderError> {
        serde_json::from_slice(&self.body).map_err(|error| ProviderError::garbled(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_go_over_plain_http_on_this_machine_alone() {
        for (endpoint, right) in [
            ("https://api.example.com/v4", true),
            ("https://gateway.example.com:8443/", true),
            ("http://127.0.0.1:8080/x", true),
            ("http://localhost:1", true),
            ("http://api.example.com", false),
            ("http://10.0.0.1", false),
            ("ftp://127.0.0.1", false),
            ("api.example.com", false),
            ("https://api.example.com/?a=b", false),
            ("", false),
        ] {
            assert_eq!(Http::new(endpoint).is_ok(), right, "{endpoint}");
        }
    }

    #[test]
    fn paths_and_queries_are_encoded() {
        let http = Http::new("https://api.example.com/v4/").unwrap();
        let url = http.url(&["zones", "a/b", "*"], &[("name", "*.x&y")]);
        assert_eq!(url.as_str(), "https://api.example.com/v4/zones/a%2Fb/*?name=*.x%26y");
        let plain = http.url(&["zones"], &[]);
        assert_eq!(plain.as_str(), "https://api.example.com/v4/zones");
    }
}
