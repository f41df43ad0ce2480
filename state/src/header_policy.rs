//! Security headers: what the edge adds to answers, for the cluster, a project or an environment.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::table::retain;
use crate::{EnvironmentId, ProjectId, Rejected, Reply, State};

/// The most headers of a policy of one's own.
pub const POLICY_HEADERS_MAX: usize = 50;
/// The longest name or value of them, in octets.
pub const POLICY_HEADER_BYTES_MAX: usize = 4_096;

/// For what a policy holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// Everything that has none of its own.
    Cluster,
    /// A project's environments that have none of their own.
    Project(ProjectId),
    /// An environment.
    Environment(EnvironmentId),
}

/// What Scope's text of the whole cluster is.
const CLUSTER: &str = "cluster";

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster => f.write_str(CLUSTER),
            Self::Project(id) => id.fmt(f),
            Self::Environment(id) => id.fmt(f),
        }
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == CLUSTER {
            return Ok(Self::Cluster);
        }
        let project = text.parse().map(Self::Project);
        project
            .or_else(|_| text.parse().map(Self::Environment))
            .map_err(|_| format!("`{text}` is neither a project nor an environment"))
    }
}

impl Serialize for Scope {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Which security headers answers get that have none of that name. What an app sends itself is never changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "preset", rename_all = "snake_case")]
pub enum HeaderPolicy {
    /// None.
    #[default]
    Off,
    /// Those that break no app which works over HTTPS.
    Permissive,
    /// Those that suit most apps.
    Moderate,
    /// Those that let a page load nothing from elsewhere and be shown in no frame.
    Strict,
    /// These.
    Custom {
        /// By name, in lower case.
        headers: BTreeMap<String, String>,
    },
}

impl HeaderPolicy {
    fn check(&self) -> Result<(), Rejected> {
        let Self::Custom { headers } = self else { return Ok(()) };
        if headers.len() > POLICY_HEADERS_MAX {
            return Err(Rejected::TooMany { noun: "headers".into(), max: POLICY_HEADERS_MAX });
        }
        let right = |(name, value): (&String, &String)| {
            !name.is_empty()
                && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
                && value.bytes().all(|b| b.is_ascii_graphic() || b == b' ')
                && name.len().max(value.len()) <= POLICY_HEADER_BYTES_MAX
        };
        match headers.iter().find(|header| !right(*header)) {
            Some((name, _)) => Err(Rejected::Invalid {
                what: "header".into(),
                why: format!("`{name}` or its value has characters that no header has"),
            }),
            None => Ok(()),
        }
    }
}

impl State {
    /// The policy that holds for an environment: its own, else its project's, else the cluster's.
    pub fn header_policy(&self, project: ProjectId, environment: EnvironmentId) -> &HeaderPolicy {
        let scopes = [Scope::Environment(environment), Scope::Project(project), Scope::Cluster];
        let own = scopes.iter().find_map(|scope| self.header_policies.get(scope));
        own.unwrap_or(&HeaderPolicy::Off)
    }

    /// Sets the policy of a scope; without one, that of the wider scope holds.
    pub(crate) fn set_header_policy(
        &mut self,
        scope: Scope,
        policy: Option<HeaderPolicy>,
    ) -> Result<Reply, Rejected> {
        match scope {
            Scope::Cluster => {}
            Scope::Project(id) => drop(self.project(id)?),
            Scope::Environment(id) => drop(self.environment(id)?),
        }
        match policy {
            Some(policy) => {
                policy.check()?;
                self.header_policies.insert(scope, policy);
            }
            None => drop(self.header_policies.remove(&scope)),
        }
        Ok(Reply::Done)
    }

    /// Drops the policies of what is gone.
    pub(crate) fn forget_policies(&mut self) {
        let Self { projects, environments, .. } = self.clone();
        retain(&mut self.header_policies, |scope, _| match scope {
            Scope::Cluster => true,
            Scope::Project(id) => projects.contains_key(id),
            Scope::Environment(id) => environments.contains_key(id),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Id;

    #[test]
    fn a_scope_reads_back_what_it_prints() {
        let project = Scope::Project(ProjectId::from_parts(1, 2));
        let environment = Scope::Environment(EnvironmentId::from_parts(1, 2));
        for scope in [Scope::Cluster, project, environment] {
            assert_eq!(scope.to_string().parse(), Ok(scope));
        }
        assert!("dep_1".parse::<Scope>().is_err());
    }

    #[test]
    fn the_nearest_policy_holds() {
        let (project, environment) = (ProjectId::from_parts(1, 2), EnvironmentId::from_parts(1, 2));
        let mut state = State::default();
        let mut held = |scope, policy: &HeaderPolicy| {
            state.header_policies.insert(scope, policy.clone());
            state.header_policy(project, environment).clone()
        };
        for (scope, policy) in [
            (Scope::Cluster, HeaderPolicy::Permissive),
            (Scope::Project(project), HeaderPolicy::Off),
            (Scope::Environment(environment), HeaderPolicy::Strict),
        ] {
            assert_eq!(held(scope, &policy), policy);
        }
    }

    #[test]
    fn headers_that_would_split_an_answer_are_refused() {
        for (name, value, right) in [
            ("x-frame-options", "DENY", true),
            ("X-Frame", "DENY", false),
            ("x", "a\r\nset-cookie: b", false),
            ("", "a", false),
        ] {
            let headers = BTreeMap::from([(name.into(), value.into())]);
            let policy = HeaderPolicy::Custom { headers };
            let set = State::default().set_header_policy(Scope::Cluster, Some(policy));
            assert_eq!(set.is_ok(), right, "{name}: {value}");
        }
    }
}
