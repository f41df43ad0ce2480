//! DigitalOcean: API v2, <https://docs.digitalocean.com/reference/api/reference/domain-records/>.

use reqwest::{Method, RequestBuilder, Url};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::{Api, Credentials};
use crate::http::PAGES_MAX;
use crate::outcome::Failure;
use crate::record_set::{absolute, relative};
use crate::{Change, Listing, ProviderError, RecordSet};

const ENDPOINT: &str = "https://api.digitalocean.com/v2";
/// The most records of a page, "Links & Pagination".
const PAGE_RECORDS: &str = "200";

/// An account with DigitalOcean.
#[derive(Clone)]
pub(crate) struct DigitalOcean(Api);

#[derive(Deserialize)]
struct Page {
    domain_records: Vec<Record>,
    #[serde(default)]
    links: Links,
}

#[derive(Default, Deserialize)]
struct Links {
    #[serde(default)]
    pages: Pages,
}

#[derive(Default, Deserialize)]
struct Pages {
    next: Option<String>,
}

#[derive(Deserialize)]
struct Record {
    id: u64,
    r#type: String,
    name: String,
    #[serde(default)]
    data: String,
    ttl: u32,
}

#[derive(Deserialize)]
struct Failed {
    message: String,
}

impl DigitalOcean {
    /// An account by a personal access token with the scopes domain:read, create, update and delete.
    pub(crate) fn new(
        endpoint: Option<String>,
        credentials: Credentials,
    ) -> Result<Self, ProviderError> {
        Ok(Self(Api::new(endpoint, ENDPOINT, credentials, |answer| answer.judge(said))?))
    }

    pub(crate) async fn list(&self, zone: &str) -> Result<Listing, ProviderError> {
        let mut listing = Listing::default();
        for page in 1..=PAGES_MAX {
            let query = [("page", &*page.to_string()), ("per_page", PAGE_RECORDS)];
            let url = self.0.url(&["domains", zone, "records"], &query);
            let page: Page = self.0.read(url, zone).await?;
            for Record { id, r#type, name, data, ttl } in page.domain_records {
                let name = absolute(&name, zone);
                listing.add(&name, &r#type, ttl, &data, Some(id.to_string()));
            }
            if page.links.pages.next.is_none() {
                break;
            }
        }
        Ok(listing)
    }

    pub(crate) async fn send(&self, zone: &str, changes: &[Change]) -> Result<(), Failure> {
        let requests = changes.iter().flat_map(|change| self.requests(zone, change));
        for (at, request) in requests.enumerate() {
            if let Err(error) = self.0.ask(request).await {
                let Failure { error, halfway } = error.into();
                return Err(Failure { error, halfway: halfway || at > 0 });
            }
        }
        Ok(())
    }

    /// Makes new records before old ones go, so that a name is never without any.
    fn requests(&self, zone: &str, change: &Change) -> Vec<RequestBuilder> {
        let steps = change.steps();
        let body = |value| change.after().map(|set| record(zone, set, value)).unwrap_or_default();
        let all = self.0.url(&["domains", zone, "records"], &[]);
        let make = steps.make.into_iter();
        let make = make.map(|value| self.0.request(Method::POST, all.clone()).json(&body(value)));
        let alter = steps.alter.into_iter().map(|(id, value)| {
            self.0.request(Method::PUT, self.record(zone, id)).json(&body(value))
        });
        let delete = steps.delete.into_iter();
        let delete = delete.map(|id| self.0.request(Method::DELETE, self.record(zone, id)));
        make.chain(alter).chain(delete).collect()
    }

    fn record(&self, zone: &str, id: &str) -> Url {
        self.0.url(&["domains", zone, "records", id], &[])
    }
}

fn record(zone: &str, set: &RecordSet, value: &str) -> Value {
    let name = relative(&set.name, zone);
    json!({"type": set.kind.as_str(), "name": name, "data": value, "ttl": set.ttl})
}

fn said(body: &[u8]) -> String {
    serde_json::from_slice(body).map_or(String::new(), |Failed { message }| message)
}
