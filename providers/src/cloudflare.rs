//! Cloudflare: API v4, <https://developers.cloudflare.com/api/resources/dns/subresources/records/>.

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use temps_state::RecordKind;

use crate::api::{Api, Credentials};
use crate::change::fitting;
use crate::http::{Answer, PAGES_MAX};
use crate::outcome::Failure;
use crate::text::{quoted, unquoted};
use crate::{Change, Listing, ProviderError, RecordSet};

const ENDPOINT: &str = "https://api.cloudflare.com/client/v4";
/// Records of a page; lists may have more, but an answer is bounded.
const PAGE_RECORDS: &str = "1000";
/// The most operations of a batch that every plan allows, "Batch record changes" in the documentation.
const BATCH_MAX: usize = 200;
/// What the API calls credentials that it does not take, next to the statuses 401 and 403.
const CODES_OF_CREDENTIALS: [u64; 5] = [6003, 6111, 9106, 9109, 10000];

/// An account with Cloudflare.
#[derive(Clone)]
pub(crate) struct Cloudflare(Api);

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

impl Cloudflare {
    /// The shortest time to live that zones of every plan may have, in seconds: field `ttl` of a record in the reference.
    pub(crate) const TTL: u32 = 60;

    /// An account by an API token with the permissions Zone:Read and DNS:Edit.
    pub(crate) fn new(
        endpoint: Option<String>,
        credentials: Credentials,
    ) -> Result<Self, ProviderError> {
        Ok(Self(Api::new(endpoint, ENDPOINT, credentials, judge)?))
    }

    pub(crate) async fn list(&self, zone: &str) -> Result<Listing, ProviderError> {
        let id = self.zone(zone).await?;
        let mut listing = Listing::default();
        for page in 1..=PAGES_MAX {
            let query = [("page", &*page.to_string()), ("per_page", PAGE_RECORDS)];
            let url = self.0.url(&["zones", &id, "dns_records"], &query);
            let answer: Answered<Vec<Record>> = self.0.read(url, zone).await?;
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

    /// How many of the first changes go together, all or none.
    pub(crate) fn fitting(changes: &[Change]) -> usize {
        fitting(changes, BATCH_MAX, |change| change.steps().len())
    }

    pub(crate) async fn send(&self, zone: &str, changes: &[Change]) -> Result<(), Failure> {
        let id = self.zone(zone).await?;
        let url = self.0.url(&["zones", &id, "dns_records", "batch"], &[]);
        let request = self.0.request(Method::POST, url).json(&batch(changes));
        self.0.ask(request).await?.json::<Value>()?;
        Ok(())
    }

    /// What the API calls a zone.
    async fn zone(&self, zone: &str) -> Result<String, ProviderError> {
        let url = self.0.url(&["zones"], &[("name", zone)]);
        let answer: Answered<Vec<Zone>> = self.0.read(url, zone).await?;
        let found = answer.result.unwrap_or_default().into_iter().find(|one| one.name == zone);
        found.map(|one| one.id).ok_or_else(|| ProviderError::ZoneUnknown { zone: zone.into() })
    }
}

fn batch(changes: &[Change]) -> Value {
    let (mut deletes, mut puts, mut posts) = (vec![], vec![], vec![]);
    for change in changes {
        let steps = change.steps();
        deletes.extend(steps.delete.into_iter().map(|id| json!({"id": id})));
        let Some(set) = change.after() else { continue };
        puts.extend(steps.alter.into_iter().map(|(id, value)| {
            let mut changed = record(set, value);
            changed["id"] = json!(id);
            changed
        }));
        posts.extend(steps.make.into_iter().map(|value| record(set, value)));
    }
    json!({"deletes": deletes, "puts": puts, "posts": posts})
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

fn judge(answer: Answer) -> Result<Answer, ProviderError> {
    if answer.status.is_client_error() && problems(&answer.body).iter().any(of_credentials) {
        return Err(ProviderError::unauthorized(&said(&answer.body)));
    }
    answer.judge(said)
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
