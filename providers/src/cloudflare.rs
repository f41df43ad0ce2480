//! Cloudflare: API v4, <https://developers.cloudflare.com/api/resources/dns/subresources/records/>.

use std::collections::BTreeMap;

use reqwest::{Method, RequestBuilder, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use temps_state::RecordKind;

use crate::http::{Http, PAGES_MAX, send};
use crate::secret::Secret;
use crate::text::{quoted, unquoted};
use crate::{Change, Found, Listing, ProviderError, RecordSet};

const ENDPOINT: &str = "https://api.cloudflare.com/client/v4";
/// Records of a page; lists may have more, but an answer is bounded.
const PAGE_RECORDS: &str = "1000";
/// The most operations of a batch that every plan allows, "Batch record changes" in the documentation.
const BATCH_MAX: usize = 200;
/// What the API calls credentials that it does not take, next to the statuses 401 and 403.
const CODES_OF_CREDENTIALS: [u64; 5] = [6003, 6111, 9106, 9109, 10000];

/// An account with Cloudflare.
#[derive(Clone)]
pub(crate) struct Cloudflare {
    http: Http,
    token: Secret,
}

#[derive(Deserialize)]
pub(crate) struct Credentials {
    /// An API token with the permissions Zone:Read and DNS:Edit.
    token: Secret,
}

#[derive(Deserialize)]
struct Answered<T> {
    result: Option<T>,
    result_info: Option<Info>,
}

#[derive(Deserialize)]
struct Info {
    total_pages: Option<usize>,
}

#[derive(Deserialize)]
struct Failed {
    #[serde(default)]
    errors: Vec<Problem>,
}

#[derive(Deserialize)]
struct Problem {
    code: u64,
    message: String,
}

#[derive(Deserialize)]
struct Zone {
    id: String,
    name: String,
}

#[derive(Deserialize)]
struct Record {
    id: String,
    name: String,
    r#type: String,
    #[serde(default)]
    content: String,
    ttl: u32,
}

/// What one request may hold.
#[derive(Default)]
struct Batch {
    deletes: Vec<Value>,
    puts: Vec<Value>,
    posts: Vec<Value>,
}

impl Cloudflare {
    /// The shortest time to live that zones of every plan may have, in seconds: field `ttl` of a record in the reference.
    pub(crate) const TTL: u32 = 60;

    pub(crate) fn new(
        endpoint: Option<String>,
        Credentials { token }: Credentials,
    ) -> Result<Self, ProviderError> {
        Ok(Self { http: Http::new(endpoint.as_deref().unwrap_or(ENDPOINT))?, token })
    }

    pub(crate) async fn list(&self, zone: &str) -> Result<Listing, ProviderError> {
        let id = self.zone(zone).await?;
        let mut listing = Listing::default();
        for page in 1..=PAGES_MAX {
            let query = [("page", &*page.to_string()), ("per_page", PAGE_RECORDS)];
            let url = self.http.url(&["zones", &id, "dns_records"], &query);
            let answer: Answered<Vec<Record>> = self.ask(Method::GET, url, None).await?;
            for Record { id, name, r#type, content, ttl } in answer.result.unwrap_or_default() {
                let value = if r#type == "TXT" { unquoted(&content) } else { content };
                listing.add(&name, &r#type, ttl, &value, Some(id));
            }
            if answer.result_info.and_then(|info| info.total_pages).is_none_or(|all| page >= all) {
                break;
            }
        }
        Ok(listing)
    }

    pub(crate) async fn apply(&self, zone: &str, changes: &[Change]) -> Result<(), ProviderError> {
        let id = self.zone(zone).await?;
        let mut batch = Batch::default();
        for change in changes {
            let mut next = Batch::default();
            next.add(change);
            if batch.len() + next.len() > BATCH_MAX {
                self.send(&id, std::mem::take(&mut batch)).await?;
            }
            batch.add(change);
        }
        self.send(&id, batch).await
    }

    async fn send(&self, zone: &str, batch: Batch) -> Result<(), ProviderError> {
        let Batch { deletes, puts, posts } = batch;
        let url = self.http.url(&["zones", zone, "dns_records", "batch"], &[]);
        let body = json!({"deletes": deletes, "puts": puts, "posts": posts});
        self.ask::<Value>(Method::POST, url, Some(body)).await.map(drop)
    }

    /// What the API calls a zone.
    async fn zone(&self, zone: &str) -> Result<String, ProviderError> {
        let url = self.http.url(&["zones"], &[("name", zone)]);
        let answer: Answered<Vec<Zone>> = self.ask(Method::GET, url, None).await?;
        let found = answer.result.unwrap_or_default().into_iter().find(|one| one.name == zone);
        found.map(|one| one.id).ok_or_else(|| ProviderError::ZoneUnknown { zone: zone.into() })
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        url: Url,
        body: Option<Value>,
    ) -> Result<T, ProviderError> {
        let request = self.http.request(method, url).bearer_auth(self.token.expose());
        let request = body.iter().fold(request, RequestBuilder::json);
        let answer = send(request).await?;
        if answer.status.is_client_error() && problems(&answer.body).iter().any(of_credentials) {
            return Err(ProviderError::unauthorized(&said(&answer.body)));
        }
        answer.judge(said)?.json()
    }
}

impl Batch {
    fn len(&self) -> usize {
        self.deletes.len() + self.puts.len() + self.posts.len()
    }

    /// Keeps records that are right, so that a name is never without any.
    fn add(&mut self, change: &Change) {
        let (set, before) = match change {
            Change::Put { set, before } => (Some(set), before.as_ref()),
            Change::Delete { before } => (None, Some(before)),
        };
        let known = BTreeMap::new();
        let ids = before.map_or(&known, |found| &found.ids);
        let stays = |value: &String| set.is_some_and(|set| set.values.contains(value));
        let gone = ids.iter().filter(|(value, _)| !stays(value));
        self.deletes.extend(gone.map(|(_, id)| json!({"id": id})));
        let Some(set) = set else { return };
        for value in &set.values {
            match ids.get(value) {
                None => self.posts.push(record(set, value)),
                Some(id) if before.is_some_and(|found| differs(found, set)) => {
                    let mut changed = record(set, value);
                    changed["id"] = json!(id);
                    self.puts.push(changed);
                }
                Some(_) => {}
            }
        }
    }
}

fn differs(found: &Found, set: &RecordSet) -> bool {
    found.set.ttl != set.ttl
}

fn record(set: &RecordSet, value: &str) -> Value {
    let content = if set.kind == RecordKind::Txt { quoted(value) } else { value.to_owned() };
    let mut record = json!({
        "name": set.name, "type": set.kind.as_str(), "ttl": set.ttl, "content": content,
    });
    // Only addresses can be hidden behind Cloudflare's own, which would end connections elsewhere than at the edges.
    if set.kind != RecordKind::Txt {
        record["proxied"] = json!(false);
    }
    record
}

fn problems(body: &[u8]) -> Vec<Problem> {
    serde_json::from_slice(body).map_or(vec![], |Failed { errors }| errors)
}

fn of_credentials(problem: &Problem) -> bool {
    CODES_OF_CREDENTIALS.contains(&problem.code)
}

fn said(body: &[u8]) -> String {
    let each = problems(body).into_iter().map(|one| format!("{} ({})", one.message, one.code));
    each.collect::<Vec<_>>().join("; ")
}
