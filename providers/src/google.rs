//! Google Cloud DNS: API v1, <https://cloud.google.com/dns/docs/reference/rest/v1>.

use std::sync::Arc;

use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use temps_state::RecordKind;

use crate::api::{Api, Key};
use crate::change::fitting;
use crate::http::{Answer, PAGES_MAX};
use crate::jwt::ServiceAccount;
use crate::oauth::{Proof, Tokens};
use crate::outcome::Failure;
use crate::secret::Secret;
use crate::text::{quoted, unquoted};
use crate::{Change, Found, Listing, ProviderError, RecordSet};

const ENDPOINT: &str = "https://dns.googleapis.com/dns/v1";
const TOKEN_URI: &str = "https://oauth2.googleapis.com/token";
/// What a token is asked for: to read and write records, and nothing else.
const SCOPE: &str = "https://www.googleapis.com/auth/ndev.clouddns.readwrite";
/// The most sets that a change adds and deletes, and the most octets of their records: "Quotas and limits".
const CHANGE_SETS_MAX: usize = 1_000;
const CHANGE_BYTES_MAX: usize = 100_000;
/// Why somebody is refused who asks too often, next to the status 429.
const REASONS_OF_LIMITS: [&str; 3] =
    ["rateLimitExceeded", "userRateLimitExceeded", "dailyLimitExceeded"];

/// A project of Google Cloud.
#[derive(Clone)]
pub(crate) struct Google {
    api: Api,
    project: String,
}

/// The key of a service account, as the file that Google gives has it.
#[derive(Deserialize)]
pub(crate) struct Credentials {
    project_id: String,
    client_email: String,
    private_key_id: String,
    private_key: Secret,
    token_uri: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Zones {
    #[serde(default)]
    managed_zones: Vec<Zone>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Zone {
    name: String,
    dns_name: String,
    #[serde(default)]
    visibility: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    #[serde(default)]
    rrsets: Vec<Set>,
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
struct Set {
    name: String,
    r#type: String,
    #[serde(default)]
    ttl: u32,
    /// None where the answers are made up by place or weight.
    #[serde(default)]
    rrdatas: Vec<String>,
}

#[derive(Deserialize)]
struct Failed {
    error: Problem,
}

#[derive(Deserialize)]
struct Problem {
    message: String,
    #[serde(default)]
    errors: Vec<Cause>,
}

#[derive(Deserialize)]
struct Cause {
    #[serde(default)]
    reason: String,
}

impl Google {
    pub(crate) fn new(
        endpoint: Option<String>,
        credentials: Credentials,
    ) -> Result<Self, ProviderError> {
        let Credentials { project_id: project, client_email, private_key_id, private_key, .. } =
            credentials;
        let uri = credentials.token_uri.unwrap_or_else(|| TOKEN_URI.into());
        let account =
            ServiceAccount::new(client_email, private_key_id, SCOPE, uri.clone(), &private_key)?;
        let key = Key::Granted(Arc::new(Tokens::new(&uri, Proof::Signature(account))?));
        Ok(Self { api: Api::new(endpoint, ENDPOINT, key, judge)?, project })
    }

    pub(crate) async fn list(&self, zone: &str) -> Result<Listing, ProviderError> {
        let id = self.zone(zone).await?;
        let (mut listing, mut next) = (Listing::default(), None::<String>);
        for _ in 0..PAGES_MAX {
            let query: Vec<_> = next.iter().map(|token| ("pageToken", token.as_str())).collect();
            let page: Page =
                self.api.read(self.api.url(&self.path(&id, "rrsets"), &query), zone).await?;
            page.rrsets.into_iter().for_each(|set| add(&mut listing, set));
            next = page.next_page_token;
            if next.is_none() {
                break;
            }
        }
        Ok(listing)
    }

    /// How many of the first changes go together, all or none.
    pub(crate) fn fitting(changes: &[Change]) -> usize {
        let octets = |change: &Change| {
            let before = change.before().into_iter().flat_map(Found::written_ids);
            let after = change.after().into_iter().flat_map(|set| &set.values);
            // Quotes and what they escape.
            before.map(str::len).sum::<usize>() + after.map(|v| 2 * v.len() + 8).sum::<usize>()
        };
        fitting(changes, CHANGE_SETS_MAX, |_| 1).min(fitting(changes, CHANGE_BYTES_MAX, octets))
    }

    pub(crate) async fn send(&self, zone: &str, changes: &[Change]) -> Result<(), Failure> {
        let id = self.zone(zone).await?;
        let deletions = changes.iter().filter_map(Change::before).map(found);
        let additions = changes.iter().filter_map(Change::after).map(wanted);
        let body = json!({
            "additions": additions.collect::<Vec<_>>(), "deletions": deletions.collect::<Vec<_>>(),
        });
        let url = self.api.url(&self.path(&id, "changes"), &[]);
        self.api.ask(self.api.request(Method::POST, url).json(&body)).await?;
        Ok(())
    }

    /// What the API calls the public zone of a name.
    async fn zone(&self, zone: &str) -> Result<String, ProviderError> {
        let name = format!("{zone}.");
        let path = ["projects", &self.project, "managedZones"];
        let found: Zones = self.api.read(self.api.url(&path, &[("dnsName", &name)]), zone).await?;
        let is_right = |one: &Zone| one.dns_name == name && one.visibility != "private";
        let found = found.managed_zones.into_iter().find(is_right);
        found.map(|one| one.name).ok_or_else(|| ProviderError::ZoneUnknown { zone: zone.into() })
    }

    fn path<'a>(&'a self, zone: &'a str, what: &'a str) -> [&'a str; 5] {
        ["projects", &self.project, "managedZones", zone, what]
    }
}

fn add(listing: &mut Listing, Set { name, r#type, ttl, rrdatas }: Set) {
    if rrdatas.is_empty() {
        return listing.add_opaque(&name, &r#type);
    }
    for data in rrdatas {
        let value = if r#type == "TXT" { unquoted(&data) } else { data.clone() };
        listing.add(&name, &r#type, ttl, &value, Some(data));
    }
}

/// A set as it is there: what is deleted must be named to the letter.
fn found(found: &Found) -> Value {
    let data: Vec<&str> = found.written_ids().collect();
    described(&found.set, json!(data))
}

fn wanted(set: &RecordSet) -> Value {
    let is_text = set.kind == RecordKind::Txt;
    let data = set.values.iter().map(|value| if is_text { quoted(value) } else { value.clone() });
    described(set, data.collect())
}

fn described(set: &RecordSet, data: Value) -> Value {
    let name = format!("{}.", set.name);
    json!({"name": name, "type": set.kind.as_str(), "ttl": set.ttl, "rrdatas": data})
}

fn judge(answer: Answer) -> Result<Answer, ProviderError> {
    let problem = || serde_json::from_slice::<Failed>(&answer.body).map(|failed| failed.error);
    if answer.status == StatusCode::FORBIDDEN
        && let Ok(problem) = problem()
    {
        let because = |reasons: &[&str]| {
            problem.errors.iter().any(|cause| reasons.contains(&cause.reason.as_str()))
        };
        if because(&REASONS_OF_LIMITS) {
            return Err(ProviderError::Limited { wait: None });
        }
        // More than the project may have, not more than the account may do.
        if because(&["quotaExceeded"]) {
            return Err(ProviderError::refused(&problem.message));
        }
    }
    answer.judge(said)
}

fn said(body: &[u8]) -> String {
    serde_json::from_slice(body).map_or(String::new(), |Failed { error }| error.message)
}
