//! Route 53 as its API reference has it: "ListHostedZonesByName", "ListResourceRecordSets", "ChangeResourceRecordSets",
//! "Common errors", and "Signing AWS API requests".

use quick_xml::de::from_str;
use ring::digest::{SHA256, digest};
use ring::hmac::{HMAC_SHA256, Key, sign};
use serde::Deserialize;
use serde_json::json;
use temps_providers::{Provider, ProviderError};

use crate::stand_in::{Asked, StandIn, Told};
use crate::story;

const KEY_ID: &str = "AKIDEXAMPLE";
const KEY: &str = "wJalrXUtnFEMI/K7MDENG";
const SESSION: &str = "s3ssion";
/// Sets of a page here.
const PAGE: usize = 2;

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Set {
    name: String,
    r#type: String,
    #[serde(rename = "TTL")]
    ttl: u32,
    resource_records: Records,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Records {
    #[serde(rename = "ResourceRecord")]
    records: Vec<Value>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Value {
    value: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ChangeRequest {
    #[serde(rename = "@xmlns")]
    xmlns: String,
    change_batch: ChangeBatch,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ChangeBatch {
    changes: Changes,
}

#[derive(Debug, Deserialize)]
struct Changes {
    #[serde(rename = "Change")]
    all: Vec<Change>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Change {
    action: String,
    resource_record_set: Set,
}

#[derive(Default)]
struct Api {
    sets: Vec<Set>,
    changes: usize,
}

fn set(name: &str, kind: &str, value: &str) -> Set {
    let records = vec![Value { value: value.into() }];
    Set { name: name.into(), r#type: kind.into(), ttl: 300, resource_records: Records { records } }
}

fn xml(status: u16, body: &str) -> Told {
    let body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{body}");
    Told(status, vec![("content-type", "text/xml".into())], body)
}

fn failure(status: u16, code: &str, message: &str) -> Told {
    xml(
        status,
        &format!(
            "<ErrorResponse xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><Error><Type>Sender</Type>\
             <Code>{code}</Code><Message>{message}</Message></Error><RequestId>b25f48e8</RequestId></ErrorResponse>"
        ),
    )
}

/// The signature that a request must have, found out the way the documentation says, from what came over the wire.
fn signature(asked: &Asked) -> String {
    let hash = |text: &str| hex::encode(digest(&SHA256, text.as_bytes()));
    let at = asked.header("x-amz-date");
    // "URI-encode each parameter name and value", and sort them.
    let encoded = |text: &str| text.replace('*', "%2A").replace('/', "%2F");
    let query: Vec<String> =
        asked.query.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    let canonical = format!(
        "{}\n{}\n{}\nhost:{}\nx-amz-date:{at}\nx-amz-security-token:{SESSION}\n\n\
         host;x-amz-date;x-amz-security-token\n{}",
        asked.method,
        asked.path,
        query.join("&"),
        asked.header("host"),
        hash(&asked.body)
    );
    let scope = format!("{}/us-east-1/route53/aws4_request", &at[..8]);
    let text = format!("AWS4-HMAC-SHA256\n{at}\n{scope}\n{}", hash(&canonical));
    let mut key = format!("AWS4{KEY}").into_bytes();
    for part in [&at[..8], "us-east-1", "route53", "aws4_request"] {
        key = sign(&Key::new(HMAC_SHA256, &key), part.as_bytes()).as_ref().to_vec();
    }
    let signature = hex::encode(sign(&Key::new(HMAC_SHA256, &key), text.as_bytes()));
    format!(
        "AWS4-HMAC-SHA256 Credential={KEY_ID}/{scope}, \
         SignedHeaders=host;x-amz-date;x-amz-security-token, Signature={signature}"
    )
}

impl Api {
    fn zones(&self) -> Told {
        let zone = |id: &str, name: &str, private: bool| {
            format!(
                "<HostedZone><Id>/hostedzone/{id}</Id><Name>{name}.</Name><CallerReference>x</CallerReference>\
                 <Config><PrivateZone>{private}</PrivateZone></Config></HostedZone>"
            )
        };
        let zones = [
            zone("Z0", story::ZONE, true),
            zone("Z1", story::ZONE, false),
            zone("Z2", "z.org", false),
        ];
        let zones = zones.join("\n");
        xml(
            200,
            &format!(
                "<ListHostedZonesByNameResponse xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\">\
                 <HostedZones>{zones}</HostedZones><IsTruncated>false</IsTruncated><MaxItems>100</MaxItems>\
                 </ListHostedZonesByNameResponse>"
            ),
        )
    }

    fn list(&self, asked: &Asked) -> Told {
        let from = asked.query.get("name").map(|name| {
            let same = |set: &Set| &set.name == name && set.r#type == asked.query["type"];
            self.sets.iter().position(same).expect("what came as the next one")
        });
        let from = from.unwrap_or(0);
        let page = self.sets.iter().skip(from).take(PAGE).map(|set| {
            let values = set.resource_records.records.iter().map(|one| {
                let value = one.value.replace('&', "&amp;").replace('<', "&lt;");
                format!("<ResourceRecord><Value>{value}</Value></ResourceRecord>")
            });
            let name = set.name.replace('*', "\\052");
            format!(
                "<ResourceRecordSet><Name>{name}</Name><Type>{}</Type><TTL>{}</TTL><ResourceRecords>{}\
                 </ResourceRecords></ResourceRecordSet>",
                set.r#type,
                set.ttl,
                values.collect::<String>()
            )
        });
        let page: String = page.collect();
        let next = self.sets.get(from + PAGE).map(|next| {
            let (name, kind) = (&next.name, &next.r#type);
            format!(
                "<NextRecordName>{name}</NextRecordName><NextRecordType>{kind}</NextRecordType>"
            )
        });
        // One that another of AWS' services answers has no time to live of its own.
        let alias = "<ResourceRecordSet><Name>cdn.example.com.</Name><Type>A</Type><AliasTarget><HostedZoneId>Z9\
                     </HostedZoneId><DNSName>x.cloudfront.net.</DNSName><EvaluateTargetHealth>false\
                     </EvaluateTargetHealth></AliasTarget></ResourceRecordSet>";
        xml(
            200,
            &format!(
                "<ListResourceRecordSetsResponse xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\">\
                 <ResourceRecordSets>{alias}{page}</ResourceRecordSets><IsTruncated>{}</IsTruncated>{}\
                 <MaxItems>{PAGE}</MaxItems></ListResourceRecordSetsResponse>",
                next.is_some(),
                next.unwrap_or_default()
            ),
        )
    }

    /// Makes all changes or none.
    fn change(&mut self, asked: &Asked) -> Told {
        let request: ChangeRequest = from_str(&asked.body).unwrap();
        assert_eq!(request.xmlns, "https://route53.amazonaws.com/doc/2013-04-01/");
        let before = self.sets.clone();
        let all = &request.change_batch.changes.all;
        let counted = all.iter().map(|one| {
            one.resource_record_set.resource_records.records.len()
                * if one.action == "UPSERT" { 2 } else { 1 }
        });
        assert!(counted.sum::<usize>() <= 1_000, "what a request may hold");
        for Change { action, resource_record_set: set } in request.change_batch.changes.all {
            self.changes += 1;
            let same = |one: &Set| one.name == set.name && one.r#type == set.r#type;
            let refusal = match action.as_str() {
                _ if self.sets.iter().any(|one| one.name == set.name && one.r#type == "CNAME") => {
                    Some("conflicts with other records")
                }
                "UPSERT" => {
                    self.sets.retain(|one| !same(one));
                    self.sets.push(set);
                    None
                }
                "DELETE" if self.sets.contains(&set) => {
                    self.sets.retain(|one| !same(one));
                    None
                }
                "DELETE" => Some("the values provided do not match the current values"),
                _ => unreachable!("no action"),
            };
            if let Some(refusal) = refusal {
                self.sets = before;
                return xml(
                    400,
                    &format!(
                        "<InvalidChangeBatch><Messages><Message>{refusal}</Message></Messages></InvalidChangeBatch>"
                    ),
                );
            }
        }
        xml(
            200,
            "<ChangeResourceRecordSetsResponse><ChangeInfo><Id>/change/C1</Id><Status>PENDING</Status><SubmittedAt>2026-01-01T00:00:00Z</SubmittedAt></ChangeInfo></ChangeResourceRecordSetsResponse>",
        )
    }
}

fn play(api: &mut Api, asked: &Asked) -> Told {
    if asked.header("x-amz-security-token") != SESSION {
        return failure(403, "InvalidClientTokenId", "The security token is invalid");
    }
    if asked.header("authorization") != signature(asked) {
        return failure(403, "SignatureDoesNotMatch", "The request signature does not match");
    }
    match asked.line().as_str() {
        "GET /2013-04-01/hostedzonesbyname" => api.zones(),
        "GET /2013-04-01/hostedzone/Z1/rrset" => api.list(asked),
        "POST /2013-04-01/hostedzone/Z1/rrset" => api.change(asked),
        _ => failure(404, "NoSuchHostedZone", "No hosted zone found"),
    }
}

fn open(url: &str, key: &str) -> Provider {
    let credentials = json!({
        "access_key_id": KEY_ID, "secret_access_key": key, "session_token": SESSION, "endpoint": url,
    });
    Provider::open("route53", &credentials).unwrap()
}

async fn start() -> (StandIn<Api>, Provider) {
    let sets = vec![
        set("example.com.", "SOA", "ns-1.awsdns-00.com. hostmaster 1 7200 900 1209600 86400"),
        set("www.example.com.", "A", "198.51.100.9"),
        set("alias.example.com.", "CNAME", "www.example.com."),
    ];
    let api = StandIn::start(Api { sets, ..Api::default() }, play).await;
    let provider = open(&api.url, KEY);
    (api, provider)
}

#[tokio::test]
async fn records_are_made_changed_and_deleted() {
    let (api, provider) = start().await;
    story::tell(&provider).await;
    assert!(api.with(|api| api.changes) > 0);
}

#[tokio::test]
async fn a_refusal_keeps_nothing_else_back() {
    let (_api, provider) = start().await;
    let refused = story::set(30, "alias.example.com A 192.0.2.1");
    story::tell_of_refusals(&provider, refused).await;
}

#[tokio::test]
async fn what_another_service_answers_is_somebody_elses() {
    let (_api, provider) = start().await;
    let wanted = story::sets(30, &["cdn.example.com A 192.0.2.1"]);
    let (managed, foreign) = story::bring(&provider, &wanted, &Default::default()).await;
    assert_eq!((managed.len(), foreign), (0, vec!["cdn.example.com A".to_owned()]));
}

#[tokio::test]
async fn many_addresses_go_in_batches() {
    let (api, provider) = start().await;
    let addresses: String = (1..=10).map(|n| format!(" 192.0.2.{n}")).collect();
    let lines: Vec<String> = (0..120).map(|n| format!("n{n}.example.com A{addresses}")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    story::bring(&provider, &story::sets(30, &lines), &Default::default()).await;
    assert_eq!(api.with(|api| api.sets.len()), 120 + 3);
    assert_eq!(api.asked("POST"), 3, "batches of 50 sets");
}

#[tokio::test]
async fn errors_say_what_is_wrong() {
    let (api, provider) = start().await;
    let wrong = open(&api.url, "another");
    let error = wrong.check(&["example.com".parse().unwrap()]).await.unwrap_err();
    assert!(
        matches!(&error, ProviderError::Unauthorized { said, .. } if said.contains("SignatureDoesNotMatch")),
        "{error}"
    );
    assert!(!error.to_string().contains("another"));
    story::tell_of_errors(&api, &provider, []).await;
    api.fail(failure(400, "Throttling", "Rate exceeded"));
    let error = provider.list(story::ZONE, &Default::default()).await.unwrap_err();
    assert!(matches!(error, ProviderError::Limited { wait: None }));
}
