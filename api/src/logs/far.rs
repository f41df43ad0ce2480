//! What replicas of other nodes write.

use std::collections::BTreeSet;

use axum::http::uri::PathAndQuery;
use jiff::Timestamp;
use temps_scheduler::LogQuery;
use temps_state::{EnvironmentId, NodeId, Replica, ReplicaId, State};

use super::{ContainerLine, TAIL_MAX};
use crate::far::Wish;

/// Whose lines are asked for, and which.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lines {
    pub(super) environment: EnvironmentId,
    /// One replica, as long as it is on that node; all of what is live when `None`.
    pub(super) replica: Option<(ReplicaId, NodeId)>,
    pub(super) asked: LogQuery,
}

impl Lines {
    /// Those whose lines they are; `None` when there can be none any more.
    fn replicas(self, state: &State) -> Option<Vec<&Replica>> {
        let environment = state.environments.get(&self.environment)?;
        match self.replica {
            Some((replica, node)) => {
                let replica = state.replicas.get(&replica)?;
                (replica.node == node).then(|| vec![replica])
            }
            None => {
                Some(environment.current.into_iter().flat_map(|id| state.replicas_of(id)).collect())
            }
        }
    }
}

impl Wish for Lines {
    type Line = ContainerLine;

    fn follows(&self) -> bool {
        self.asked.follow
    }

    fn nodes(&self, state: &State) -> Option<BTreeSet<NodeId>> {
        Some(self.replicas(state)?.into_iter().map(|replica| replica.node).collect())
    }

    fn saw(&mut self, line: &ContainerLine) {
        self.asked.since = self.asked.since.max(Some(line.at));
    }

    fn again(&self, path: &PathAndQuery) -> Option<PathAndQuery> {
        let LogQuery { follow, since, .. } = self.asked;
        let since = since.map(|at| format!("&since={at}")).unwrap_or_default();
        let replica = self.replica.map(|(id, _)| format!("&replica={id}")).unwrap_or_default();
        let path = path.path();
        format!("{path}?follow={follow}&tail={TAIL_MAX}{since}{replica}").parse().ok()
    }

    fn missing(&mut self, state: &State, node: NodeId, why: &str) -> Vec<ContainerLine> {
        let at = Timestamp::now();
        self.asked.since = self.asked.since.or(Some(at));
        let line = |replica: &Replica| ContainerLine {
            at,
            replica: replica.id,
            stream: "temps".into(),
            text: format!("lines are missing here: {why}"),
        };
        let replicas = self.replicas(state).unwrap_or_default().into_iter();
        replicas.filter(|replica| replica.node == node).map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use temps_state::Id;

    use super::*;

    #[test]
    fn what_is_asked_for_again_begins_where_it_broke_off() {
        let replica = ReplicaId::from_parts(1, 2);
        let since = Some("2026-01-02T03:04:05.5Z".parse().expect("a time"));
        let lines = Lines {
            environment: EnvironmentId::from_parts(1, 1),
            replica: Some((replica, NodeId(2))),
            asked: LogQuery { follow: true, tail: 7, since },
        };
        let first = "/api/x?follow=true&tail=7".parse().expect("it is one");
        let again = lines.again(&first).expect("it is one");
        let expected = format!(
            "/api/x?follow=true&tail={TAIL_MAX}&since=2026-01-02T03:04:05.5Z&replica={replica}"
        );
        assert_eq!(again.as_str(), expected);
    }
}
