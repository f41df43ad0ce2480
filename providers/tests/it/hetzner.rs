//! Hetzner's Cloud API as its reference has it: zone RRSets, their actions, pagination, errors.

use serde_json::{Value, json};
use temps_providers::{Provider, ProviderError};

use crate::stand_in::{Asked, StandIn, Told};
use crate::story;

const TOKEN: &str = "h3tzner";
/// Sets of a page here.
const PAGE: usize = 2;

#[derive(Default)]
struct Api {
    sets: Vec<Value>,
}

impl Api {
    fn list(&self, asked: &Asked) -> Told {
        let page = asked.number("page", 1);
        assert!(asked.number("per_page", 25) <= 50);
        let sets: Vec<&Value> = self.sets.iter().skip((page - 1) * PAGE).take(PAGE).collect();
        let last = self.sets.len().div_ceil(PAGE).max(1);
        let next = (page < last).then_some(page + 1);
        let pagination = json!({"page": page, "per_page": PAGE, "previous_page": null,
            "next_page": next, "last_page": last, "total_entries": self.sets.len()});
        Told::json(200, json!({"rrsets": sets, "meta": {"pagination": pagination}}))
    }

    fn create(&mut self, mut set: Value) -> Told {
        let same_name = |one: &&Value| one["name"] == set["name"];
        let taken = self
            .sets
            .iter()
            .filter(same_name)
            .any(|one| one["type"] == set["type"] || one["type"] == "CNAME");
        if taken {
            return failure(422, "invalid_input", "a CNAME cannot coexist with other records");
        }
        if set["ttl"].as_u64().unwrap() < 60 || !quoted_rightly(&set) {
            return failure(422, "invalid_input", "invalid input in field 'ttl' or 'records'");
        }
        set["id"] =
            json!(format!("{}/{}", set["name"].as_str().unwrap(), set["type"].as_str().unwrap()));
        self.sets.push(set.clone());
        Told::json(201, json!({"rrset": set, "action": {"id": 1, "status": "running"}}))
    }

    fn act(&mut self, at: usize, action: &str, body: &Value) -> Told {
        match action {
            "set_records" => self.sets[at]["records"] = body["records"].clone(),
            "change_ttl" => self.sets[at]["ttl"] = body["ttl"].clone(),
            _ => return failure(404, "not_found", "no such action"),
        }
        assert!(quoted_rightly(&self.sets[at]));
        Told::json(201, json!({"action": {"id": 1, "status": "running"}}))
    }
}

/// "The format of TXT records must consist of one or many quoted strings of 255 characters."
fn quoted_rightly(set: &Value) -> bool {
    let values =
        set["records"].as_array().unwrap().iter().map(|one| one["value"].as_str().unwrap());
    set["type"] != "TXT" || values.into_iter().all(|v| v.starts_with('"') && v.ends_with('"'))
}

fn failure(status: u16, code: &str, message: &str) -> Told {
    Told::json(status, json!({"error": {"code": code, "message": message, "details": null}}))
}

fn play(api: &mut Api, asked: &Asked) -> Told {
    if asked.header("authorization") != format!("Bearer {TOKEN}") {
        return failure(401, "unauthorized", "unable to authenticate");
    }
    let Some(rest) = asked.path.strip_prefix("/v1/zones/example.com/rrsets") else {
        return failure(404, "not_found", "zone not found");
    };
    let parts: Vec<&str> = rest.split('/').skip(1).collect();
    let at = || {
        let same = |one: &Value| one["name"] == parts[0] && one["type"] == parts[1];
        api.sets.iter().position(same).expect("a set that is there")
    };
    match (asked.method.as_str(), parts.as_slice()) {
        ("GET", []) => api.list(asked),
        ("POST", []) => api.create(asked.json()),
        ("POST", [_, _, "actions", action]) => api.act(at(), action, &asked.json()),
        ("DELETE", [_, _]) => {
            api.sets.remove(at());
            Told::json(201, json!({"action": {"id": 1, "status": "running"}}))
        }
        _ => failure(404, "not_found", "nothing here"),
    }
}

async fn start() -> (StandIn<Api>, Provider) {
    let set = |name: &str, kind: &str, value: &str| json!({"id": format!("{name}/{kind}"), "name": name, "type": kind, "ttl": null, "records": [{"value": value, "comment": ""}]});
    let sets = vec![
        set("@", "NS", "hydrogen.ns.hetzner.com."),
        set("www", "A", "198.51.100.9"),
        set("alias", "CNAME", "www"),
    ];
    let api = StandIn::start(Api { sets }, play).await;
    let endpoint = format!("{}/v1", api.url);
    let provider = Provider::open("hetzner", &json!({"token": TOKEN, "endpoint": endpoint}));
    (api, provider.unwrap())
}

#[tokio::test]
async fn records_are_made_changed_and_deleted() {
    let (_api, provider) = start().await;
    story::tell(&provider).await;
}

#[tokio::test]
async fn a_refusal_keeps_nothing_else_back() {
    let (api, provider) = start().await;
    let refused = story::set(60, "alias.example.com A 192.0.2.1");
    story::tell_of_refusals(&provider, refused).await;
    assert_eq!(api.asked("POST"), 3, "each once");
}

#[tokio::test]
async fn errors_say_what_is_wrong() {
    let (api, provider) = start().await;
    let unauthorized = failure(401, "unauthorized", "unable to authenticate");
    story::tell_of_errors(&api, &provider, [unauthorized]).await;
    api.fail(failure(423, "locked", "something else is under way"));
    let error = provider.list(story::ZONE, &Default::default()).await.unwrap_err();
    assert!(matches!(error, ProviderError::Locked));
}

#[tokio::test]
async fn many_changes_are_made_several_at_a_time() {
    let (api, provider) = start().await;
    story::tell_of_many(&api, &provider).await;
}

#[tokio::test]
async fn what_another_change_keeps_out_is_made_after_it() {
    let (api, provider) = start().await;
    api.fail(failure(423, "locked", "something else is under way"));
    let put = |n: usize| {
        let set = story::set(60, &format!("n{n}.example.com A 192.0.2.1"));
        temps_providers::Change::Put { set, before: None }
    };
    let changes: Vec<_> = (0..20).map(put).collect();
    provider.apply(story::ZONE, &changes).await.result().unwrap();
    assert_eq!(api.asked("POST"), 21);
}
