//! The records of a real cluster of one node at a real name server.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;
use temps_providers::keep_records;
use temps_raft::{Cluster, Config, Proposal, fresh_id};
use temps_state::*;
use tokio_util::sync::CancellationToken;

use crate::digitalocean::play_alone;
use crate::knot::{Knot, PATIENCE};
use crate::story::{OTHER_ZONE, ZONE};

struct Ground {
    cluster: Cluster,
    provider: DnsProviderId,
    environment: EnvironmentId,
    stop: CancellationToken,
    _data: TempDir,
}

impl Drop for Ground {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Ground {
    /// A cluster with three nodes in its state and an account.
    async fn start(kind: &str, credentials: &Value) -> Self {
        Self::start_with(kind, credentials, false).await
    }

    async fn start_with(kind: &str, credentials: &Value, takes_over: bool) -> Self {
        Self::start_in(&[ZONE], kind, credentials, takes_over).await
    }

    async fn start_in(zones: &[&str], kind: &str, credentials: &Value, takes_over: bool) -> Self {
        let data = tempfile::tempdir().unwrap();
        let config = Config { data_dir: data.path().into(), peer: None };
        let cluster = Cluster::start(config).await.unwrap();
        let (provider, environment) = (fresh_id(), fresh_id());
        let stop = CancellationToken::new();
        let ground = Self { cluster, provider, environment, stop, _data: data };
        ground.found(zones, kind, credentials, takes_over).await;
        tokio::spawn(keep_records(ground.cluster.clone(), ground.stop.clone()));
        ground
    }

    async fn found(&self, zones: &[&str], kind: &str, credentials: &Value, takes_over: bool) {
        let now = Timestamp::now();
        let me = self.cluster.node_id();
        let node = Node { format: FORMAT.into(), ..Node::new(me, "n1", now) };
        self.ask(Command::RecordNode { node }).await;
        for (key, name) in [("a", "n2"), ("b", "n3")] {
            let expires_at = now + Duration::from_secs(600);
            let token = JoinToken {
                id: fresh_id(),
                key: format!("{key:0>64}"),
                created_at: now,
                expires_at,
                uses_left: 1,
            };
            let token_key = token.key.clone();
            self.ask(Command::CreateJoinToken { token }).await;
            let node =
                Node { key: key.into(), format: FORMAT.into(), ..Node::new(NodeId(0), name, now) };
            self.ask(Command::AdmitNode { token_key, node }).await;
        }
        let ids: Vec<NodeId> = self.cluster.state().nodes.keys().copied().collect();
        for (at, id) in (1..).zip(ids) {
            let told = self.cluster.state().nodes[&id].clone();
            self.ask(Command::RecordNode { node: told }).await;
            let set = BTreeMap::from([(PUBLIC_ADDRESS_LABEL.into(), format!("192.0.2.{at}"))]);
            self.ask(Command::LabelNode { id, set, unset: vec![] }).await;
        }
        self.add_project().await;
        self.open(zones, kind, credentials, takes_over).await;
    }

    /// Adds the account.
    async fn open(&self, zones: &[&str], kind: &str, credentials: &Value, takes_over: bool) {
        let provider = DnsProvider {
            id: self.provider,
            name: "knot".parse().unwrap(),
            kind: kind.into(),
            zones: zones.iter().map(|zone| zone.parse().unwrap()).collect(),
            credentials: self.seal(credentials),
            takes_over,
            managed: Default::default(),
            trouble: None,
            created_at: Timestamp::now(),
        };
        self.ask(Command::AddDnsProvider { provider }).await;
    }

    fn seal(&self, credentials: &Value) -> Sealed {
        let place = DnsProvider::place(self.provider);
        self.cluster.seal(&place, &credentials.to_string()).unwrap()
    }

    async fn change(&self, change: DnsProviderChange) {
        self.ask(Command::ChangeDnsProvider { id: self.provider, change }).await;
    }

    async fn add_project(&self) {
        let project = Project {
            id: fresh_id(),
            name: "shop".parse().unwrap(),
            created_at: Timestamp::now(),
            disabled: false,
            repository: None,
            webhook_secret: self.cluster.seal("", "").unwrap(),
            previews: true,
            deployments_made: 0,
            callers: Default::default(),
        };
        self.ask(Command::CreateProject { project, production: self.environment }).await;
    }

    async fn ask(&self, command: Command) {
        let actor = Actor::Node { id: self.cluster.node_id() };
        self.cluster.propose(Proposal::new(actor, command)).await.unwrap();
    }

    async fn add(&self, name: &str) {
        let domain = Domain {
            name: name.parse().unwrap(),
            environment: self.environment,
            redirect: None,
            paths: BTreeMap::new(),
            proof: "pr00f".into(),
            verified_at: None,
            created_at: Timestamp::now(),
        };
        self.ask(Command::CreateDomain { domain }).await;
    }

    fn account(&self) -> DnsProvider {
        self.cluster.state().dns_providers[&self.provider].clone()
    }

    /// Waits until the state has this of the account.
    async fn until(&self, right: impl Fn(&DnsProvider) -> bool) {
        let mut changes = self.cluster.watch();
        let right = |state: &std::sync::Arc<temps_raft::Applied>| {
            state.dns_providers.get(&self.provider).is_some_and(&right)
        };
        let came = tokio::time::timeout(PATIENCE, changes.wait_for(right)).await.is_ok();
        assert!(came, "{:?}", self.account());
    }

    /// Waits until this is told of the account.
    async fn until_told(&self, what: &str) {
        let told = |account: &DnsProvider| {
            account.trouble.as_ref().is_some_and(|trouble| trouble.error.contains(what))
        };
        self.until(told).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_lead_to_the_nodes_that_live() {
    let knot = Knot::start("").await;
    let ground = Ground::start("rfc2136", &knot.credentials()).await;
    ground.add("shop.example.com").await;
    ground.add("*.wild.example.com").await;
    let all = ["192.0.2.1", "192.0.2.2", "192.0.2.3"];
    knot.until("shop", "A", |found| found == all).await;
    knot.until("any.wild", "A", |found| found == all).await;
    let mark = format!("\"{}\"", ground.cluster.state().zone_mark());
    knot.until("_acme-challenge.wild", "TXT", |found| found == [mark.as_str()]).await;
    knot.until("_temps-challenge.wild", "TXT", |found| found == ["\"pr00f\""]).await;
    ground.until(|account| account.managed.len() == 4 && account.trouble.is_none()).await;

    let lost = *ground.cluster.state().nodes.keys().next_back().unwrap();
    let began = Instant::now();
    ground.ask(Command::LoseNode { id: lost }).await;
    knot.until("shop", "A", |found| found == &all[..2]).await;
    println!("a lost node's address was gone after {:?}", began.elapsed());
    ground.ask(Command::RegainNode { id: lost }).await;
    knot.until("shop", "A", |found| found == all).await;

    ground.ask(Command::DeleteDomain { name: "shop.example.com".parse().unwrap() }).await;
    knot.until("shop", "A", |found| found.is_empty()).await;
    ground.until(|account| account.managed.len() == 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_between_two_wildcards_is_answered() {
    let knot = Knot::start("taken AAAA 2001:db8::9").await;
    let ground = Ground::start("rfc2136", &knot.credentials()).await;
    for name in ["*.example.com", "*.inner.example.com", "*.taken.example.com"] {
        ground.add(name).await;
    }
    for name in ["any", "inner", "any.inner", "any.taken"] {
        knot.until(name, "A", |found| found.len() == 3).await;
    }
    // Whoever has given it addresses of another kind knows what he does.
    ground.until(|account| account.trouble.is_none() && !account.managed.is_empty()).await;
    assert!(knot.ask("taken", "A").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_the_way_is_told_and_keeps_nothing_back() {
    let knot = Knot::start("").await;
    let ground = Ground::start("rfc2136", &knot.credentials()).await;
    for name in ["www.example.com", "alias.example.com", "shop.example.com"] {
        ground.add(name).await;
    }
    knot.until("shop", "A", |found| found.len() == 3).await;
    ground.until_told("alias.example.com CNAME, www.example.com A").await;
    assert_eq!(knot.ask("www", "A"), ["198.51.100.9"]);
    for name in ["www.example.com", "alias.example.com"] {
        ground.ask(Command::DeleteDomain { name: name.parse().unwrap() }).await;
    }
    ground.until(|account| account.trouble.is_none()).await;
    assert_eq!(knot.ask("www", "A"), ["198.51.100.9"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_told_and_tried_again() {
    let knot = Knot::start("").await;
    let mut wrong = knot.credentials();
    wrong["key"] = "nobody".into();
    let ground = Ground::start("rfc2136", &wrong).await;
    ground.add("shop.example.com").await;
    ground.until_told("does not accept the credentials").await;
    assert!(knot.ask("shop", "A").is_empty());
    let credentials = Some(ground.seal(&knot.credentials()));
    ground.change(DnsProviderChange { credentials, ..Default::default() }).await;
    knot.until("shop", "A", |found| found.len() == 3).await;
    ground.until(|account| account.trouble.is_none()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_change_without_a_wait_and_zones_with_their_records() {
    let knot = Knot::start("").await;
    let mut away = knot.credentials();
    away["server"] = "127.0.0.1:1".into();
    let ground = Ground::start_in(&[OTHER_ZONE], "rfc2136", &away, false).await;
    ground.add("shop.a.example").await;
    ground.until_told("does not answer").await;
    let credentials = Some(ground.seal(&knot.credentials()));
    ground.change(DnsProviderChange { credentials, ..Default::default() }).await;
    knot.until("shop.a.example.", "A", |found| found.len() == 3).await;
    ground.until(|account| account.trouble.is_none() && account.managed.len() == 1).await;
    ground.add("shop.example.com").await;
    let zones = Some(vec![ZONE.parse().unwrap()]);
    ground.change(DnsProviderChange { zones, ..Default::default() }).await;
    knot.until("shop", "A", |found| found.len() == 3).await;
    ground.until(|account| account.managed.iter().all(|key| key.name == "shop.example.com")).await;
    assert_eq!(knot.ask("shop.a.example.", "A").len(), 3, "they stay as they are");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_added_again_has_its_records() {
    let knot = Knot::start("").await;
    let ground = Ground::start("rfc2136", &knot.credentials()).await;
    for name in ["shop.example.com", "*.wild.example.com"] {
        ground.add(name).await;
    }
    ground.until(|account| account.managed.len() == 4 && account.trouble.is_none()).await;
    ground.ask(Command::DeleteDnsProvider { id: ground.provider }).await;
    ground.open(&[ZONE], "rfc2136", &knot.credentials(), false).await;
    // Nobody has shown whose the wildcard's addresses are.
    ground.until_told("left as they are: *.wild.example.com A;").await;
    ground.until(|account| account.managed.len() == 3).await;
    ground.change(DnsProviderChange { takes_over: Some(true), ..Default::default() }).await;
    ground.until(|account| account.managed.len() == 4 && account.trouble.is_none()).await;
    ground.ask(Command::DeleteDomain { name: "shop.example.com".parse().unwrap() }).await;
    knot.until("shop", "A", |found| found.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_whose_records_were_refused_is_nobodys() {
    let (api, credentials) = play_alone().await;
    api.with(|api| api.refuses = Some("shop"));
    let ground = Ground::start("digitalocean", &credentials).await;
    ground.add("shop.example.com").await;
    ground.until_told("refuses").await;
    ground.until(|account| account.managed.is_empty()).await;
    // Somebody makes a record of that name, and the provider takes more of them.
    api.with(|api| {
        api.refuses = None;
        api.add(json!({"name": "shop", "type": "A", "data": "198.51.100.7", "ttl": 1_800}));
    });
    ground.until_told("left as they are: shop.example.com A").await;
    assert_eq!(api.with(|api| api.at("shop").join(" ")), "198.51.100.7");
}

#[tokio::test(flavor = "multi_thread")]
async fn others_records_give_way_once_the_domain_is_verified() {
    let (api, credentials) = play_alone().await;
    let ground = Ground::start_with("digitalocean", &credentials, true).await;
    ground.add("www.example.com").await;
    ground.until_told("left as they are: www.example.com A").await;
    assert_eq!(api.with(|api| api.at("www").join(" ")), "198.51.100.9");
    let name = "www.example.com".parse().unwrap();
    ground.ask(Command::VerifyDomain { name }).await;
    ground.until(|account| account.trouble.is_none() && !account.managed.is_empty()).await;
    assert_eq!(api.with(|api| api.at("www").join(" ")), "192.0.2.1 192.0.2.2 192.0.2.3");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zone_that_is_taken_away_keeps_no_other_back() {
    let knot = Knot::start("").await;
    let zones = [OTHER_ZONE, ZONE];
    let ground = Ground::start_in(&zones, "rfc2136", &knot.credentials(), false).await;
    for name in ["shop.a.example", "gone.a.example", "gone.example.com"] {
        ground.add(name).await;
    }
    let all = ["192.0.2.1", "192.0.2.2", "192.0.2.3"];
    knot.until("gone", "A", |found| found == all).await;
    knot.until("shop.a.example.", "A", |found| found == all).await;
    ground.until(|account| account.managed.len() == 3 && account.trouble.is_none()).await;

    knot.take_away();
    for name in ["gone.a.example", "gone.example.com"] {
        ground.ask(Command::DeleteDomain { name: name.parse().unwrap() }).await;
    }
    ground.add("shop.example.com").await;
    knot.until("shop", "A", |found| found == all).await;
    knot.until("gone", "A", |found| found.is_empty()).await;
    ground.until_told("a.example: the provider does not accept the credentials").await;
    let lost = *ground.cluster.state().nodes.keys().next_back().unwrap();
    ground.ask(Command::LoseNode { id: lost }).await;
    knot.until("shop", "A", |found| found == &all[..2]).await;
    let is_own = |name: &str| ground.account().managed.iter().any(|key| key.name == name);
    assert!(is_own("gone.a.example") && is_own("shop.a.example"), "nobody knows of them");
}
