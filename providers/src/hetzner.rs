//! Hetzner: the DNS of the Cloud API, <https://docs.hetzner.cloud/reference/cloud#zone-rrsets>, which follows the older API of
//! the DNS console.

use reqwest::{Method, RequestBuilder, StatusCode, Url};
use serde::Deserialize;
use serde_json::{Value, json};
use temps_state::RecordKind;

use crate::http::{Answer, Http, PAGES_MAX, send};
use crate::record_set::{absolute, relative};
use crate::secret::Secret;
use crate::text::{quoted, unquoted};
use crate::{Change, Listing, ProviderError, RecordSet};

const ENDPOINT: &str = "https://api.hetzner.cloud/v1";
/// The most sets of a page, "Pagination".
const PAGE_SETS: &str = "50";

/// A project of the Hetzner console.
#[derive(Clone)]
pub(crate) struct Hetzner {
    http: Http,
    token: Secret,
}

#[derive(Deserialize)]
pub(crate) struct Credentials {
    /// An API token that may read and write.
    token: Secret,
}

#[derive(Deserialize)]
struct Page {
    rrsets: Vec<Set>,
    meta: Option<Meta>,
}

#[derive(Deserialize)]
struct Meta {
    pagination: Pagination,
}

#[derive(Deserialize)]
struct Pagination {
    next_page: Option<u64>,
}

#[derive(Deserialize)]
struct Set {
    name: String,
    r#type: String,
    /// None where the zone's own holds.
    ttl: Option<u32>,
    records: Vec<Record>,
}

#[derive(Deserialize)]
struct Record {
    value: String,
}

#[derive(Deserialize)]
struct Failed {
    error: Problem,
}

#[derive(Deserialize)]
struct Problem {
    code: String,
    message: String,
}

impl Hetzner {
    /// The shortest time to live, in seconds: field `ttl` of a set in the reference.
    pub(crate) const TTL: u32 = 60;

    pub(crate) fn new(
        endpoint: Option<String>,
        Credentials { token }: Credentials,
    ) -> Result<Self, ProviderError> {
        Ok(Self { http: Http::new(endpoint.as_deref().unwrap_or(ENDPOINT))?, token })
    }

    pub(crate) async fn list(&self, zone: &str) -> Result<Listing, ProviderError> {
        let mut listing = Listing::default();
        let mut next = Some(1);
        for _ in 0..PAGES_MAX {
            let Some(page) = next else { break };
            let query = [("page", &*page.to_string()), ("per_page", PAGE_SETS)];
            let url = self.http.url(&["zones", zone, "rrsets"], &query);
            let page: Page = self.ask(Method::GET, url, None, zone).await?.json()?;
            for Set { name, r#type, ttl, records } in page.rrsets {
                for Record { value } in records {
                    let value = if r#type == "TXT" { unquoted(&value) } else { value };
                    listing.add(&absolute(&name, zone), &r#type, ttl.unwrap_or(0), &value, None);
                }
            }
            next = page.meta.and_then(|meta| meta.pagination.next_page);
        }
        Ok(listing)
    }

    pub(crate) async fn apply(&self, zone: &str, changes: &[Change]) -> Result<(), ProviderError> {
        for change in changes {
            for (method, url, body) in self.requests(zone, change) {
                self.ask(method, url, body, zone).await?;
            }
        }
        Ok(())
    }

    fn requests(&self, zone: &str, change: &Change) -> Vec<(Method, Url, Option<Value>)> {
        let (set, found) = match change {
            Change::Put { set, before: Some(found) } => (set, &found.set),
            Change::Put { set, before: None } => {
                let body = json!({
                    "name": relative(&set.name, zone), "type": set.kind.as_str(), "ttl": set.ttl,
                    "records": records(set),
                });
                return vec![(
                    Method::POST,
                    self.http.url(&["zones", zone, "rrsets"], &[]),
                    Some(body),
                )];
            }
            Change::Delete { before } => {
                return vec![(Method::DELETE, self.set(zone, &before.set, &[]), None)];
            }
        };
        let mut requests = Vec::new();
        let mut act = |action, body| {
            requests.push((Method::POST, self.set(zone, set, &["actions", action]), Some(body)));
        };
        if found.values != set.values {
            act("set_records", json!({"records": records(set)}));
        }
        if found.ttl != set.ttl {
            act("change_ttl", json!({"ttl": set.ttl}));
        }
        requests
    }

    /// The URL of a set, or of something to do with it.
    fn set(&self, zone: &str, set: &RecordSet, more: &[&str]) -> Url {
        let name = relative(&set.name, zone);
        let path = [&["zones", zone, "rrsets", name, set.kind.as_str()], more].concat();
        self.http.url(&path, &[])
    }

    async fn ask(
        &self,
        method: Method,
        url: Url,
        body: Option<Value>,
        zone: &str,
    ) -> Result<Answer, ProviderError> {
        let listed = method == Method::GET;
        let request = self.http.request(method, url).bearer_auth(self.token.expose());
        let answer = send(body.iter().fold(request, RequestBuilder::json)).await?;
        match answer.status {
            StatusCode::NOT_FOUND if listed => {
                Err(ProviderError::ZoneUnknown { zone: zone.into() })
            }
            // Something else is under way in the zone.
            StatusCode::LOCKED => Err(ProviderError::Limited { wait: None }),
            _ => answer.judge(said),
        }
    }
}

fn records(set: &RecordSet) -> Vec<Value> {
    let is_text = set.kind == RecordKind::Txt;
    let value = |value: &String| if is_text { quoted(value) } else { value.clone() };
    set.values.iter().map(|one| json!({"value": value(one)})).collect()
}

fn said(body: &[u8]) -> String {
    let failed = serde_json::from_slice(body);
    failed.map_or(String::new(), |Failed { error: Problem { code, message } }| {
        format!("{message} ({code})")
    })
}
