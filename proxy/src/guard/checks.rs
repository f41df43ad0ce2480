//! The guards of a state, made ready for requests. Pure: made when the state changes, never changed.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use imbl::OrdMap;
use temps_state::{
    AttackMode, Country, EnvironmentId, Guard, PasswordRule, ProjectId, RateLimit, Scope, State,
    nearest,
};

use super::pace::Pace;
use crate::networks::Networks;

/// All guards. One lasts until they, or the number of edges that share rates, change.
#[derive(Debug, Default)]
pub(crate) struct Guards {
    source: OrdMap<Scope, Guard>,
    edges: u32,
    walls: HashMap<Scope, Arc<Wall>>,
}

/// Whom one guard keeps out.
#[derive(Debug, Default)]
pub(crate) struct Wall {
    pub(crate) deny: Networks,
    pub(crate) allow: Networks,
    pub(crate) deny_countries: BTreeSet<Country>,
    pub(crate) allow_countries: BTreeSet<Country>,
}

/// What is checked before a request goes on to an environment.
#[derive(Debug)]
pub(crate) struct Checks {
    /// The environment.
    pub(crate) environment: EnvironmentId,
    /// Whom the environment, its project and the cluster keep out.
    pub(crate) walls: Vec<Arc<Wall>>,
    /// How often one client may ask, and what its requests are counted for.
    pub(crate) per_client: Option<(Scope, Pace)>,
    /// How often all clients may ask.
    pub(crate) in_all: Option<(Scope, Pace)>,
    /// Whom to challenge.
    pub(crate) attack: AttackMode,
    /// The hash of the password.
    pub(crate) password: Option<Arc<str>>,
}

impl Guards {
    /// The guards of another state; these very ones where they are the same.
    pub(crate) fn next(self: &Arc<Self>, state: &State) -> Arc<Self> {
        let edges = state.nodes.values().filter(|node| node.is_reachable()).count();
        let edges = u32::try_from(edges.max(1)).unwrap_or(u32::MAX);
        if self.source.ptr_eq(&state.guards) && self.edges == edges {
            return self.clone();
        }
        let wall = |(scope, guard): (&Scope, &Guard)| Some((*scope, Arc::new(Wall::of(guard)?)));
        let walls = state.guards.iter().filter_map(wall).collect();
        Arc::new(Self { source: state.guards.clone(), edges, walls })
    }

    /// What is checked for an environment, if anything is.
    pub(crate) fn checks(
        &self,
        state: &State,
        project: ProjectId,
        environment: EnvironmentId,
    ) -> Option<Arc<Checks>> {
        let guards = state.guards_of(project, environment);
        let walls = guards.iter().filter_map(|(scope, _)| self.walls.get(scope).cloned());
        let pace = |field: fn(&Guard) -> Option<RateLimit>| {
            let (scope, limit) = nearest(&guards, field)?;
            // The cluster's rate is one for each project.
            let counted = if scope == Scope::Cluster { Scope::Project(project) } else { scope };
            Some((counted, Pace::new(limit.rate()?, self.edges)))
        };
        let attack = nearest(&guards, |guard| guard.attack_mode.as_ref());
        let password = nearest(&guards, |guard| guard.password.as_ref());
        let checks = Checks {
            environment,
            walls: walls.collect(),
            per_client: pace(|guard| guard.rate_per_client),
            in_all: pace(|guard| guard.rate_in_all),
            attack: attack.map_or(AttackMode::Off, |(_, mode)| mode.clone()),
            password: password.and_then(|(_, rule)| match rule {
                PasswordRule::Open => None,
                PasswordRule::Asked { hash } => Some(hash.as_str().into()),
            }),
        };
        (!checks.is_nothing()).then(|| Arc::new(checks))
    }
}

impl Wall {
    fn of(guard: &Guard) -> Option<Self> {
        let Guard { deny, allow, deny_countries, allow_countries, .. } = guard;
        let wall = Self {
            deny: deny.iter().collect(),
            allow: allow.iter().collect(),
            deny_countries: deny_countries.clone(),
            allow_countries: allow_countries.clone(),
        };
        let open = wall.deny.is_empty() && wall.allow.is_empty() && !wall.has_countries();
        (!open).then_some(wall)
    }

    /// Whether it asks where a client comes from.
    pub(crate) fn has_countries(&self) -> bool {
        !self.deny_countries.is_empty() || !self.allow_countries.is_empty()
    }
}

impl Checks {
    fn is_nothing(&self) -> bool {
        self.walls.is_empty()
            && self.per_client.is_none()
            && self.in_all.is_none()
            && self.attack == AttackMode::Off
            && self.password.is_none()
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use temps_state::{Id, Node, NodeId, Rate};

    use super::*;

    const RATE: Rate = Rate { requests: 60, seconds: 60, burst: 10 };

    fn state(guards: &[(Scope, Guard)]) -> State {
        let mut state = State::default();
        state.guards.extend(guards.iter().cloned());
        state
    }

    fn checks(state: &State) -> Option<Arc<Checks>> {
        let (project, environment) = (Id::from_parts(0, 1), Id::from_parts(0, 2));
        Arc::new(Guards::default()).next(state).checks(state, project, environment)
    }

    fn node(state: &mut State, id: u64, lost: bool) {
        let at = Timestamp::UNIX_EPOCH;
        let lost_since = lost.then_some(at);
        let node = Node { lost_since, ..Node::new(NodeId(id), format!("n{id}"), at) };
        state.nodes.insert(NodeId(id), node);
    }

    #[test]
    fn nothing_is_checked_where_nothing_is_set() {
        assert!(checks(&state(&[])).is_none());
        let off = Guard {
            attack_mode: Some(AttackMode::Off),
            password: Some(PasswordRule::Open),
            rate_in_all: Some(RateLimit::Off),
            ..Guard::default()
        };
        assert!(checks(&state(&[(Scope::Cluster, off)])).is_none());
        let other = Scope::Project(Id::from_parts(0, 9));
        let on = Guard { attack_mode: Some(AttackMode::On), ..Guard::default() };
        assert!(checks(&state(&[(other, on)])).is_none());
    }

    #[test]
    fn walls_add_up_and_everything_else_is_the_nearest() {
        let deny = |text: &str| BTreeSet::from([text.parse().unwrap()]);
        let cluster = Guard {
            deny: deny("192.0.2.0/24"),
            attack_mode: Some(AttackMode::On),
            rate_per_client: Some(RateLimit::At(RATE)),
            ..Guard::default()
        };
        let environment = Guard {
            deny: deny("198.51.100.0/24"),
            attack_mode: Some(AttackMode::Off),
            ..Guard::default()
        };
        let scope = Scope::Environment(Id::from_parts(0, 2));
        let checks = checks(&state(&[(Scope::Cluster, cluster), (scope, environment)])).unwrap();
        assert_eq!((checks.walls.len(), &checks.attack), (2, &AttackMode::Off));
        let counted = checks.per_client.map(|(scope, _)| scope);
        assert_eq!(counted, Some(Scope::Project(Id::from_parts(0, 1))));
    }

    #[test]
    fn edges_that_live_share_a_rate() {
        let guard = Guard { rate_in_all: Some(RateLimit::At(RATE)), ..Guard::default() };
        let mut state = state(&[(Scope::Cluster, guard)]);
        let pace = |state: &State| checks(state).unwrap().in_all.unwrap().1;
        assert_eq!(pace(&state), Pace::new(RATE, 1));
        for id in 1..=3 {
            node(&mut state, id, id == 3);
        }
        assert_eq!(pace(&state), Pace::new(RATE, 2));
    }

    #[test]
    fn guards_last_until_they_or_the_edges_change() {
        let mut state = state(&[]);
        let first = Arc::new(Guards::default()).next(&state);
        assert!(Arc::ptr_eq(&first, &first.next(&state)));
        node(&mut state, 1, false);
        assert!(Arc::ptr_eq(&first, &first.next(&state)), "one edge is as none");
        node(&mut state, 2, false);
        let second = first.next(&state);
        assert!(!Arc::ptr_eq(&first, &second));
        state.guards.insert(Scope::Cluster, Guard::default());
        assert!(!Arc::ptr_eq(&second, &second.next(&state)));
    }
}
