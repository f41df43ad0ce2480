//! Amazon Route 53: API of 2013-04-01, <https://docs.aws.amazon.com/Route53/latest/APIReference/>.

use jiff::Timestamp;
use quick_xml::Reader;
use quick_xml::escape::escape;
use quick_xml::events::Event;
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use temps_state::RecordKind;

use crate::change::fitting;
use crate::http::{Answer, Http, PAGES_MAX, send};
use crate::outcome::Failure;
use crate::secret::Secret;
use crate::sigv4::{Signed, Signer};
use crate::text::{quoted, unquoted};
use crate::{Change, Listing, ProviderError, RecordSet};

const ENDPOINT: &str = "https://route53.amazonaws.com";
const VERSION: &str = "2013-04-01";
const NAMESPACE: &str = "https://route53.amazonaws.com/doc/2013-04-01/";
/// The region that signs for a service of all regions.
const REGION: &str = "us-east-1";
/// The most sets of records of a page, "ListResourceRecordSets".
const PAGE_SETS: &str = "300";
/// The most records of a request, and the most characters of their values: "Quotas" in the developer guide. What is put
/// counts twice.
const BATCH_RECORDS_MAX: usize = 1_000;
const BATCH_CHARS_MAX: usize = 32_000;

/// An account with AWS.
#[derive(Clone)]
pub(crate) struct Route53 {
    http: Http,
    credentials: Credentials,
}

#[derive(Clone, Deserialize)]
pub(crate) struct Credentials {
    access_key_id: String,
    secret_access_key: Secret,
    session_token: Option<Secret>,
}

#[derive(Deserialize)]
struct Zones {
    #[serde(rename = "HostedZones", default)]
    zones: ZoneList,
}

#[derive(Default, Deserialize)]
struct ZoneList {
    #[serde(rename = "HostedZone", default)]
    zones: Vec<Zone>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Zone {
    id: String,
    name: String,
    config: Option<ZoneConfig>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ZoneConfig {
    #[serde(default)]
    private_zone: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Sets {
    #[serde(default)]
    resource_record_sets: SetList,
    is_truncated: bool,
    next_record_name: Option<String>,
    next_record_type: Option<String>,
    next_record_identifier: Option<String>,
}

#[derive(Default, Deserialize)]
struct SetList {
    #[serde(rename = "ResourceRecordSet", default)]
    sets: Vec<Set>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Set {
    name: String,
    r#type: String,
    #[serde(rename = "TTL")]
    ttl: Option<u32>,
    set_identifier: Option<String>,
    #[serde(default)]
    resource_records: Records,
}

#[derive(Default, Deserialize)]
struct Records {
    #[serde(rename = "ResourceRecord", default)]
    records: Vec<Record>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Record {
    value: String,
}

impl Route53 {
    pub(crate) fn new(
        endpoint: Option<String>,
        credentials: Credentials,
    ) -> Result<Self, ProviderError> {
        let http = Http::new(endpoint.as_deref().unwrap_or(ENDPOINT))?;
        Ok(Self { http, credentials })
    }

    pub(crate) async fn list(&self, zone: &str) -> Result<Listing, ProviderError> {
        let id = self.zone(zone).await?;
        let (mut listing, mut from) = (Listing::default(), Vec::new());
        for _ in 0..PAGES_MAX {
            let mut query = vec![("maxitems", PAGE_SETS)];
            query.extend(from.iter().map(|(name, value): &(_, String)| (*name, value.as_str())));
            let url = self.http.url(&[VERSION, "hostedzone", &id, "rrset"], &query);
            let page: Sets = self.read(url).await?;
            page.resource_record_sets.sets.into_iter().for_each(|set| add(&mut listing, set));
            if !page.is_truncated {
                break;
            }
            let next = [
                ("name", page.next_record_name),
                ("type", page.next_record_type),
                ("identifier", page.next_record_identifier),
            ];
            from = next.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        }
        Ok(listing)
    }

    /// How many of the first changes go together, all or none.
    pub(crate) fn fitting(changes: &[Change]) -> usize {
        let chars =
            |set: &RecordSet| set.values.iter().map(|value| written_chars(set, value)).sum();
        let records =
            fitting(changes, BATCH_RECORDS_MAX, |one| counted(one, |set| set.values.len()));
        records.min(fitting(changes, BATCH_CHARS_MAX, |one| counted(one, chars)))
    }

    pub(crate) async fn send(&self, zone: &str, changes: &[Change]) -> Result<(), Failure> {
        let id = self.zone(zone).await?;
        let changes: String = changes.iter().map(written).collect();
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ChangeResourceRecordSetsRequest \
             xmlns=\"{NAMESPACE}\"><ChangeBatch><Changes>{changes}</Changes></ChangeBatch>\
             </ChangeResourceRecordSetsRequest>"
        );
        let url = self.http.url(&[VERSION, "hostedzone", &id, "rrset"], &[]);
        self.ask(Method::POST, url, body).await?;
        Ok(())
    }

    /// What the API calls the public zone of a name.
    async fn zone(&self, zone: &str) -> Result<String, ProviderError> {
        let url = self.http.url(&[VERSION, "hostedzonesbyname"], &[("dnsname", zone)]);
        let found: Zones = self.read(url).await?;
        let is_public = |one: &Zone| !one.config.as_ref().is_some_and(|config| config.private_zone);
        let mut zones = found.zones.zones.into_iter();
        let found = zones.find(|one| plain(&one.name) == zone && is_public(one));
        let found = found.ok_or_else(|| ProviderError::ZoneUnknown { zone: zone.into() })?;
        Ok(found.id.trim_start_matches("/hostedzone/").into())
    }

    async fn read<T: DeserializeOwned>(&self, url: Url) -> Result<T, ProviderError> {
        let answer = self.ask(Method::GET, url, String::new()).await?;
        let text = String::from_utf8_lossy(&answer.body);
        quick_xml::de::from_str(&text).map_err(|error| ProviderError::garbled(&error))
    }

    async fn ask(&self, method: Method, url: Url, body: String) -> Result<Answer, ProviderError> {
        let signer = Signer {
            access_key_id: &self.credentials.access_key_id,
            secret_access_key: &self.credentials.secret_access_key,
            session_token: self.credentials.session_token.as_ref(),
            region: REGION,
            service: "route53",
        };
        let (body_octets, at) = (body.as_bytes(), Timestamp::now());
        let signed = Signed { method: method.as_str(), url: &url, body: body_octets, at };
        let headers = signer.headers(&signed);
        let mut request = self.http.request(method, url);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let answer = send(request.header("content-type", "text/xml").body(body)).await?;
        if answer.status == StatusCode::BAD_REQUEST && is_limit(&answer.body) {
            return Err(ProviderError::Limited { wait: None });
        }
        answer.judge(said)
    }
}

fn add(listing: &mut Listing, set: Set) {
    let Set { name, r#type, ttl, set_identifier, resource_records } = set;
    let name = plain(&name);
    // One of several by weight or place, or an alias of something of AWS.
    let (true, Some(ttl)) = (set_identifier.is_none(), ttl) else {
        return listing.add_opaque(&name, &r#type);
    };
    for Record { value } in resource_records.records {
        let value = if r#type == "TXT" { unquoted(&value) } else { value };
        listing.add(&name, &r#type, ttl, &value, None);
    }
}

/// A name as it is: other characters than letters, digits, `-` and `_` come as octal numbers.
fn plain(name: &str) -> String {
    name.replace("\\052", "*").trim_end_matches('.').to_ascii_lowercase()
}

/// What a change counts for.
fn counted(change: &Change, weight: impl Fn(&RecordSet) -> usize) -> usize {
    match change {
        Change::Put { set, .. } => 2 * weight(set),
        Change::Delete { before } => weight(&before.set),
    }
}

fn written_chars(set: &RecordSet, value: &str) -> usize {
    if set.kind == RecordKind::Txt { quoted(value).chars().count() } else { value.len() }
}

fn written(change: &Change) -> String {
    let (action, set) = match change {
        Change::Put { set, .. } => ("UPSERT", set),
        // It must be named as it is.
        Change::Delete { before } => ("DELETE", &before.set),
    };
    let RecordSet { name, kind, ttl, values } = set;
    let records: String = values.iter().map(|value| written_record(*kind, value)).collect();
    format!(
        "<Change><Action>{action}</Action><ResourceRecordSet><Name>{}.</Name><Type>{kind}</Type>\
         <TTL>{ttl}</TTL><ResourceRecords>{records}</ResourceRecords></ResourceRecordSet></Change>",
        escape(name.as_str())
    )
}

fn written_record(kind: RecordKind, value: &str) -> String {
    let value = if kind == RecordKind::Txt { quoted(value) } else { value.to_owned() };
    format!("<ResourceRecord><Value>{}</Value></ResourceRecord>", escape(value.as_str()))
}

fn is_limit(body: &[u8]) -> bool {
    let said = said(body);
    ["Throttling", "PriorRequestNotComplete"].iter().any(|code| said.starts_with(code))
}

/// The code and the messages of an error, whichever of its two forms it has.
fn said(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let (mut reader, mut wanted, mut parts) = (Reader::from_str(&text), false, Vec::new());
    while let Ok(event) = reader.read_event() {
        match event {
            Event::Start(tag) => wanted = matches!(tag.name().as_ref(), "Code" | "Message"),
            Event::Text(text) if wanted => parts.push(text.trim().to_owned()),
            Event::Eof => break,
            _ => {}
        }
    }
    parts.retain(|part| !part.is_empty());
    parts.join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_errors_are_read() {
        let one = b"<ErrorResponse><Error><Type>Sender</Type><Code>Throttling</Code><Message>Rate \
                    exceeded</Message></Error><RequestId>1</RequestId></ErrorResponse>";
        assert_eq!(said(one), "Throttling: Rate exceeded");
        assert!(is_limit(one));
        let other =
            b"<InvalidChangeBatch><Messages><Message>no</Message></Messages></InvalidChangeBatch>";
        assert_eq!((said(other), is_limit(other)), ("no".into(), false));
        assert_eq!(said(b"\xff not xml"), "");
    }
}
