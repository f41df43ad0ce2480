//! The HTTP client of the API: what can be asked, retries, problems as errors.

mod call;
mod paths;
mod session;
mod stale;
mod stream;

use std::time::Duration;

use reqwest::header::{self, HeaderMap};
use reqwest::{Body, Method, RequestBuilder, Response};
use serde_json::Value;

use self::call::Call;
pub use self::paths::path;
use self::session::Credentials;
use self::stale::Fallback;

use crate::addresses::Addresses;
use crate::attempts::{Attempts, Next, Silence};
use crate::error::{CliError, innermost};
use crate::output::Output;
use crate::patience::Patience;
use crate::problem::Problem;

/// How long a connection may take to come about.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// How long one answer may take; streams are not bound by it.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);
/// How long an upload may take.
const UPLOAD_WITHIN: Duration = Duration::from_secs(3_600);
/// How many items a page of a list holds.
const PAGE_ITEMS: usize = 100;

/// A client of one cluster's API. It goes on with another node where one does not answer.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    addresses: Addresses,
    credentials: Credentials,
    /// Where waiting is told of, if anywhere.
    output: Option<Output>,
    /// What reads fall back to without a quorum, if to anything.
    fallback: Option<Fallback>,
}

/// What the API answered.
#[derive(Debug)]
pub struct Answer {
    /// The body; `null` when it was empty.
    pub value: Value,
    /// The tag of the resource, for `If-Match`.
    pub etag: Option<String>,
    /// The log entry up to which the answer is.
    pub applied_index: u64,
}

impl Client {
    /// A client that nobody has logged in to.
    pub fn anonymous(addresses: Addresses) -> Self {
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_WITHIN)
            .user_agent(concat!("temps/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("the settings are constants, and main installed the TLS provider");
        Self { http, addresses, credentials: Credentials::Nobody, output: None, fallback: None }
    }

    /// A client with an API key.
    pub fn with_key(addresses: Addresses, key: String) -> Self {
        Self { credentials: Credentials::Key(key), ..Self::anonymous(addresses) }
    }

    /// The same client, which asks the first node only, for what is meant for one.
    pub fn of_one_node(self) -> Self {
        Self { addresses: self.addresses.first(), ..self }
    }

    /// The same client, which tells people when it waits.
    pub fn telling(self, output: Output) -> Self {
        Self { output: Some(output).filter(|output| !output.json), ..self }
    }

    /// The address that is asked now: the one that answered last, once one has.
    pub fn url(&self) -> &str {
        self.addresses.asked()
    }

    /// Reads a resource.
    pub async fn get(&self, path: &str) -> Result<Answer, CliError> {
        self.call(Call::new(Method::GET, path)).await
    }

    /// Reads a list, page after page, up to a number of items.
    pub async fn list(
        &self,
        path: &str,
        query: &[(&str, String)],
        max: usize,
    ) -> Result<Value, CliError> {
        let mut items = Vec::new();
        let mut cursor = Value::Null;
        loop {
            let mut query = query.to_vec();
            query.push(("limit", (max - items.len()).min(PAGE_ITEMS).to_string()));
            if let Some(cursor) = cursor.as_str() {
                query.push(("cursor", cursor.into()));
            }
            let call = Call { query: &query, ..Call::new(Method::GET, path) };
            let mut page = self.call(call).await?.value;
            let list = if page.is_array() { Some(&mut page) } else { page.get_mut("items") };
            let Some(Value::Array(new)) = list.map(Value::take) else {
                return Err(self.unreadable("the answer is not a list"));
            };
            let grown = !new.is_empty();
            items.extend(new);
            cursor = page.get_mut("next_cursor").map(Value::take).unwrap_or_default();
            if cursor.is_null() || items.len() >= max || !grown {
                items.truncate(max);
                return Ok(serde_json::json!({"items": items, "next_cursor": cursor}));
            }
        }
    }

    /// Creates something. It happens once, however often it must be sent.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer, CliError> {
        self.call(Call { body: Some(body), ..Call::new(Method::POST, path) }).await
    }

    /// Replaces something, unless it is not what its tag says any more.
    pub async fn put(
        &self,
        path: &str,
        body: &Value,
        etag: Option<&str>,
    ) -> Result<Answer, CliError> {
        self.call(Call { body: Some(body), etag, ..Call::new(Method::PUT, path) }).await
    }

    /// Changes something, unless it is not what its tag says any more.
    pub async fn patch(
        &self,
        path: &str,
        body: &Value,
        etag: Option<&str>,
    ) -> Result<Answer, CliError> {
        self.call(Call { body: Some(body), etag, ..Call::new(Method::PATCH, path) }).await
    }

    /// Deletes something.
    pub async fn delete(&self, path: &str) -> Result<Answer, CliError> {
        self.call(Call::new(Method::DELETE, path)).await
    }

    /// Sends a file; `body` makes its stream afresh for every attempt.
    pub async fn upload(
        &self,
        path: &str,
        bytes: u64,
        body: impl Fn() -> Result<Body, CliError>,
    ) -> Result<Answer, CliError> {
        let key = fresh_key();
        let request = |url: &str| {
            let request = self.authenticated(self.http.post(format!("{url}{path}")));
            Ok(request
                .timeout(UPLOAD_WITHIN)
                .header(header::CONTENT_TYPE, "application/octet-stream")
                .header(header::CONTENT_LENGTH, bytes)
                .header("idempotency-key", &key)
                .body(body()?))
        };
        let response = self.persist(Patience::begin(), true, request).await?;
        self.answer(response).await
    }

    /// Opens a two-way connection (RFC 9110 §7.8) with the headers that ask for it.
    pub async fn upgrade(
        &self,
        path: &str,
        query: &[(&str, String)],
        headers: HeaderMap,
    ) -> Result<reqwest::Upgraded, CliError> {
        let request = |url: &str| {
            let request = self.http.get(format!("{url}{path}")).query(query);
            Ok(self.authenticated(request.headers(headers.clone())))
        };
        // What it opens may do something, so that it is not asked for twice.
        let response = self.persist(Patience::begin(), false, request).await?;
        if response.status().as_u16() == 101 {
            return response.upgrade().await.map_err(|source| self.unreachable(source));
        }
        self.accepted(response).await?;
        Err(self.unreadable("it did not switch to a WebSocket"))
    }

    async fn send(&self, call: &Call<'_>) -> Result<Response, CliError> {
        let key = (!call.method.is_safe()).then(fresh_key);
        let repeatable = call.method == Method::GET || key.is_some();
        let patience = Patience::begin();
        self.persist(patience, repeatable, |url| Ok(self.request(url, call, key.as_deref()))).await
    }

    /// Sends a request until it is answered by a node that goes on and has a quorum, or for as long as that is waited for.
    /// What is `repeatable` happens once, however often it is sent.
    async fn persist(
        &self,
        mut patience: Patience,
        repeatable: bool,
        request: impl Fn(&str) -> Result<RequestBuilder, CliError>,
    ) -> Result<Response, CliError> {
        loop {
            let response = self.reach(repeatable, &request).await?;
            if !matches!(response.status().as_u16(), 503 | 504) {
                return Ok(response);
            }
            let problem = self.problem(response).await;
            let again = match problem.passes(repeatable) {
                Some(why) => patience.wait(why, self.output.as_ref()).await,
                None => false,
            };
            if !again {
                return Err(CliError::Refused(Box::new(problem)));
            }
            // A node that is cut off from the others is not the cluster.
            self.addresses.ask_next();
        }
    }

    async fn call(&self, call: Call<'_>) -> Result<Answer, CliError> {
        let response = match call.method {
            Method::GET => self.get_as_new(&call).await?,
            _ => self.send(&call).await?,
        };
        self.answer(response).await
    }

    /// Sends a request until a node answers it, as often as is safe. What is not `repeatable` is sent once.
    async fn reach(
        &self,
        repeatable: bool,
        request: impl Fn(&str) -> Result<RequestBuilder, CliError>,
    ) -> Result<Response, CliError> {
        let mut attempts = Attempts::new(self.addresses.count(), repeatable);
        loop {
            let error = match request(self.url())?.send().await {
                Ok(response) => return Ok(response),
                Err(error) => error,
            };
            let silence = Silence { unsent: error.is_connect(), late: error.is_timeout() };
            match attempts.after(silence) {
                Next::Elsewhere => self.go_elsewhere(&error),
                Next::Again(pause) => {
                    tokio::time::sleep(pause).await;
                    self.addresses.ask_next();
                }
                Next::GiveUp => return Err(self.unanswered(error)),
            }
        }
    }

    fn go_elsewhere(&self, error: &reqwest::Error) {
        let silent = self.url();
        let next = self.addresses.ask_next();
        if let Some(output) = &self.output {
            let why = innermost(error);
            output.note(&format!("{silent} does not answer ({why}); asking {next}…"));
        }
    }

    fn request(&self, url: &str, call: &Call<'_>, key: Option<&str>) -> RequestBuilder {
        let url = format!("{url}{}", call.path);
        let mut request = self.http.request(call.method.clone(), url).query(call.query);
        if !call.is_stream() {
            request = request.timeout(ANSWER_WITHIN);
        }
        if let Some(body) = call.body {
            request = request.json(body);
        }
        if let Some(etag) = call.etag {
            request = request.header(header::IF_MATCH, etag);
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        self.authenticated(request)
    }

    async fn answer(&self, response: Response) -> Result<Answer, CliError> {
        let response = self.accepted(response).await?;
        let text = |name: &str| response.headers().get(name)?.to_str().ok().map(str::to_string);
        let etag = text("etag");
        let applied_index = text("x-temps-applied-index").and_then(|text| text.parse().ok());
        let body = response.bytes().await.map_err(|source| self.unreachable(source))?;
        let value = match body.is_empty() {
            true => Value::Null,
            false => serde_json::from_slice(&body)
                .map_err(|error| self.unreadable(&format!("it is not JSON: {error}")))?,
        };
        Ok(Answer { value, etag, applied_index: applied_index.unwrap_or(0) })
    }

    async fn accepted(&self, response: Response) -> Result<Response, CliError> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        if status.is_redirection() {
            return Err(self.unreadable(&format!("it redirects elsewhere (status {status})")));
        }
        Err(CliError::Refused(Box::new(self.problem(response).await)))
    }

    async fn problem(&self, response: Response) -> Problem {
        let status = response.status().as_u16();
        Problem::read(status, &response.bytes().await.unwrap_or_default())
    }

    fn unreachable(&self, source: reqwest::Error) -> CliError {
        CliError::Unreachable { url: self.url().into(), source: source.without_url() }
    }

    /// Nobody took the request, at whichever address; or somebody took it and said nothing.
    fn unanswered(&self, source: reqwest::Error) -> CliError {
        if !source.is_connect() {
            return self.unreachable(source);
        }
        let url = self.addresses.all().join(", ");
        CliError::Unreachable { url, source: source.without_url() }
    }

    fn unreadable(&self, why: &str) -> CliError {
        CliError::Unreadable { url: self.url().into(), why: why.into() }
    }
}

fn fresh_key() -> String {
    hex::encode(rand::random::<[u8; 16]>())
}
