//! Azure DNS: API of 2018-05-01, <https://learn.microsoft.com/rest/api/dns/record-sets>.

use std::sync::Arc;

use reqwest::header::{IF_MATCH, IF_NONE_MATCH};
use reqwest::{Method, RequestBuilder, StatusCode, Url};
use serde::Deserialize;
use serde_json::{Value, json};
use temps_state::RecordKind;

use crate::api::{Api, Key};
use crate::http::{Answer, PAGES_MAX};
use crate::oauth::{Proof, Tokens};
use crate::outcome::Failure;
use crate::record_set::{absolute, relative};
use crate::secret::Secret;
use crate::text::pieces;
use crate::{Change, Found, Listing, ProviderError, RecordSet};

const ENDPOINT: &str = "https://management.azure.com";
const LOGIN: &str = "https://login.microsoftonline.com";
const VERSION: (&str, &str) = ("api-version", "2018-05-01");

/// A resource group of Azure.
#[derive(Clone)]
pub(crate) struct Azure {
    api: Api,
    subscription: String,
    group: String,
}

/// A service principal, and where the zones are.
#[derive(Deserialize)]
pub(crate) struct Credentials {
    tenant_id: String,
    client_id: String,
    client_secret: Secret,
    subscription_id: String,
    resource_group: String,
    /// Where tokens come from, in a cloud of its own.
    login: Option<String>,
    /// What tokens are for, in a cloud of its own.
    scope: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    value: Vec<Set>,
    next_link: Option<String>,
}

#[derive(Deserialize)]
struct Set {
    name: String,
    /// Such as `Microsoft.Network/dnszones/A`.
    r#type: String,
    etag: Option<String>,
    properties: Properties,
}

#[derive(Deserialize)]
struct Properties {
    #[serde(rename = "TTL", default)]
    ttl: u32,
    #[serde(rename = "ARecords", default)]
    v4: Vec<V4>,
    #[serde(rename = "AAAARecords", default)]
    v6: Vec<V6>,
    #[serde(rename = "TXTRecords", default)]
    texts: Vec<Text>,
}

#[derive(Deserialize)]
struct V4 {
    #[serde(rename = "ipv4Address")]
    address: String,
}

#[derive(Deserialize)]
struct V6 {
    #[serde(rename = "ipv6Address")]
    address: String,
}

#[derive(Deserialize)]
struct Text {
    value: Vec<String>,
}

/// Some errors are in an envelope, and some are not.
#[derive(Deserialize)]
#[serde(untagged)]
enum Failed {
    Wrapped { error: Problem },
    Bare(Problem),
}

#[derive(Deserialize)]
struct Problem {
    code: String,
    message: String,
}

impl Azure {
    pub(crate) fn new(
        endpoint: Option<String>,
        credentials: Credentials,
    ) -> Result<Self, ProviderError> {
        let Credentials { tenant_id, client_id: id, client_secret: secret, .. } = credentials;
        let login = credentials.login.unwrap_or_else(|| LOGIN.into());
        let login = format!("{}/{tenant_id}/oauth2/v2.0/token", login.trim_end_matches('/'));
        let scope = credentials.scope.unwrap_or_else(|| format!("{ENDPOINT}/.default"));
        let tokens = Tokens::new(&login, Proof::Client { id, secret, scope })?;
        let api = Api::new(endpoint, ENDPOINT, Key::Granted(Arc::new(tokens)), judge)?;
        let (subscription, group) = (credentials.subscription_id, credentials.resource_group);
        Ok(Self { api, subscription, group })
    }

    pub(crate) async fn list(&self, zone: &str) -> Result<Listing, ProviderError> {
        let first = self.url(zone, &["recordsets"]);
        let (mut listing, mut next) = (Listing::default(), Some(first.clone()));
        for _ in 0..PAGES_MAX {
            let Some(url) = next else { break };
            let page: Page = self.api.read(url, zone).await?;
            page.value.into_iter().for_each(|set| add(&mut listing, zone, set));
            next = page.next_link.and_then(|link| following(&first, &link));
        }
        Ok(listing)
    }

    pub(crate) async fn send(&self, zone: &str, changes: &[Change]) -> Result<(), Failure> {
        for change in changes {
            self.api.ask(self.request(zone, change)).await?;
        }
        Ok(())
    }

    /// Changes what was found and nothing else.
    fn request(&self, zone: &str, change: &Change) -> RequestBuilder {
        let key = change.key();
        let url = self.url(zone, &[key.kind.as_str(), relative(&key.name, zone)]);
        let request = match change.after() {
            Some(set) => self.api.request(Method::PUT, url).json(&described(set)),
            None => self.api.request(Method::DELETE, url),
        };
        match change.before() {
            Some(Found { version: Some(version), .. }) => request.header(IF_MATCH, version),
            Some(_) => request,
            None => request.header(IF_NONE_MATCH, "*"),
        }
    }

    /// The URL of something in a zone.
    fn url(&self, zone: &str, what: &[&str]) -> Url {
        let Self { subscription, group, .. } = self;
        let base = ["subscriptions", subscription, "resourceGroups", group, "providers"];
        let path = [&base[..], &["Microsoft.Network", "dnsZones", zone], what].concat();
        self.api.url(&path, &[VERSION])
    }
}

/// The URL of the next page: of the link only what it asks for counts, as the token is for nobody else.
fn following(first: &Url, link: &str) -> Option<Url> {
    let link = Url::parse(link).ok()?;
    let mut next = first.clone();
    next.set_query(link.query());
    (next != *first).then_some(next)
}

fn add(listing: &mut Listing, zone: &str, Set { name, r#type, etag, properties }: Set) {
    let name = absolute(&name, zone);
    let kind = r#type.rsplit('/').next().unwrap_or_default();
    let Properties { ttl, v4, v6, texts } = properties;
    let v4 = v4.into_iter().map(|one| one.address);
    let v6 = v6.into_iter().map(|one| one.address);
    let values = v4.chain(v6).chain(texts.into_iter().map(|text| text.value.concat()));
    // One without values of its own follows a resource of Azure, or is of another type.
    match kind {
        "CNAME" => listing.add(&name, kind, ttl, "", None),
        _ => listing.add_opaque(&name, kind),
    }
    values.for_each(|value| listing.add(&name, kind, ttl, &value, None));
    listing.mark(&name, kind, ttl, etag);
}

fn described(set: &RecordSet) -> Value {
    let list = |of: &dyn Fn(&String) -> Value| set.values.iter().map(of).collect::<Value>();
    let (field, records) = match set.kind {
        RecordKind::A => ("ARecords", list(&|value| json!({"ipv4Address": value}))),
        RecordKind::Aaaa => ("AAAARecords", list(&|value| json!({"ipv6Address": value}))),
        RecordKind::Txt => ("TXTRecords", list(&|value| json!({"value": pieces(value)}))),
    };
    json!({"properties": {"TTL": set.ttl, field: records}})
}

fn judge(answer: Answer) -> Result<Answer, ProviderError> {
    if answer.status == StatusCode::PRECONDITION_FAILED {
        let said = "somebody changed the records meanwhile; they are looked at again";
        return Err(ProviderError::refused(said));
    }
    answer.judge(said)
}

fn said(body: &[u8]) -> String {
    let Ok(failed) = serde_json::from_slice(body) else { return String::new() };
    let (Failed::Wrapped { error: Problem { code, message } }
    | Failed::Bare(Problem { code, message })) = failed;
    format!("{message} ({code})")
}
