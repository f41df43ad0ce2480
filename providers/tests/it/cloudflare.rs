//! Cloudflare's API v4 as its reference has it: "List Zones", "List DNS Records", "Batch DNS Records", errors and paging.

use serde_json::{Value, json};
use temps_providers::{Provider, ProviderError};

use crate::stand_in::{Asked, StandIn, Told};
use crate::story;

const TOKEN: &str = "t0ken";
const ZONE_ID: &str = "023e105f4ecef8ad9ca31a8372d0c353";
/// Records of a page here, whatever is asked for: the reference leaves that to the provider.
const PAGE: usize = 2;

#[derive(Default)]
struct Api {
    records: Vec<Value>,
    made: usize,
}

impl Api {
    fn add(&mut self, mut record: Value) {
        self.made += 1;
        record["id"] = json!(format!("{:032x}", self.made));
        self.records.push(record);
    }

    /// Why a record cannot be, as the provider says it.
    fn refusal(&self, record: &Value) -> Option<Told> {
        let ttl = record["ttl"].as_u64().unwrap();
        let text = record["content"].as_str().unwrap();
        let (name, kind) = (&record["name"], record["type"].as_str().unwrap());
        let alias = |other: &&Value| other["type"] == "CNAME" && &other["name"] == name;
        if ttl != 1 && ttl < 60 {
            return Some(failure(400, 9021, "Invalid TTL. Must be between 60 and 86400 seconds"));
        }
        if kind == "TXT" && !(text.starts_with('"') && text.ends_with('"')) {
            return Some(failure(400, 9000, "TXT content is not quoted"));
        }
        if kind != "TXT"
            && (record["proxied"] != json!(false) || text.parse::<std::net::IpAddr>().is_err())
        {
            return Some(failure(400, 9005, "Content for A record must be a valid IPv4 address."));
        }
        let taken = self.records.iter().any(|other| alias(&other));
        taken.then(|| failure(400, 81054, "A CNAME record with that host already exists."))
    }

    fn batch(&mut self, body: &Value) -> Told {
        let list = |name: &str| body[name].as_array().cloned().unwrap_or_default();
        let before = self.records.clone();
        let size: usize = ["deletes", "puts", "posts"].iter().map(|name| list(name).len()).sum();
        assert!(size <= 200, "what the free plan allows");
        let mut refused = None;
        for id in list("deletes") {
            let count = self.records.len();
            self.records.retain(|record| record["id"] != id["id"]);
            assert!(self.records.len() < count, "a record that is not there");
        }
        for put in list("puts") {
            let at = self.records.iter().position(|record| record["id"] == put["id"]).unwrap();
            refused = refused.or(self.refusal(&put));
            self.records[at] = put;
        }
        for post in list("posts") {
            refused = refused.or(self.refusal(&post));
            self.add(post);
        }
        if let Some(refused) = refused {
            self.records = before;
            return refused;
        }
        success(json!({"deletes": [], "puts": [], "posts": []}), json!(null))
    }

    fn list(&self, asked: &Asked) -> Told {
        let page = asked.number("page", 1);
        assert!(asked.number("per_page", 100) >= 5);
        let records: Vec<&Value> = self.records.iter().skip((page - 1) * PAGE).take(PAGE).collect();
        let pages = self.records.len().div_ceil(PAGE);
        let info = json!({"page": page, "per_page": PAGE, "count": records.len(),
            "total_count": self.records.len(), "total_pages": pages});
        success(json!(records), info)
    }
}

fn success(result: Value, info: Value) -> Told {
    let body = json!({"success": true, "errors": [], "messages": [], "result": result, "result_info": info});
    Told::json(200, body)
}

fn failure(status: u16, code: u64, message: &str) -> Told {
    let errors = json!([{"code": code, "message": message}]);
    Told::json(status, json!({"success": false, "errors": errors, "messages": [], "result": null}))
}

fn play(api: &mut Api, asked: &Asked) -> Told {
    if asked.header("authorization") != format!("Bearer {TOKEN}") {
        return failure(403, 9109, "Invalid access token");
    }
    let records = format!("/client/v4/zones/{ZONE_ID}/dns_records");
    match asked.line() {
        line if line == "GET /client/v4/zones" => match asked.query["name"].as_str() {
            name @ story::ZONE => {
                success(json!([{"id": ZONE_ID, "name": name}]), json!({"total_pages": 1}))
            }
            _ => success(json!([]), json!({"total_pages": 0})),
        },
        line if line == format!("GET {records}") => api.list(asked),
        line if line == format!("POST {records}/batch") => api.batch(&asked.json()),
        _ => failure(404, 7003, "Could not route to the path"),
    }
}

async fn start() -> (StandIn<Api>, Provider) {
    let mut api = Api::default();
    for (name, kind, content) in [
        ("www.example.com", "A", "198.51.100.9"),
        ("alias.example.com", "CNAME", "www.example.com"),
        ("example.com", "MX", "mail.example.com"),
    ] {
        api.add(json!({"name": name, "type": kind, "content": content, "ttl": 1, "proxied": true}));
    }
    let stand_in = StandIn::start(api, play).await;
    let endpoint = format!("{}/client/v4", stand_in.url);
    let provider = Provider::open("cloudflare", &json!({"token": TOKEN, "endpoint": endpoint}));
    (stand_in, provider.unwrap())
}

#[tokio::test]
async fn records_are_made_changed_and_deleted() {
    let (_api, provider) = start().await;
    story::tell(&provider).await;
}

#[tokio::test]
async fn a_refusal_keeps_nothing_else_back() {
    let (_api, provider) = start().await;
    let refused = story::set(60, "alias.example.com A 192.0.2.1");
    story::tell_of_refusals(&provider, refused).await;
}

#[tokio::test]
async fn many_changes_go_in_batches() {
    let (api, provider) = start().await;
    let lines: Vec<String> =
        (0..120).map(|n| format!("n{n:03}.example.com A 192.0.2.1 192.0.2.2")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let wanted = story::sets(provider.ttl(), &lines);
    story::bring(&provider, &wanted, &Default::default()).await;
    assert_eq!(api.with(|api| api.records.len()), 240 + 3);
}

#[tokio::test]
async fn errors_say_what_is_wrong() {
    let (api, provider) = start().await;
    let unauthorized = [(403, 10000), (401, 1000), (400, 6003)];
    let told = unauthorized.map(|(status, code)| failure(status, code, "Invalid request headers"));
    story::tell_of_errors(&api, &provider, told).await;
}

#[tokio::test]
async fn nobody_there_is_not_reached() {
    let credentials = json!({"token": TOKEN, "endpoint": "http://127.0.0.1:1"});
    let provider = Provider::open("cloudflare", &credentials).unwrap();
    let error = provider.list(story::ZONE, &Default::default()).await.unwrap_err();
    assert!(matches!(&error, ProviderError::Unreachable { .. }), "{error}");
    assert!(!error.to_string().contains(TOKEN));
}
