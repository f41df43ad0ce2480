//! Which environment answers for which host. Pure: made from the state, never changed.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use temps_state::{
    Artifact, DeploymentId, Environment, EnvironmentId, Name, ProjectId, Replica, ReplicaId, State,
};

use crate::limits::Limits;
use crate::upstream::{Endpoint, Pool};

/// Every route of the cluster, with the bounds that hold for them.
#[derive(Debug, Default)]
pub(crate) struct RouteTable {
    routes: HashMap<String, Arc<Route>>,
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
    /// The routes of a state. Endpoints that `previous` has too keep their load and standing.
    pub(crate) fn new(state: &State, previous: &Self) -> Self {
        let settings = state.settings();
        let known = previous.endpoints();
        let mut replicas: HashMap<DeploymentId, Vec<&Replica>> = HashMap::new();
        for replica in state.replicas.values() {
            replicas.entry(replica.deployment).or_default().push(replica);
        }
        let route = |environment: &Environment| {
            let project = state.projects.get(&environment.project)?;
            let label = temps_state::host_label(&project.name, &environment.name);
            let host = format!("{label}.{}", settings.preview_domain).to_ascii_lowercase();
            let route = Route {
                project: project.id,
                project_name: project.name.clone(),
                disabled: project.disabled,
                environment: environment.id,
                environment_name: environment.name.clone(),
                target: target(state, environment, &replicas, &known),
            };
            Some((host, Arc::new(route)))
        };
        Self {
            routes: state.environments.values().filter_map(route).collect(),
            limits: Arc::new(Limits::from(&settings.edge)),
            preview_domain: settings.preview_domain,
        }
    }

    /// Whether two states have the same routes, as far as can be told for nothing.
    pub(crate) fn same(older: &State, newer: &State) -> bool {
        older.projects.ptr_eq(&newer.projects)
            && older.environments.ptr_eq(&newer.environments)
            && older.deployments.ptr_eq(&newer.deployments)
            && older.replicas.ptr_eq(&newer.replicas)
            && older.settings.ptr_eq(&newer.settings)
    }

    /// The route of a host, as [`host_of`](crate::host::host_of) writes it.
    pub(crate) fn find(&self, host: &str) -> Option<&Arc<Route>> {
        self.routes.get(host)
    }

    /// The digests of the static sites that are served.
    pub(crate) fn sites(&self) -> impl Iterator<Item = &str> {
        self.routes.values().filter_map(|route| match &route.target {
            Target::Static { digest, .. } => Some(digest.as_str()),
            _ => None,
        })
    }

    fn endpoints(&self) -> HashMap<(ReplicaId, SocketAddr), Arc<Endpoint>> {
        let pools = self.routes.values().filter_map(|route| match &route.target {
            Target::Replicas(pool) => Some(pool),
            _ => None,
        });
        pools.flat_map(|p| &p.endpoints).map(|e| ((e.replica, e.addr), e.clone())).collect()
    }
}

fn target(
    state: &State,
    environment: &Environment,
    replicas: &HashMap<DeploymentId, Vec<&Replica>>,
    known: &HashMap<(ReplicaId, SocketAddr), Arc<Endpoint>>,
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
            let of = replicas.get(&deployment.id).map(Vec::as_slice).unwrap_or_default();
            let endpoint = |replica: &&Replica| {
                let addr = replica.serving_endpoint()?;
                let kept = known.get(&(replica.id, addr)).cloned();
                Some(kept.unwrap_or_else(|| Arc::new(Endpoint::new(replica.id, addr))))
            };
            Target::Replicas(Pool::new(of.iter().filter_map(endpoint).collect()))
        }
        None => Target::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use temps_state::{
        ClusterKey, Deployment, EnvironmentKind, Id, Intent, NodeId, Observed, Phase, Project,
        Source,
    };

    use super::*;

    const AT: Timestamp = Timestamp::UNIX_EPOCH;
    const ADDR: SocketAddr =
        SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 1);

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

    fn seen(route: &Route) -> String {
        match &route.target {
            Target::Replicas(pool) => {
                let ids = pool.endpoints.iter().map(|endpoint| endpoint.replica.to_string());
                format!("{:?}", ids.map(|id| id.chars().last()).collect::<Vec<_>>())
            }
            Target::Static { digest, single_page } => format!("{digest} {single_page}"),
            Target::Nothing => "nothing".into(),
        }
    }

    #[test]
    fn every_environment_has_its_route() {
        let table = RouteTable::new(&state(), &RouteTable::default());
        for (host, disabled, target) in [
            ("app-production.localho.st", false, "[Some('1')]"),
            ("site-production.localho.st", false, "00ff true"),
            ("new-production.localho.st", false, "nothing"),
            ("off-production.localho.st", true, "[Some('5')]"),
        ] {
            let route = table.find(host).unwrap();
            assert_eq!((route.disabled, seen(route).as_str()), (disabled, target), "{host}");
        }
        for host in ["app.localho.st", "localho.st", "app-production.example.com", "", "[::1]"] {
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
        let first = RouteTable::new(&state, &RouteTable::default());
        let second = RouteTable::new(&state, &first);
        assert!(Arc::ptr_eq(&endpoint(&first).unwrap(), &endpoint(&second).unwrap()));
        let moved = Observed::Healthy { endpoint: SocketAddr::new(ADDR.ip(), 2) };
        add_replica(&mut state, 1, 1, Intent::Serve, moved);
        let third = RouteTable::new(&state, &second);
        assert!(!Arc::ptr_eq(&endpoint(&second).unwrap(), &endpoint(&third).unwrap()));
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
