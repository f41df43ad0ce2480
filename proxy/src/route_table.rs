//! Which environment answers for which host. Pure: made from the state, never changed.

use std::collections::HashMap;
use std::sync::Arc;

use temps_state::{
    Artifact, DeploymentId, Environment, EnvironmentId, Name, ProjectId, ReplicaId, State,
};

use crate::connector::{Line, Place};
use crate::endpoint::Endpoint;
use crate::inner::{Inside, label_of};
use crate::limits::Limits;
use crate::upstream::Pool;
use crate::vicinity::Vicinity;

/// A replica at a place; one that moved is another.
type Key = (ReplicaId, Place);

/// Every route of the cluster, with the bounds that hold for them.
#[derive(Debug, Default)]
pub(crate) struct RouteTable {
    routes: HashMap<String, Arc<Route>>,
    /// The same by the first label of their hosts, for internal names.
    labels: HashMap<String, Arc<Route>>,
    /// Those that take requests, and those that took some and may still be ending them.
    endpoints: HashMap<Key, Arc<Endpoint>>,
    /// What decides about requests to internal names.
    pub(crate) inside: Inside,
    /// The bounds of the edge.
    pub(crate) limits: Arc<Limits>,
    /// The domain of the routes' hosts.
    pub(crate) preview_domain: String,
}

/// Who answers for a host.
#[derive(Debug)]
pub(crate) struct Route {
    /// The project.
    pub(crate) project: ProjectId,
    /// Its name.
    pub(crate) project_name: Name,
    /// Whether its owner has switched it off.
    pub(crate) disabled: bool,
    /// The environment.
    pub(crate) environment: EnvironmentId,
    /// Its name.
    pub(crate) environment_name: Name,
    /// What answers.
    pub(crate) target: Target,
}

/// What answers.
#[derive(Debug)]
pub(crate) enum Target {
    /// Replicas of the live deployment, those that are healthy.
    Replicas(Pool),
    /// Files that the edge serves itself.
    Static {
        /// Which site.
        digest: String,
        /// Whether unknown paths get `index.html`.
        single_page: bool,
    },
    /// Nothing: there is no live deployment.
    Nothing,
}

impl RouteTable {
    /// The routes of a state, as seen from a node. Endpoints that `previous` has too keep their load and standing.
    pub(crate) fn new(state: &State, previous: &Self, vicinity: &Vicinity) -> Self {
        let settings = state.settings();
        let mut endpoints = previous.lingering(state, vicinity);
        let mut serving: HashMap<DeploymentId, Vec<Arc<Endpoint>>> = HashMap::new();
        for replica in state.replicas.values() {
            if let Some(place) = vicinity.place_of(state, replica) {
                let key = (replica.id, place);
                let endpoint = endpoints.entry(key).or_insert_with(|| endpoint_of(key, vicinity));
                serving.entry(replica.deployment).or_default().push(endpoint.clone());
            }
        }
        let (mut routes, mut labels) = (HashMap::new(), HashMap::new());
        for environment in state.environments.values() {
            let Some(project) = state.projects.get(&environment.project) else { continue };
            let label = temps_state::host_label(&project.name, &environment.name);
            let host = format!("{label}.{}", settings.preview_domain).to_ascii_lowercase();
            let route = Arc::new(Route {
                project: project.id,
                project_name: project.name.clone(),
                disabled: project.disabled,
                environment: environment.id,
                environment_name: environment.name.clone(),
                target: target(state, environment, &mut serving),
            });
            routes.insert(host, route.clone());
            labels.insert(label, route);
        }
        Self {
            routes,
            labels,
            endpoints,
            inside: vicinity.inside(),
            limits: Arc::new(Limits::from(&settings.edge)),
            preview_domain: settings.preview_domain,
        }
    }

    /// Whether two states have the same routes, as far as can be told for nothing.
    pub(crate) fn same(older: &State, newer: &State) -> bool {
        older.nodes.ptr_eq(&newer.nodes)
            && older.projects.ptr_eq(&newer.projects)
            && older.environments.ptr_eq(&newer.environments)
            && older.deployments.ptr_eq(&newer.deployments)
            && older.replicas.ptr_eq(&newer.replicas)
            && older.settings.ptr_eq(&newer.settings)
    }

    /// The route of a host, as [`host_of`](crate::host::host_of) writes it.
    pub(crate) fn find(&self, host: &str) -> Option<&Arc<Route>> {
        match label_of(host) {
            Some(label) => self.labels.get(label),
            None => self.routes.get(host),
        }
    }

    /// The digests of the static sites that are served.
    pub(crate) fn sites(&self) -> impl Iterator<Item = &str> {
        self.routes.values().filter_map(|route| match &route.target {
            Target::Static { digest, .. } => Some(digest.as_str()),
            _ => None,
        })
    }

    /// The endpoints that `newer` does not have any more.
    pub(crate) fn gone(&self, newer: &Self) -> impl Iterator<Item = &Arc<Endpoint>> {
        let of_newer = |key: &Key| newer.endpoints.contains_key(key);
        self.endpoints.iter().filter(move |(key, _)| !of_newer(key)).map(|(_, endpoint)| endpoint)
    }

    /// The endpoints whose connections may go on.
    fn lingering(&self, state: &State, vicinity: &Vicinity) -> HashMap<Key, Arc<Endpoint>> {
        let may_linger = |(id, place): &Key| {
            let replica = state.replicas.get(id);
            replica.is_some_and(|replica| vicinity.may_linger(state, replica, *place))
        };
        let lingering = self.endpoints.iter().filter(|(key, _)| may_linger(key));
        lingering.map(|(key, endpoint)| (*key, endpoint.clone())).collect()
    }
}

fn target(
    state: &State,
    environment: &Environment,
    serving: &mut HashMap<DeploymentId, Vec<Arc<Endpoint>>>,
) -> Target {
    let deployment = environment.current.and_then(|id| state.deployments.get(&id));
    let Some(deployment) = deployment else {
        return Target::Nothing;
    };
    match &deployment.artifact {
        Some(Artifact::Static { digest, single_page }) => {
            Target::Static { digest: digest.clone(), single_page: *single_page }
        }
        Some(Artifact::Image { .. }) => {
            Target::Replicas(Pool::new(serving.remove(&deployment.id).unwrap_or_default()))
        }
        None => Target::Nothing,
    }
}

fn endpoint_of((replica, place): Key, vicinity: &Vicinity) -> Arc<Endpoint> {
    Arc::new(Endpoint::new(Line::new(vicinity.connector.clone(), replica, place)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::{IpAddr, Ipv4Addr, SocketAddr};

    use jiff::Timestamp;
    use temps_state::{
        ClusterKey, Deployment, EnvironmentKind, Failure, FailureCode, Id, Intent, Node, NodeId,
        Observed, Phase, Project, Replica, Source,
    };
    use tokio::sync::watch;

    use super::*;
    use crate::connector::Connector;
    use crate::reach::Nowhere;
    use crate::vicinity::LocalEndpoints;

    const AT: Timestamp = Timestamp::UNIX_EPOCH;
    const ADDR: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);

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
            webhook_secret: ClusterKey::new([3; 32]).seal([0; 12], "place", "value").unwrap(),
            previews: true,
            deployments_made: 1,
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
        };
        state.deployments.insert(id(n), deployment);
    }

    fn add_replica(
        state: &mut State,
        n: u128,
        deployment: u128,
        intent: Intent,
        observed: Observed,
    ) {
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
            let route = table.find(host).unwrap();
            assert_eq!((route.disabled, seen(route).as_str()), (disabled, target), "{host}");
            let internal = host.replace("localho.st", "temps.internal");
            assert!(Arc::ptr_eq(table.find(&internal).unwrap(), route), "{internal}");
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
            assert!(table.find(host).is_none(), "{host}");
        }
        assert_eq!(table.sites().collect::<Vec<_>>(), ["00ff"]);
    }

    #[test]
    fn an_endpoint_keeps_its_standing_from_table_to_table() {
        let endpoint = |table: &RouteTable| match &table.find("app-production.localho.st")?.target {
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
        assert_eq!(seen(first.find("app-production.localho.st").unwrap()), "[Some('1')]");
        let known = state.clone();
        let lost = Node { lost_since: Some(AT), ..Node::new(NodeId(1), "one", AT) };
        state.nodes.insert(NodeId(1), lost);
        assert!(!RouteTable::same(&known, &state));
        assert!(is_cut(&state, &first, &from_2()));
        assert!(!is_cut(&state, &first, &node_1()), "it reaches its own itself");
        let second = RouteTable::new(&state, &first, &from_2());
        assert_eq!(seen(second.find("app-production.localho.st").unwrap()), "[]");
    }

    #[test]
    fn a_node_knows_its_own_replicas_better_than_the_state() {
        let addr = |table: &RouteTable| match &table.find("app-production.localho.st")?.target {
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
        node.send_replace(Arc::new(seen.clone()));
        assert_eq!(addr(&table(vicinity())), Some(7));
        seen.insert(id(3), ADDR);
        seen.remove(&id(1));
        node.send_replace(Arc::new(seen));
        assert_eq!(addr(&table(vicinity())), None, "what it does not see does not serve");
    }

    #[test]
    fn what_does_not_concern_routes_is_told_for_nothing() {
        let older = state();
        let mut newer = older.clone();
        newer.emails.insert("a@example.com".into(), id(1));
        assert!(RouteTable::same(&older, &newer));
        newer.replicas.remove(&id::<ReplicaId>(1));
        assert!(!RouteTable::same(&older, &newer));
    }
}
