//! Cloud DNS' API v1 and Google's token endpoint as their references have them: signed claims, managed zones, record sets,
//! changes of all or none, errors.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::rsa::KeyPair;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use temps_providers::{Change, Provider, ProviderError};

use crate::stand_in::{Asked, StandIn, Told};
use crate::story;

/// The key of no account anywhere.
const KEY: &str = include_str!("google_key.pem");
const EMAIL: &str = "temps@project-1.iam.gserviceaccount.com";
const TOKEN_PATH: &str = "/token";
const ZONE_PATH: &str = "/dns/v1/projects/project-1/managedZones/our-zone";
/// Sets of a page here.
const PAGE: usize = 2;

struct Api {
    sets: Vec<Value>,
    /// How many tokens were given; the last one counts.
    tokens: usize,
    lifetime: u64,
}

impl Api {
    fn grant(&mut self, asked: &Asked) -> Told {
        let form = asked.form();
        assert_eq!(form["grant_type"], "urn:ietf:params:oauth:grant-type:jwt-bearer");
        if let Err(why) = check(&form["assertion"], asked.header("host")) {
            let body = json!({"error": "invalid_grant", "error_description": why});
            return Told::json(400, body);
        }
        self.tokens += 1;
        let token = format!("ya29.{}", self.tokens);
        let body =
            json!({"access_token": token, "expires_in": self.lifetime, "token_type": "Bearer"});
        Told::json(200, body)
    }

    fn list(&self, asked: &Asked) -> Told {
        let from = asked.number("pageToken", 0);
        let sets: Vec<&Value> = self.sets.iter().skip(from).take(PAGE).collect();
        let mut body = json!({"kind": "dns#resourceRecordSetsListResponse", "rrsets": sets});
        if from + PAGE < self.sets.len() {
            body["nextPageToken"] = json!((from + PAGE).to_string());
        }
        Told::json(200, body)
    }

    /// Makes all changes or none.
    fn change(&mut self, body: &Value) -> Told {
        let before = self.sets.clone();
        let told = self.try_change(body);
        if let Err((status, reason, message)) = told {
            self.sets = before;
            return failure(status, reason, message);
        }
        Told::json(200, json!({"kind": "dns#change", "id": "1", "status": "pending"}))
    }

    fn try_change(&mut self, body: &Value) -> Result<(), (u16, &'static str, &'static str)> {
        let list = |name: &str| body[name].as_array().cloned().unwrap_or_default();
        if list("additions").len() > 1_000 || list("deletions").len() > 1_000 {
            return Err((403, "quotaExceeded", "The change would exceed quota for additions"));
        }
        for gone in list("deletions") {
            let Some(at) = self.sets.iter().position(|one| alike(one, &gone)) else {
                return Err((412, "conditionNotMet", "Precondition not met for deletions"));
            };
            self.sets.remove(at);
        }
        for set in list("additions") {
            let named = |one: &&Value| one["name"] == set["name"];
            if self.sets.iter().filter(named).any(|one| one["type"] == set["type"]) {
                return Err((409, "alreadyExists", "The resource already exists"));
            }
            if self.sets.iter().filter(named).any(|one| one["type"] == "CNAME") {
                return Err((400, "cnameResourceRecordSetConflict", "A CNAME must stand alone"));
            }
            let data = set["rrdatas"].as_array().unwrap().iter().map(|one| one.as_str().unwrap());
            if set["type"] == "TXT" && data.into_iter().any(|text| !text.starts_with('"')) {
                return Err((400, "invalid", "Invalid value for rrdata"));
            }
            assert!(set["name"].as_str().unwrap().ends_with('.'));
            self.sets.push(set);
        }
        Ok(())
    }
}

/// Whether a deletion names a set to the letter, whatever the order of its records.
fn alike(one: &Value, other: &Value) -> bool {
    let data = |set: &Value| {
        let mut data: Vec<String> = serde_json::from_value(set["rrdatas"].clone()).unwrap();
        data.sort();
        data
    };
    ["name", "type", "ttl"].iter().all(|field| one[field] == other[field])
        && data(one) == data(other)
}

/// What is wrong with a claim.
fn check(assertion: &str, host: &str) -> Result<(), &'static str> {
    let (text, signature) = assertion.rsplit_once('.').unwrap();
    let key = PrivatePkcs8KeyDer::from_pem_slice(KEY.as_bytes()).unwrap();
    let key = KeyPair::from_pkcs8(key.secret_pkcs8_der()).unwrap();
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public().as_ref().to_vec());
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    key.verify(text.as_bytes(), &signature).map_err(|_| "Invalid JWT Signature.")?;
    let read = |part: &str| -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    };
    let (header, claim) = text.split_once('.').unwrap();
    assert_eq!(read(header), json!({"alg": "RS256", "typ": "JWT", "kid": "key-1"}));
    let claim = read(claim);
    assert_eq!(claim["scope"], "https://www.googleapis.com/auth/ndev.clouddns.readwrite");
    assert_eq!(claim["aud"], format!("http://{host}{TOKEN_PATH}"));
    let (from, to) = (claim["iat"].as_i64().unwrap(), claim["exp"].as_i64().unwrap());
    let now = Timestamp::now().as_second();
    assert!(from <= now && now < to && to <= from + 3_600);
    if claim["iss"] == EMAIL { Ok(()) } else { Err("Invalid grant: account not found") }
}

fn failure(status: u16, reason: &str, message: &str) -> Told {
    let errors = json!([{"message": message, "domain": "global", "reason": reason}]);
    let error = json!({"code": status, "message": message, "errors": errors});
    Told::json(status, json!({"error": error}))
}

fn zones(asked: &Asked) -> Told {
    let zone = |name: &str, visibility: &str| json!({"name": name, "dnsName": "example.com.", "id": "1", "visibility": visibility});
    let known = asked.query["dnsName"] == "example.com.";
    let both = json!([zone("inner-zone", "private"), zone("our-zone", "public")]);
    let zones = if known { json!({"managedZones": both}) } else { json!({}) };
    Told::json(200, zones)
}

fn play(api: &mut Api, asked: &Asked) -> Told {
    if asked.line() == format!("POST {TOKEN_PATH}") {
        return api.grant(asked);
    }
    if asked.header("authorization") != format!("Bearer ya29.{}", api.tokens) {
        return failure(401, "authError", "Invalid Credentials");
    }
    match asked.line() {
        line if line == "GET /dns/v1/projects/project-1/managedZones" => zones(asked),
        line if line == format!("GET {ZONE_PATH}/rrsets") => api.list(asked),
        line if line == format!("POST {ZONE_PATH}/changes") => api.change(&asked.json()),
        _ => failure(404, "notFound", "The resource was not found"),
    }
}

fn open(url: &str, email: &str) -> Provider {
    let credentials = json!({
        "type": "service_account", "project_id": "project-1", "private_key_id": "key-1",
        "private_key": KEY, "client_email": email, "client_id": "1",
        "token_uri": format!("{url}{TOKEN_PATH}"), "endpoint": format!("{url}/dns/v1"),
    });
    Provider::open("google", &credentials).unwrap()
}

async fn start() -> (StandIn<Api>, Provider) {
    let set = |name: &str, kind: &str, data: &str| json!({"kind": "dns#resourceRecordSet", "name": name, "type": kind, "ttl": 300, "rrdatas": [data]});
    let by_place = json!({"name": "cdn.example.com.", "type": "A", "ttl": 300,
        "routingPolicy": {"geo": {"items": []}}});
    let sets = vec![
        set("example.com.", "SOA", "ns-cloud-a1.googledomains.com. a. 1 21600 3600 259200 300"),
        set("www.example.com.", "A", "198.51.100.9"),
        set("alias.example.com.", "CNAME", "www.example.com."),
        by_place,
    ];
    let api = StandIn::start(Api { sets, tokens: 0, lifetime: 3_599 }, play).await;
    let provider = open(&api.url, EMAIL);
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
    let (_api, provider) = start().await;
    let refused = story::set(30, "alias.example.com A 192.0.2.1");
    story::tell_of_refusals(&provider, refused).await;
}

#[tokio::test]
async fn what_came_meanwhile_is_not_overwritten() {
    let (_api, provider) = start().await;
    let set = story::set(30, "www.example.com A 192.0.2.1");
    let outcome =
        provider.apply(story::ZONE, &[Change::Put { set: set.clone(), before: None }]).await;
    assert_eq!(outcome.unmade, [set.key()].into());
    let cdn = story::sets(30, &["cdn.example.com A 192.0.2.1"]);
    let (_, foreign) = story::bring(&provider, &cdn, &Default::default()).await;
    assert_eq!(foreign, ["cdn.example.com A"]);
}

#[tokio::test]
async fn many_changes_go_in_batches() {
    let (api, provider) = start().await;
    let lines: Vec<String> = (0..1_500).map(|n| format!("n{n}.example.com A 192.0.2.1")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    story::bring(&provider, &story::sets(30, &lines), &Default::default()).await;
    assert_eq!(api.with(|api| api.sets.len()), 1_500 + 4);
    assert_eq!(api.asked("POST /dns"), 2);
}

#[tokio::test]
async fn a_token_that_ends_or_is_taken_back_is_replaced() {
    let (api, provider) = start().await;
    let check = async || provider.check(&[story::ZONE.parse().unwrap()]).await;
    check().await.unwrap();
    api.with(|api| api.tokens += 1);
    let error = check().await.unwrap_err();
    assert!(matches!(error, ProviderError::Unauthorized { .. }), "{error}");
    api.with(|api| api.lifetime = 61);
    check().await.unwrap();
    assert_eq!(api.asked("POST"), 2);
    let soon = std::time::Duration::from_millis(1_100);
    tokio::time::sleep(soon).await;
    check().await.unwrap();
    assert_eq!(api.asked("POST"), 3, "a minute before its end");
}

#[tokio::test]
async fn errors_say_what_is_wrong() {
    let (api, provider) = start().await;
    let nobody = open(&api.url, "nobody@project-1.iam.gserviceaccount.com");
    let error = nobody.check(&[story::ZONE.parse().unwrap()]).await.unwrap_err();
    assert!(
        matches!(&error, ProviderError::Unauthorized { said, everywhere: true } if said.contains("account not found")),
        "{error}"
    );
    provider.check(&[story::ZONE.parse().unwrap()]).await.unwrap();
    let unauthorized = failure(403, "forbidden", "The caller lacks dns.managedZones.list");
    story::tell_of_errors(&api, &provider, [unauthorized]).await;
    let ask = async |told| {
        api.fail(told);
        provider.list(story::ZONE, &Default::default()).await.unwrap_err()
    };
    let limited = ask(failure(403, "rateLimitExceeded", "Quota exceeded for queries")).await;
    assert!(matches!(limited, ProviderError::Limited { wait: None }), "{limited}");
    let refused = ask(failure(403, "quotaExceeded", "No more records fit into the zone")).await;
    assert!(
        matches!(&refused, ProviderError::Refused { said } if said.contains("No more")),
        "{refused}"
    );
}
