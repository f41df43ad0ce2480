mod lookups;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use jiff::Timestamp;
use temps_state::{
    ClusterKey, Deployment, Domain, EnvironmentKind, Failure, FailureCode, HeaderPolicy, Id,
    Intent, Node, NodeId, Observed, Phase, Project, RedirectStatus, Replica, Scope, Sealed, Source,
    TicketKey,
};
use tokio::sync::watch;

use super::*;
use crate::connector::Connector;
use crate::reach::Nowhere;
use crate::vicinity::LocalEndpoints;

const AT: Timestamp = Timestamp::UNIX_EPOCH;
const ADDR: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);

fn sealed() -> Sealed {
    ClusterKey::new([3; 32]).seal([0; 12], "place", "value").unwrap()
}

fn id<I: Id>(n: u128) -> I {
    I::from_parts(0, n)
}

fn add_project(state: &mut State, n: u128, name: &str, current: Option<u128>) {
    let project = Project {
        id: id(n),
        name: name.parse().unwrap(),
        created_at: AT,
        disabled: name == "off",
        repository: None,
        webhook_secret: sealed(),
        previews: true,
        deployments_made: 1,
        callers: Default::default(),
    };
    let mut environment = Environment::new(id(n), &project, EnvironmentKind::Production);
    environment.current = current.map(id);
    state.projects.insert(project.id, project);
    state.environments.insert(environment.id, environment);
}

fn add_deployment(state: &mut State, n: u128, artifact: Artifact) {
    let deployment = Deployment {
        id: id(n),
        number: 1,
        project: id(n),
        environment: id(n),
        source: Source::Image { reference: "app".into() },
        revision: None,
        created_by: temps_state::Actor::Node { id: NodeId(1) },
        created_at: AT,
        phase: Phase::Live,
        history: vec![],
        config: None,
        artifact: Some(artifact),
        variables: Default::default(),
        built_on: None,
        architecture: None,
        holders: Default::default(),
        returned: vec![],
    };
    state.deployments.insert(id(n), deployment);
}

fn add_replica(state: &mut State, n: u128, deployment: u128, intent: Intent, observed: Observed) {
    let replica = Replica {
        id: id(n),
        deployment: id(deployment),
        environment: id(deployment),
        node: NodeId(1),
        created_at: AT,
        intent,
        observed,
    };
    state.replicas.insert(id(n), replica);
}

/// Projects `app` with five replicas, `site`, `new` and `off`.
fn state() -> State {
    let mut state = State::default();
    add_project(&mut state, 1, "app", Some(1));
    add_project(&mut state, 2, "site", Some(2));
    add_project(&mut state, 3, "new", None);
    add_project(&mut state, 4, "off", Some(4));
    add_deployment(&mut state, 1, Artifact::Image { id: "sha256:00".into() });
    let site = Artifact::Static { digest: "00ff".into(), single_page: true };
    add_deployment(&mut state, 2, site);
    add_deployment(&mut state, 4, Artifact::Image { id: "sha256:00".into() });
    let healthy = || Observed::Healthy { endpoint: ADDR };
    add_replica(&mut state, 1, 1, Intent::Serve, healthy());
    add_replica(&mut state, 2, 1, Intent::Drain { until: AT }, healthy());
    add_replica(&mut state, 3, 1, Intent::Keep, healthy());
    add_replica(&mut state, 4, 1, Intent::Serve, Observed::Starting);
    add_replica(&mut state, 5, 4, Intent::Serve, healthy());
    state
}

fn node_1() -> Vicinity {
    let connector = Connector { node: NodeId(1), reach: Arc::new(Nowhere) };
    Vicinity::new(Arc::new(connector), None)
}

/// The table that follows `previous` on node 1.
fn next(state: &State, previous: &RouteTable) -> RouteTable {
    RouteTable::new(state, previous, &node_1())
}

/// The environment that a host leads to.
fn to<'a>(table: &'a RouteTable, host: &str) -> Option<&'a Arc<Route>> {
    table.find(host, "/").map(|way| way.route())
}

fn seen(route: &Route) -> String {
    match &route.target {
        Target::Replicas(pool) => {
            let ids = pool.endpoints.iter().map(|endpoint| endpoint.line.replica.to_string());
            format!("{:?}", ids.map(|id| id.chars().last()).collect::<Vec<_>>())
        }
        Target::Static { digest, single_page } => format!("{digest} {single_page}"),
        Target::Nothing => "nothing".into(),
    }
}

#[test]
fn every_environment_has_its_route() {
    let table = next(&state(), &RouteTable::default());
    for (host, disabled, target) in [
        ("app-production.localho.st", false, "[Some('1')]"),
        ("site-production.localho.st", false, "00ff true"),
        ("new-production.localho.st", false, "nothing"),
        ("off-production.localho.st", true, "[Some('5')]"),
    ] {
        let route = to(&table, host).unwrap();
        assert_eq!((route.disabled, seen(route).as_str()), (disabled, target), "{host}");
        let internal = host.replace("localho.st", "temps.internal");
        assert!(Arc::ptr_eq(to(&table, &internal).unwrap(), route), "{internal}");
    }
    for host in [
        "temps.internal",
        "a.app-production.temps.internal",
        "app.localho.st",
        "localho.st",
        "app-production.example.com",
        "",
        "[::1]",
    ] {
        assert!(to(&table, host).is_none(), "{host}");
    }
    assert_eq!(table.sites().collect::<Vec<_>>(), ["00ff"]);
}

fn add_domain(state: &mut State, name: &str, to: u128, path: Option<(&str, u128)>, away: bool) {
    let redirect = Redirect { to: "https://example.com/".into(), status: RedirectStatus::Found };
    let domain = Domain {
        name: name.parse().unwrap(),
        environment: id(to),
        redirect: away.then_some(redirect),
        paths: path.map(|(path, to)| (path.parse().unwrap(), id(to))).into_iter().collect(),
        proof: format!("proof of {name}"),
        verified_at: None,
        created_at: AT,
    };
    state.domains.insert(domain.name.clone(), domain);
}

#[test]
fn domains_lead_to_the_same_routes() {
    let mut state = state();
    add_domain(&mut state, "shop.example.com", 1, Some(("/docs", 2)), false);
    add_domain(&mut state, "away.example.com", 1, Some(("/docs", 2)), true);
    add_domain(&mut state, "*.example.com", 2, None, false);
    // The preview domain was another one when these were added.
    add_domain(&mut state, "new-production.localho.st", 1, None, false);
    add_domain(&mut state, "*.localho.st", 2, None, false);
    let table = next(&state, &RouteTable::default());
    for (host, path, to, away) in [
        ("shop.example.com", "/", 1, false),
        ("shop.example.com", "/docs/x", 2, false),
        ("away.example.com", "/", 1, true),
        ("away.example.com", "/docs", 2, false),
        ("other.example.com", "/docs", 2, false),
        ("new-production.localho.st", "/", 1, false),
        ("app-production.localho.st", "/", 1, false),
        ("other.localho.st", "/", 2, false),
        ("new-production.temps.internal", "/", 3, false),
    ] {
        let way = table.find(host, path).unwrap();
        let seen = (way.route().environment, matches!(way, Way::Away(..)));
        assert_eq!(seen, (id(to), away), "{host}{path}");
        assert!(Arc::ptr_eq(way.route(), table.route_of(id(to)).unwrap()));
    }
    assert_eq!(table.proof("a.example.com"), Some("proof of *.example.com"));
    assert_eq!(table.proof("app-production.temps.internal"), None);
    assert!(table.find("a.b.example.com", "/").is_none());
}

#[test]
fn what_lasts_is_shared_from_table_to_table() {
    let mut state = state();
    add_domain(&mut state, "shop.example.com", 1, None, false);
    state.header_policies.insert(Scope::Cluster, HeaderPolicy::Strict);
    let first = next(&state, &RouteTable::default());
    state.replicas.remove(&id::<ReplicaId>(1));
    state.header_policies.insert(Scope::Project(id(2)), HeaderPolicy::Off);
    let second = next(&state, &first);
    assert!(Arc::ptr_eq(&first.domains, &second.domains));
    let security = |table: &RouteTable, n| table.route_of(id(n)).unwrap().security.clone();
    assert!(Arc::ptr_eq(&security(&first, 1), &security(&second, 1)));
    assert!(security(&second, 2).is(&HeaderPolicy::Off));
}

#[test]
fn an_endpoint_keeps_its_standing_from_table_to_table() {
    let endpoint = |table: &RouteTable| match &to(table, "app-production.localho.st")?.target {
        Target::Replicas(pool) => pool.endpoints.first().cloned(),
        _ => None,
    };
    let mut state = state();
    let first = next(&state, &RouteTable::default());
    let second = next(&state, &first);
    assert!(Arc::ptr_eq(&endpoint(&first).unwrap(), &endpoint(&second).unwrap()));
    let moved = Observed::Healthy { endpoint: SocketAddr::new(ADDR.ip(), 2) };
    add_replica(&mut state, 1, 1, Intent::Serve, moved);
    let third = next(&state, &second);
    assert!(!Arc::ptr_eq(&endpoint(&second).unwrap(), &endpoint(&third).unwrap()));
}

/// Whether the endpoint of replica 1 is among those that the next table does not have.
fn is_cut(state: &State, first: &RouteTable, vicinity: &Vicinity) -> bool {
    let newer = RouteTable::new(state, first, vicinity);
    first.gone(&newer).any(|endpoint| endpoint.line.replica == id(1))
}

#[test]
fn connections_outlive_a_drain_only_until_it_ends() {
    let healthy = || Observed::Healthy { endpoint: ADDR };
    let moved = Observed::Healthy { endpoint: SocketAddr::new(ADDR.ip(), 2) };
    let failure = || Failure {
        code: FailureCode::Internal,
        message: "it failed".into(),
        hint: "look".into(),
        log_tail: vec![],
    };
    let first = next(&state(), &RouteTable::default());
    for (intent, observed, cut) in [
        (Intent::Serve, healthy(), false),
        (Intent::Drain { until: AT }, healthy(), false),
        (Intent::Drain { until: AT }, Observed::Unhealthy { failure: failure() }, false),
        (Intent::Serve, Observed::Unhealthy { failure: failure() }, false),
        (Intent::Serve, Observed::Starting, false),
        (Intent::Serve, Observed::Down { failure: failure() }, true),
        (Intent::Serve, moved, true),
        (Intent::Keep, healthy(), true),
    ] {
        let mut state = state();
        let why = format!("{intent:?} {observed:?}");
        add_replica(&mut state, 1, 1, intent, observed);
        assert_eq!(is_cut(&state, &first, &node_1()), cut, "{why}");
    }
    let mut state = state();
    state.replicas.remove(&id::<ReplicaId>(1));
    assert!(is_cut(&state, &first, &node_1()), "removed");
}

#[test]
fn replicas_of_a_lost_node_are_neither_chosen_nor_waited_for() {
    let from_2 = || {
        let connector = Connector { node: NodeId(2), reach: Arc::new(Nowhere) };
        Vicinity::new(Arc::new(connector), None)
    };
    let mut state = state();
    state.nodes.insert(NodeId(1), Node::new(NodeId(1), "one", AT));
    let first = RouteTable::new(&state, &RouteTable::default(), &from_2());
    assert_eq!(seen(to(&first, "app-production.localho.st").unwrap()), "[Some('1')]");
    let known = state.clone();
    let lost = Node { lost_since: Some(AT), ..Node::new(NodeId(1), "one", AT) };
    state.nodes.insert(NodeId(1), lost);
    assert!(!RouteTable::same(&known, &state));
    assert!(is_cut(&state, &first, &from_2()));
    assert!(!is_cut(&state, &first, &node_1()), "it reaches its own itself");
    let second = RouteTable::new(&state, &first, &from_2());
    assert_eq!(seen(to(&second, "app-production.localho.st").unwrap()), "[]");
}

#[test]
fn a_node_knows_its_own_replicas_better_than_the_state() {
    let addr = |table: &RouteTable| match &to(table, "app-production.localho.st")?.target {
        Target::Replicas(pool) => pool.endpoints.first().map(|e| e.line.place.addr.port()),
        _ => None,
    };
    let (node, updates) = watch::channel(LocalEndpoints::default());
    let connector = Arc::new(Connector { node: NodeId(1), reach: Arc::new(Nowhere) });
    let vicinity = || Vicinity::new(connector.clone(), Some(updates.clone()));
    let state = state();
    let table = |vicinity| RouteTable::new(&state, &RouteTable::default(), &vicinity);
    assert_eq!(addr(&table(vicinity())), Some(1), "nothing is known yet");
    let mut seen = BTreeMap::from([(id::<ReplicaId>(1), SocketAddr::new(ADDR.ip(), 7))]);
    node.send_replace(Some(Arc::new(seen.clone())));
    assert_eq!(addr(&table(vicinity())), Some(7));
    seen.insert(id(3), ADDR);
    seen.remove(&id(1));
    node.send_replace(Some(Arc::new(seen)));
    assert_eq!(addr(&table(vicinity())), None, "what it does not see does not serve");
}

#[test]
fn what_does_not_concern_routes_is_told_for_nothing() {
    let older = state();
    let mut newer = older.clone();
    newer.emails.insert("a@example.com".into(), id(1));
    assert!(RouteTable::same(&older, &newer));
    newer.certificates.clear();
    newer.ticket_keys.insert(1, TicketKey { key: sealed(), created_at: AT });
    assert!(RouteTable::same(&older, &newer));
    let changes: [fn(&mut State); 4] = [
        |state| drop(state.guards.insert(Scope::Cluster, Default::default())),
        |state| drop(state.replicas.remove(&id::<ReplicaId>(1))),
        |state| add_domain(state, "shop.example.com", 1, None, false),
        |state| drop(state.header_policies.insert(Scope::Cluster, HeaderPolicy::Strict)),
    ];
    for change in changes {
        let mut newer = older.clone();
        change(&mut newer);
        assert!(!RouteTable::same(&older, &newer));
    }
}
