//! Hetzner: the DNS of the Cloud API, <https://docs.hetzner.cloud/reference/cloud#zone-rrsets>, which follows the older API of
//! the DNS console.

use reqwest::{Method, RequestBuilder, Url};
use serde::Deserialize;
use serde_json::{Value, json};
use temps_state::RecordKind;

use crate::api::{Api, Credentials};
use crate::http::PAGES_MAX;
use crate::outcome::Failure;
use crate::record_set::{absolute, relative};
use crate::text::{quoted, unquoted};
use crate::{Change, Listing, ProviderError, RecordSet};

const ENDPOINT: &str = "https://api.hetzner.cloud/v1";
/// The most sets of a page, "Pagination".
const PAGE_SETS: &str = "50";

/// A project of the Hetzner console.
#[derive(Clone)]
pub(crate) struct Hetzner(Api);

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

    /// A project by an API token that may read and write.
    pub(crate) fn new(
        endpoint: Option<String>,
        credentials: Credentials,
    ) -> Result<Self, ProviderError> {
        Ok(Self(Api::new(endpoint, ENDPOINT, credentials, |answer| answer.judge(said))?))
    }

    pub(crate) async fn list(&self, zone: &str) -> Result<Listing, ProviderError> {
        let mut listing = Listing::default();
        let mut next = Some(1);
        for _ in 0..PAGES_MAX {
            let Some(page) = next else { break };
            let query = [("page", &*page.to_string()), ("per_page", PAGE_SETS)];
            let url = self.0.url(&["zones", zone, "rrsets"], &query);
            let page: Page = self.0.read(url, zone).await?;
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

    pub(crate) async fn send(&self, zone: &str, changes: &[Change]) -> Result<(), Failure> {
        for request in changes.iter().flat_map(|change| self.requests(zone, change)) {
            self.0.ask(request).await?;
        }
        Ok(())
    }

    /// A set that is new takes one request, so that it is never there in part.
    fn requests(&self, zone: &str, change: &Change) -> Vec<RequestBuilder> {
        let (set, found) = match change {
            Change::Put { set, before: Some(found) } => (set, &found.set),
            Change::Put { set, before: None } => {
                let body = json!({
                    "name": relative(&set.name, zone), "type": set.kind.as_str(), "ttl": set.ttl,
                    "records": records(set),
                });
                let url = self.0.url(&["zones", zone, "rrsets"], &[]);
                return vec![self.0.request(Method::POST, url).json(&body)];
            }
            Change::Delete { before } => {
                return vec![self.0.request(Method::DELETE, self.set(zone, &before.set, &[]))];
            }
        };
        let act = |action, body: Value| {
            self.0.request(Method::POST, self.set(zone, set, &["actions", action])).json(&body)
        };
        let values = (found.values != set.values)
            .then(|| act("set_records", json!({"records": records(set)})));
        let ttl = (found.ttl != set.ttl).then(|| act("change_ttl", json!({"ttl": set.ttl})));
        values.into_iter().chain(ttl).collect()
    }

    /// The URL of a set, or of something to do with it.
    fn set(&self, zone: &str, set: &RecordSet, more: &[&str]) -> Url {
        let name = relative(&set.name, zone);
        let path = [&["zones", zone, "rrsets", name, set.kind.as_str()], more].concat();
        self.0.url(&path, &[])
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
