//! The way to a certificate authority: bounded requests, and its word on when to come again.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::RETRY_AFTER;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use instant_acme::{BodyWrapper, BytesResponse, Error as CaError, HttpClient};
use reqwest::redirect::Policy;
use reqwest::{Body, Certificate};
use temps_state::AcmeSettings;

use super::error::AcmeError;

/// How long one request to an authority may take.
const REQUEST_MAX: Duration = Duration::from_secs(30);
/// How long connecting to it may take.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// The longest answer, in octets.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Speaks to an authority.
#[derive(Clone)]
pub(crate) struct Authority {
    client: reqwest::Client,
    wait: Arc<Mutex<Option<Duration>>>,
}

impl Authority {
    /// One that is believed by the settings' root, or the machine's.
    pub(crate) fn new(settings: &AcmeSettings) -> Result<Self, AcmeError> {
        let mut builder = reqwest::Client::builder()
            .timeout(REQUEST_MAX)
            .connect_timeout(CONNECT_MAX)
            .https_only(true)
            .redirect(Policy::none());
        if !settings.root.trim().is_empty() {
            let roots = Certificate::from_pem_bundle(settings.root.as_bytes());
            builder = builder.tls_certs_only(roots.map_err(AcmeError::Root)?);
        }
        let client = builder.build().map_err(AcmeError::Root)?;
        Ok(Self { client, wait: Arc::default() })
    }

    /// For how long it asked to be left alone with its last answer.
    pub(crate) fn take_wait(&self) -> Option<Duration> {
        self.wait.lock().ok()?.take()
    }

    async fn send(self, request: Request<BodyWrapper<Bytes>>) -> Result<BytesResponse, CaError> {
        let (parts, body) = request.into_parts();
        let body = match body.collect().await {
            Ok(body) => body.to_bytes(),
            Err(never) => match never {},
        };
        let url = parts.uri.to_string();
        let answer = self.exchange(parts.method, &url, parts.headers, body).await?;
        Ok(BytesResponse::from(answer.map(Full::new)))
    }

    /// Asks something; whatever status comes back is an answer.
    pub(super) async fn exchange(
        &self,
        method: Method,
        url: &str,
        headers: HeaderMap,
        body: impl Into<Body>,
    ) -> Result<Response<Bytes>, CaError> {
        let sent = self.client.request(method, url).headers(headers).body(body).send();
        let mut answer = sent.await.map_err(other)?;
        self.note(answer.headers());
        let (status, headers) = (answer.status(), answer.headers().clone());
        let mut octets = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(other)? {
            if octets.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(CaError::Str("the answer is too long"));
            }
            octets.extend_from_slice(&chunk);
        }
        let mut response = Response::new(octets.freeze());
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }

    fn note(&self, headers: &HeaderMap) {
        let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
        if let Ok(mut wait) = self.wait.lock() {
            *wait = seconds.map(Duration::from_secs);
        }
    }
}

impl HttpClient for Authority {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, CaError>> + Send>> {
        Box::pin(self.clone().send(request))
    }
}

fn other(error: reqwest::Error) -> CaError {
    CaError::Other(Box::new(error))
}
