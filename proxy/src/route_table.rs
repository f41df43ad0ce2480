//! Which environment answers for which host and path. Pure: made from the state, never changed.

use std::collections::HashMap;
use std::sync::Arc;

use temps_state::{
    Artifact, DeploymentId, Environment, EnvironmentId, Project, Redirect, ReplicaId, State,
};

use crate::connector::{Line, Place};
use crate::domains::{Domains, Lead, Leads};
use crate::endpoint::Endpoint;
use crate::guard::Guards;
use crate::headers::Told;
use crate::inner::{Inside, label_of};
use crate::limits::Limits;
use crate::route::{Route, Target};
use crate::security_headers::SecurityHeaders;
use crate::upstream::Pool;
use crate::vicinity::Vicinity;

/// A replica at a place; one that moved is another.
type Key = (ReplicaId, Place);

/// Every route of the cluster, with the bounds that hold for them.
#[derive(Debug, Default)]
pub(crate) struct RouteTable {
    /// By environment.
    routes: HashMap<EnvironmentId, Arc<Route>>,
    /// The same by their hosts on the preview domain.
    previews: HashMap<String, Arc<Route>>,
    /// The same by the first label of their hosts, for internal names.
    labels: HashMap<String, Arc<Route>>,
    /// Names of teams' own, which lead to the same.
    domains: Arc<Domains>,
    /// What shows that a host of the preview domain leads to the cluster.
    mark: String,
    /// What is checked before environments are asked.
    guards: Arc<Guards>,
    /// Those that take requests, and those that took some and may still be ending them.
    endpoints: HashMap<Key, Arc<Endpoint>>,
    /// What decides about requests to internal names.
    pub(crate) inside: Inside,
    /// The bounds of the edge.
    pub(crate) limits: Arc<Limits>,
}

/// Where a host and a path lead.
#[derive(Debug)]
pub(crate) enum Way<'a> {
    /// To an environment.
    To(&'a Arc<Route>),
    /// Away from an environment's domain.
    Away(&'a Arc<Route>, &'a Redirect),
}

impl<'a> Way<'a> {
    /// The environment whose host it is.
    pub(crate) fn route(&self) -> &'a Arc<Route> {
        match self {
            Self::To(route) | Self::Away(route, _) => route,
        }
    }
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
        let guards = previous.guards.next(state);
        let [mut previews, mut labels] = [HashMap::new(), HashMap::new()];
        let mut routes = HashMap::new();
        for environment in state.environments.values() {
            let Some(project) = state.projects.get(&environment.project) else { continue };
            let label = temps_state::host_label(&project.name, &environment.name);
            let host = format!("{label}.{}", settings.preview_domain).to_ascii_lowercase();
            let target = target(state, environment, &mut serving);
            let route = Arc::new(previous.route(state, &guards, project, environment, target));
            previews.insert(host, route.clone());
            labels.insert(label, route.clone());
            routes.insert(environment.id, route);
        }
        Self {
            routes,
            previews,
            labels,
            domains: previous.domains.next(&state.domains),
            mark: state.zone_mark(),
            guards,
            endpoints,
            inside: vicinity.inside(state),
            limits: Arc::new(Limits::from(&settings.edge)),
        }
    }

    /// Whether two states have the same routes, as far as can be told for nothing.
    pub(crate) fn same(older: &State, newer: &State) -> bool {
        older.nodes.ptr_eq(&newer.nodes)
            && older.projects.ptr_eq(&newer.projects)
            && older.environments.ptr_eq(&newer.environments)
            && older.deployments.ptr_eq(&newer.deployments)
            && older.replicas.ptr_eq(&newer.replicas)
            && older.domains.ptr_eq(&newer.domains)
            && older.header_policies.ptr_eq(&newer.header_policies)
            && older.guards.ptr_eq(&newer.guards)
            && older.settings.ptr_eq(&newer.settings)
    }

    /// Where a host, as [`host_of`](crate::host::host_of) writes it, and a path lead. A team's own name goes before one of
    /// the preview domain, and that before a wildcard.
    pub(crate) fn find(&self, host: &str, path: &str) -> Option<Way<'_>> {
        if let Some(label) = label_of(host) {
            return self.labels.get(label).map(Way::To);
        }
        match (self.domains.exact(host), self.previews.get(host)) {
            (Some(leads), _) => self.way(leads, path),
            (None, Some(route)) => Some(Way::To(route)),
            (None, None) => self.way(self.domains.below(host)?, path),
        }
    }

    /// The route of an environment.
    pub(crate) fn route_of(&self, environment: EnvironmentId) -> Option<&Arc<Route>> {
        self.routes.get(&environment)
    }

    /// What shows that a host leads to the cluster that it belongs to.
    pub(crate) fn proof(&self, host: &str) -> Option<&str> {
        match self.domains.find(host) {
            Some(leads) => Some(&leads.proof),
            None => self.previews.contains_key(host).then_some(&self.mark),
        }
    }

    fn way<'a>(&'a self, leads: &'a Leads, path: &str) -> Option<Way<'a>> {
        Some(match leads.at(path) {
            Lead::To(environment) => Way::To(self.routes.get(&environment)?),
            Lead::Away(redirect) => Way::Away(self.routes.get(&leads.environment)?, redirect),
        })
    }

    /// The next route of an environment, with the headers and checks of the last one where they are the same.
    fn route(
        &self,
        state: &State,
        guards: &Arc<Guards>,
        project: &Project,
        environment: &Environment,
        target: Target,
    ) -> Route {
        let policy = state.header_policy(project.id, environment.id);
        let known = self.routes.get(&environment.id);
        let security = known.map(|known| &known.security).filter(|known| known.is(policy));
        let checks = match known {
            Some(known) if Arc::ptr_eq(guards, &self.guards) => known.checks.clone(),
            _ => guards.checks(state, project.id, environment.id),
        };
        Route {
            project: project.id,
            project_name: project.name.clone(),
            disabled: project.disabled,
            environment: environment.id,
            environment_name: environment.name.clone(),
            told: Told::new(project.id, environment.id),
            target,
            security: security.cloned().unwrap_or_else(|| Arc::new(SecurityHeaders::new(policy))),
            checks,
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
mod tests;
