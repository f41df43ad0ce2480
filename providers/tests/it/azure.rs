//! Azure DNS' API of 2018-05-01 and the token endpoint of Entra ID as their references have them: record sets with tags,
//! links to pages, errors.

use serde_json::{Value, json};
use temps_providers::{Change, Found, Provider, ProviderError};

use crate::stand_in::{Asked, StandIn, Told};
use crate::story;

const SECRET: &str = "s3cret~value";
const TOKEN_PATH: &str = "/tenant-1/oauth2/v2.0/token";
const ZONES: &str = "/subscriptions/sub-1/resourceGroups/dns/providers/Microsoft.Network/dnsZones";
/// Sets of a page here.
const PAGE: usize = 2;

#[derive(Default)]
struct Api {
    sets: Vec<Value>,
    made: usize,
    tokens: usize,
}

impl Api {
    fn add(&mut self, name: &str, kind: &str, properties: Value) {
        self.made += 1;
        let etag = format!("00000000-0000-0000-0000-{:012}", self.made);
        let kind = format!("Microsoft.Network/dnszones/{kind}");
        self.sets.push(json!({"name": name, "type": kind, "etag": etag, "properties": properties}));
    }

    fn grant(&mut self, asked: &Asked) -> Told {
        let form = asked.form();
        assert_eq!(form["grant_type"], "client_credentials");
        assert_eq!(form["scope"], "https://management.azure.com/.default");
        if form["client_id"] != "client-1" || form["client_secret"] != SECRET {
            let why = "AADSTS7000215: Invalid client secret provided.";
            let body = json!({"error": "invalid_client", "error_description": why});
            return Told::json(401, body);
        }
        self.tokens += 1;
        let token = format!("eyJ.{}", self.tokens);
        let body = json!({"token_type": "Bearer", "expires_in": 3_599, "access_token": token});
        Told::json(200, body)
    }

    fn list(&self, asked: &Asked) -> Told {
        let from = asked.number("$skipToken", 0);
        let sets: Vec<&Value> = self.sets.iter().skip(from).take(PAGE).collect();
        let mut body = json!({"value": sets});
        if from + PAGE < self.sets.len() {
            // Whoever is named here must not be shown the token.
            body["nextLink"] = json!(format!(
                "https://elsewhere.example/x?api-version=2018-05-01&$skipToken={}",
                from + PAGE
            ));
        }
        Told::json(200, body)
    }

    fn change(&mut self, asked: &Asked, kind: &str, name: &str) -> Told {
        let whole = format!("Microsoft.Network/dnszones/{kind}");
        let at = self.sets.iter().position(|one| one["name"] == name && one["type"] == whole);
        let tag = at.map(|at| self.sets[at]["etag"].as_str().unwrap().to_owned());
        let (is, is_not) = (asked.header("if-match"), asked.header("if-none-match"));
        if is_not == "*" && at.is_some() || !is.is_empty() && tag.as_deref() != Some(is) {
            return failure(412, "PreconditionFailed", "The condition set in the header failed");
        }
        let alias = |one: &Value| {
            one["name"] == name && one["type"] == json!("Microsoft.Network/dnszones/CNAME")
        };
        if self.sets.iter().any(alias) {
            return failure(400, "BadRequest", "The record could not be created: a CNAME exists");
        }
        at.map(|at| self.sets.remove(at));
        if asked.method == "PUT" {
            self.add(name, kind, well_formed(kind, asked.json()));
        }
        Told::json(200, json!({}))
    }
}

/// The properties of a set that is put, if they are as the reference has them.
fn well_formed(kind: &str, set: Value) -> Value {
    let properties = set["properties"].clone();
    assert!(properties["TTL"].as_u64().unwrap() >= 1);
    let (list, field) = match kind {
        "A" => ("ARecords", "ipv4Address"),
        "AAAA" => ("AAAARecords", "ipv6Address"),
        _ => ("TXTRecords", "value"),
    };
    for record in properties[list].as_array().unwrap() {
        match record[field].as_array() {
            Some(texts) => assert!(texts.iter().all(|text| text.as_str().unwrap().len() <= 255)),
            None => drop(record[field].as_str().unwrap().parse::<std::net::IpAddr>().unwrap()),
        }
    }
    properties
}

fn failure(status: u16, code: &str, message: &str) -> Told {
    Told::json(status, json!({"error": {"code": code, "message": message}}))
}

fn play(api: &mut Api, asked: &Asked) -> Told {
    if asked.line() == format!("POST {TOKEN_PATH}") {
        return api.grant(asked);
    }
    if asked.header("authorization") != format!("Bearer eyJ.{}", api.tokens) {
        return failure(401, "InvalidAuthenticationToken", "The access token is invalid.");
    }
    assert_eq!(asked.query["api-version"], "2018-05-01");
    let Some(rest) = asked.path.strip_prefix(&format!("{ZONES}/example.com/")) else {
        return failure(404, "ResourceNotFound", "The resource was not found");
    };
    match (asked.method.as_str(), rest.split_once('/')) {
        ("GET", None) if rest == "recordsets" => api.list(asked),
        ("PUT" | "DELETE", Some((kind, name))) => api.change(asked, kind, name),
        _ => failure(404, "NotFound", "nothing here"),
    }
}

fn open(url: &str, secret: &str) -> Provider {
    let credentials = json!({
        "tenant_id": "tenant-1", "client_id": "client-1", "client_secret": secret,
        "subscription_id": "sub-1", "resource_group": "dns", "endpoint": url, "login": url,
    });
    Provider::open("azure", &credentials).unwrap()
}

async fn start() -> (StandIn<Api>, Provider) {
    let mut api = Api::default();
    api.add(
        "@",
        "NS",
        json!({"TTL": 172_800, "NSRecords": [{"nsdname": "ns1-01.azure-dns.com."}]}),
    );
    api.add("www", "A", json!({"TTL": 300, "ARecords": [{"ipv4Address": "198.51.100.9"}]}));
    api.add("alias", "CNAME", json!({"TTL": 300, "CNAMERecord": {"cname": "www.example.com"}}));
    api.add("cdn", "A", json!({"TTL": 300, "targetResource": {"id": "/subscriptions/x"}}));
    let api = StandIn::start(api, play).await;
    let provider = open(&api.url, SECRET);
    (api, provider)
}

#[tokio::test]
async fn records_are_made_changed_and_deleted() {
    let (api, provider) = start().await;
    story::tell(&provider).await;
    assert_eq!(api.with(|api| api.tokens), 1, "a token is kept");
}

#[tokio::test]
async fn a_refusal_keeps_nothing_else_back() {
    let (api, provider) = start().await;
    let refused = story::set(30, "alias.example.com A 192.0.2.1");
    story::tell_of_refusals(&provider, refused).await;
    assert_eq!(api.asked("PUT"), 3, "each once");
}

#[tokio::test]
async fn what_changed_meanwhile_is_not_overwritten() {
    let (_api, provider) = start().await;
    let www = story::set(30, "www.example.com A 192.0.2.1");
    let found = Found { version: Some("00000000-old".into()), ..Found::new(www.clone()) };
    for change in [
        Change::Put { set: www.clone(), before: None },
        Change::Put { set: www.clone(), before: Some(found.clone()) },
        Change::Delete { before: found },
    ] {
        let outcome = provider.apply(story::ZONE, &[change]).await;
        assert_eq!(outcome.unmade, [www.key()].into());
        let error = outcome.result().unwrap_err();
        assert!(error.to_string().contains("meanwhile"), "{error}");
    }
    let cdn = story::sets(30, &["cdn.example.com A 192.0.2.1"]);
    let (_, foreign) = story::bring(&provider, &cdn, &Default::default()).await;
    assert_eq!(foreign, ["cdn.example.com A"], "it follows a resource");
}

#[tokio::test]
async fn errors_say_what_is_wrong() {
    let (api, provider) = start().await;
    let wrong = open(&api.url, "another");
    let error = wrong.check(&[story::ZONE.parse().unwrap()]).await.unwrap_err();
    assert!(
        matches!(&error, ProviderError::Unauthorized { said, everywhere: true } if said.contains("AADSTS7000215")),
        "{error}"
    );
    assert!(!error.to_string().contains("another"));
    provider.check(&[story::ZONE.parse().unwrap()]).await.unwrap();
    let may_not = "The client does not have authorization to perform the action";
    let unauthorized = failure(403, "AuthorizationFailed", may_not);
    story::tell_of_errors(&api, &provider, [unauthorized]).await;
}

#[tokio::test]
async fn many_changes_are_made_several_at_a_time() {
    let (api, provider) = start().await;
    story::tell_of_many(&api, &provider).await;
}
