//! DigitalOcean: API v2, <https://docs.digitalocean.com/reference/api/reference/domain-records/>.

use reqwest::{Method, RequestBuilder, StatusCode, Url};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::http::{Answer, Http, PAGES_MAX, send};
use crate::record_set::{absolute, relative};
use crate::secret::Secret;
use crate::{Change, Listing, ProviderError, RecordSet};

const ENDPOINT: &str = "https://api.digitalocean.com/v2";
/// The most records of a page, "Links & Pagination".
const PAGE_RECORDS: &str = "200";

/// An account with DigitalOcean.
#[derive(Clone)]
pub(crate) struct DigitalOcean {
    http: Http,
    token: Secret,
}

#[derive(Deserialize)]
pub(crate) struct Credentials {
    /// A personal access token with the scopes domain:read, create, update and delete.
    token: Secret,
}

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
    pub(crate) fn new(
        endpoint: Option<String>,
        Credentials { token }: Credentials,
    ) -> Result<Self, ProviderError> {
        Ok(Self { http: Http::new(endpoint.as_deref().unwrap_or(ENDPOINT))?, token })
    }

    pub(crate) async fn list(&self, zone: &str) -> Result<Listing, ProviderError> {
        let mut listing = Listing::default();
        for page in 1..=PAGES_MAX {
            let query = [("page", &*page.to_string()), ("per_page", PAGE_RECORDS)];
            let url = self.http.url(&["domains", zone, "records"], &query);
            let page: Page = self.ask(Method::GET, url, None, zone).await?.json()?;
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

    pub(crate) async fn apply(&self, zone: &str, changes: &[Change]) -> Result<(), ProviderError> {
        for change in changes {
            for (method, url, body) in self.requests(zone, change) {
                self.ask(method, url, body, zone).await?;
            }
        }
        Ok(())
    }

    /// Makes new records before old ones go, so that a name is never without any.
    fn requests(&self, zone: &str, change: &Change) -> Vec<(Method, Url, Option<Value>)> {
        let (set, before) = match change {
            Change::Put { set, before } => (Some(set), before.as_ref()),
            Change::Delete { before } => (None, Some(before)),
        };
        let mut requests = Vec::new();
        if let Some(set) = set {
            for value in &set.values {
                let body = Some(record(zone, set, value));
                match before.and_then(|found| Some((found.set.ttl, found.ids.get(value)?))) {
                    None => {
                        let url = self.http.url(&["domains", zone, "records"], &[]);
                        requests.push((Method::POST, url, body));
                    }
                    Some((ttl, id)) if ttl != set.ttl => {
                        requests.push((Method::PUT, self.record(zone, id), body));
                    }
                    Some(_) => {}
                }
            }
        }
        let stays = |value: &String| set.is_some_and(|set| set.values.contains(value));
        let gone = before.iter().flat_map(|found| &found.ids).filter(|(value, _)| !stays(value));
        requests.extend(gone.map(|(_, id)| (Method::DELETE, self.record(zone, id), None)));
        requests
    }

    fn record(&self, zone: &str, id: &str) -> Url {
        self.http.url(&["domains", zone, "records", id], &[])
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
        if answer.status == StatusCode::NOT_FOUND && listed {
            return Err(ProviderError::ZoneUnknown { zone: zone.into() });
        }
        answer.judge(said)
    }
}

fn record(zone: &str, set: &RecordSet, value: &str) -> Value {
    let name = relative(&set.name, zone);
    json!({"type": set.kind.as_str(), "name": name, "data": value, "ttl": set.ttl})
}

fn said(body: &[u8]) -> String {
    serde_json::from_slice(body).map_or(String::new(), |Failed { message }| message)
}
