//! DigitalOcean's API v2 as its reference has it: domain records, links to pages, errors, rate limits.

use serde_json::{Value, json};
use temps_providers::{Change, Provider};

use crate::stand_in::{Asked, StandIn, Told};
use crate::story;

const TOKEN: &str = "dop_v1_t0ken";
/// An address that is refused.
const REFUSED: &str = "192.0.2.99";
/// Records of a page here.
const PAGE: usize = 2;

#[derive(Default)]
pub struct Api {
    records: Vec<Value>,
    made: u64,
    /// A name of the zone whose records are refused.
    pub refuses: Option<&'static str>,
}

impl Api {
    /// What is there under a name of the zone.
    pub fn at(&self, name: &str) -> Vec<&str> {
        let all = self.records.iter().filter(|one| one["name"] == name);
        all.map(|one| one["data"].as_str().unwrap()).collect()
    }

    pub fn add(&mut self, mut record: Value) -> Value {
        self.made += 1;
        record["id"] = json!(self.made);
        self.records.push(record.clone());
        record
    }

    fn list(&self, asked: &Asked) -> Told {
        let page = asked.number("page", 1);
        assert!(asked.number("per_page", 20) <= 200);
        let records: Vec<&Value> = self.records.iter().skip((page - 1) * PAGE).take(PAGE).collect();
        let more = page * PAGE < self.records.len();
        let next = format!(
            "https://api.digitalocean.com/v2/domains/example.com/records?page={}",
            page + 1
        );
        let links = if more { json!({"pages": {"next": next}}) } else { json!({}) };
        let body = json!({"domain_records": records, "links": links, "meta": {"total": self.records.len()}});
        Told::json(200, body)
    }

    fn refusal(&self, record: &Value) -> Option<Told> {
        let alias = |one: &&Value| one["type"] == "CNAME" && one["name"] == record["name"];
        let taken = self.records.iter().find(alias).is_some();
        let short = record["ttl"].as_u64().unwrap() < 30;
        let unwanted = self.refuses.is_some_and(|name| record["name"] == name);
        (taken || short || unwanted || record["data"] == REFUSED).then(|| {
            failure(
                422,
                "unprocessable_entity",
                "CNAME records cannot share a name with other records",
            )
        })
    }
}

fn failure(status: u16, id: &str, message: &str) -> Told {
    Told::json(status, json!({"id": id, "message": message, "request_id": "4d9d8375"}))
}

fn play(api: &mut Api, asked: &Asked) -> Told {
    if asked.header("authorization") != format!("Bearer {TOKEN}") {
        return failure(401, "unauthorized", "Unable to authenticate you");
    }
    let Some(rest) = asked.path.strip_prefix("/v2/domains/example.com/records") else {
        return failure(404, "not_found", "The resource you were accessing could not be found.");
    };
    let id: Option<u64> = rest.strip_prefix('/').map(|id| id.parse().unwrap());
    let at = id.and_then(|id| api.records.iter().position(|one| one["id"] == id));
    match (asked.method.as_str(), at) {
        ("GET", None) => api.list(asked),
        ("POST", None) => match api.refusal(&asked.json()) {
            Some(refused) => refused,
            None => Told::json(201, json!({"domain_record": api.add(asked.json())})),
        },
        ("PUT", Some(at)) => {
            let mut changed = asked.json();
            changed["id"] = api.records[at]["id"].clone();
            api.records[at] = changed.clone();
            Told::json(200, json!({"domain_record": changed}))
        }
        ("DELETE", Some(at)) => {
            api.records.remove(at);
            Told(204, vec![], String::new())
        }
        _ => failure(404, "not_found", "The resource you were accessing could not be found."),
    }
}

async fn start() -> (StandIn<Api>, Provider) {
    let (api, credentials) = play_alone().await;
    let provider = Provider::open("digitalocean", &credentials);
    (api, provider.unwrap())
}

/// A stand-in, and what lets somebody in.
pub async fn play_alone() -> (StandIn<Api>, Value) {
    let mut api = Api::default();
    for (name, kind, data) in [
        ("www", "A", "198.51.100.9"),
        ("alias", "CNAME", "www.example.com"),
        ("@", "NS", "ns1.digitalocean.com"),
    ] {
        api.add(json!({"name": name, "type": kind, "data": data, "ttl": 1800, "priority": null}));
    }
    let api = StandIn::start(api, play).await;
    let endpoint = format!("{}/v2", api.url);
    (api, json!({"token": TOKEN, "endpoint": endpoint}))
}

#[tokio::test]
async fn records_are_made_changed_and_deleted() {
    let (_api, provider) = start().await;
    story::tell(&provider).await;
}

#[tokio::test]
async fn a_refusal_keeps_nothing_else_back() {
    let (api, provider) = start().await;
    let refused = story::set(30, "alias.example.com A 192.0.2.1");
    story::tell_of_refusals(&provider, refused).await;
    assert_eq!(api.asked("POST"), 3, "each once");
}

#[tokio::test]
async fn what_is_there_in_part_is_not_called_unmade() {
    let (api, provider) = start().await;
    let set = story::set(30, &format!("new.example.com A 192.0.2.1 {REFUSED}"));
    let outcome = provider.apply(story::ZONE, &[Change::Put { set, before: None }]).await;
    assert!(outcome.unmade.is_empty() && outcome.error.is_some());
    assert_eq!(api.with(|api| api.records.len()), 4);
}

#[tokio::test]
async fn two_records_of_one_value_go_both() {
    let (api, provider) = start().await;
    let set = story::set(30, "twice.example.com A 192.0.2.1");
    for _ in 0..2 {
        let twice = json!({"name": "twice", "type": "A", "data": "192.0.2.1", "ttl": 30});
        api.with(|api| api.add(twice));
    }
    story::bring(&provider, &[], &[set.key()].into()).await;
    assert!(story::there(&provider, &[set]).await.is_empty());
}

#[tokio::test]
async fn errors_say_what_is_wrong() {
    let (api, provider) = start().await;
    let unauthorized = failure(401, "unauthorized", "Unable to authenticate you");
    story::tell_of_errors(&api, &provider, [unauthorized]).await;
}

#[tokio::test]
async fn many_changes_are_made_several_at_a_time() {
    let (api, provider) = start().await;
    story::tell_of_many(&api, &provider).await;
}
