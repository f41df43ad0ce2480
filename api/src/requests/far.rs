//! What the edges of other nodes have answered.

use std::collections::BTreeSet;

use axum::http::uri::PathAndQuery;
use jiff::Timestamp;
use temps_state::{EnvironmentId, NodeId, State};

use super::{RequestLine, TAIL_MAX};
use crate::far::Wish;

/// Whose requests are asked for, and since when.
#[derive(Debug, Clone, Copy)]
pub(super) struct FromOthers {
    pub(super) environment: EnvironmentId,
    /// The only one to ask, if there is one.
    pub(super) node: Option<NodeId>,
    pub(super) follow: bool,
    pub(super) since: Option<Timestamp>,
}

impl Wish for FromOthers {
    type Line = RequestLine;

    fn follows(&self) -> bool {
        self.follow
    }

    /// Any edge may be asked for anything.
    fn nodes(&self, state: &State) -> Option<BTreeSet<NodeId>> {
        state.environments.get(&self.environment)?;
        let asked = |node: &NodeId| self.node.is_none_or(|only| only == *node);
        Some(state.nodes.keys().copied().filter(asked).collect())
    }

    fn saw(&mut self, line: &RequestLine) {
        if let RequestLine::Request(seen) = line {
            self.since = self.since.max(Some(seen.at));
        }
    }

    fn again(&self, path: &PathAndQuery) -> Option<PathAndQuery> {
        let is_kept = |pair: &&str| {
            !pair.is_empty() && !pair.starts_with("since=") && !pair.starts_with("tail=")
        };
        let query = path.query().unwrap_or_default();
        let mut pairs: Vec<String> = query.split('&').filter(is_kept).map(str::to_owned).collect();
        pairs.push(format!("tail={TAIL_MAX}"));
        pairs.extend(self.since.map(|at| format!("since={at}")));
        format!("{}?{}", path.path(), pairs.join("&")).parse().ok()
    }

    fn missing(&mut self, _: &State, node: NodeId, why: &str) -> Vec<RequestLine> {
        let at = Timestamp::now();
        self.since = self.since.or(Some(at));
        vec![RequestLine::Missing { at, node, why: why.to_owned() }]
    }
}

#[cfg(test)]
mod tests {
    use temps_state::Id;

    use super::*;

    #[test]
    fn what_is_asked_for_again_keeps_the_filter_and_begins_where_it_broke_off() {
        let since = Some("2026-01-02T03:04:05.5Z".parse().expect("a time"));
        let environment = EnvironmentId::from_parts(1, 1);
        let wish = FromOthers { environment, node: None, follow: true, since };
        let first = "/api/x?follow=true&tail=7&since=2025-01-02T03:04:05Z&path=%2Fa%26b&status=5xx";
        let again = wish.again(&first.parse().expect("it is one")).expect("it is one");
        let expected =
            "/api/x?follow=true&path=%2Fa%26b&status=5xx&tail=1000&since=2026-01-02T03:04:05.5Z";
        assert_eq!(again.as_str(), expected);
    }
}
