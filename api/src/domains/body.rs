//! What clients send about a domain, and what the cluster keeps of it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Deserializer, Serialize};
use temps_state::{
    Domain, DomainName, DomainTarget, Environment, EnvironmentId, PRODUCTION, PathPrefix, Redirect,
    RedirectStatus, State,
};
use utoipa::{IntoParams, ToSchema};

use super::circle;
use crate::{ApiError, ids};

/// A domain to add.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewDomain)]
pub struct DomainIn {
    /// The name, of two labels at least; the first may be `*`.
    #[schema(value_type = String)]
    pub name: DomainName,
    /// The name or id of the project that it leads to.
    pub project: String,
    /// The name or id of the environment; production when missing.
    pub environment: Option<String>,
    /// Where clients are sent instead.
    pub redirect: Option<RedirectBody>,
    /// Paths that lead elsewhere: `project`, `project/environment` or the id of an environment, by prefix.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>)]
    pub paths: BTreeMap<PathPrefix, String>,
}

/// What to change of a domain; what is left out stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DomainChange)]
pub struct ChangeIn {
    /// The name or id of the project that it leads to.
    pub project: Option<String>,
    /// The name or id of the environment; of the project as it is, or production of a new one.
    pub environment: Option<String>,
    /// Where clients are sent instead; `null` sends them nowhere else any more.
    #[serde(default, deserialize_with = "some")]
    pub redirect: Option<Option<RedirectBody>>,
    /// All paths that lead elsewhere.
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    pub paths: Option<BTreeMap<PathPrefix, String>>,
}

/// Where a domain sends its clients.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Redirect)]
pub struct RedirectBody {
    /// An absolute http or https URL. One that ends with `/` gets the request's path and query appended.
    pub to: String,
    /// 301, 302, 307 or 308; 301 when missing.
    #[serde(default = "moved")]
    #[schema(value_type = u16)]
    pub status: RedirectStatus,
}

/// Which domains to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DomainQuery {
    /// Those that lead to this project, by its name or id.
    pub project: Option<String>,
    /// Those that lead to this environment of it.
    pub environment: Option<String>,
}

fn moved() -> RedirectStatus {
    RedirectStatus::MovedPermanently
}

/// Tells `null` from what is left out.
fn some<'de, D: Deserializer<'de>, T: Deserialize<'de>>(value: D) -> Result<Option<T>, D::Error> {
    T::deserialize(value).map(Some)
}

impl From<&Redirect> for RedirectBody {
    fn from(redirect: &Redirect) -> Self {
        Self { to: redirect.to.clone(), status: redirect.status }
    }
}

impl RedirectBody {
    fn read(self) -> Result<Redirect, ApiError> {
        let redirect = Redirect { to: self.to, status: self.status };
        redirect.check().map_err(|_| {
            let why = "give an absolute URL, such as https://example.com/";
            ApiError::invalid("redirect.to", why)
        })?;
        Ok(redirect)
    }
}

/// Refuses a target that sends clients back to where they were sent on.
fn refuse_circle(state: &State, name: &DomainName, target: &DomainTarget) -> Result<(), ApiError> {
    let Some(names) = circle::of(state, name, target) else { return Ok(()) };
    let names: Vec<&str> = names.iter().map(DomainName::as_str).collect();
    let why = format!("it would send clients in a circle: {}", names.join(" to "));
    Err(ApiError::invalid("redirect.to", why))
}

/// Refuses a name that the DNS tells of a node.
fn refuse_hidden(state: &State, name: &DomainName) -> Result<(), ApiError> {
    let settings = state.settings();
    let Some(zone) = settings.dns.hiding(name) else { return Ok(()) };
    let why = format!(
        "{} is what a node is called that answers in the DNS for the cluster's zone {zone}: take another name",
        name.base()
    );
    Err(ApiError::invalid("name", why))
}

impl DomainIn {
    /// Where the new domain leads.
    pub(super) fn target(self, state: &State) -> Result<DomainTarget, ApiError> {
        let Self { name, project, environment, redirect, paths } = self;
        refuse_hidden(state, &name)?;
        let target = DomainTarget {
            environment: place(state, &project, environment.as_deref())?.id,
            redirect: redirect.map(RedirectBody::read).transpose()?,
            paths: read_paths(state, paths)?,
        };
        refuse_circle(state, &name, &target)?;
        Ok(target)
    }
}

impl ChangeIn {
    /// Where a domain leads from now on.
    pub(super) fn target(self, state: &State, domain: &Domain) -> Result<DomainTarget, ApiError> {
        let Self { project, environment, redirect, paths } = self;
        let own = state.environments.get(&domain.environment).map(|own| own.project.to_string());
        let environment = match (project.or(own.filter(|_| environment.is_some())), environment) {
            (Some(project), environment) => place(state, &project, environment.as_deref())?.id,
            (None, _) => domain.environment,
        };
        let is_sent_on = redirect.is_some() || paths.is_some();
        let redirect = match redirect {
            None => domain.redirect.clone(),
            Some(redirect) => redirect.map(RedirectBody::read).transpose()?,
        };
        let paths = match paths {
            None => domain.paths.clone(),
            Some(paths) => read_paths(state, paths)?,
        };
        let target = DomainTarget { environment, redirect, paths };
        // A circle that is there already keeps nobody from changing anything else.
        if is_sent_on {
            refuse_circle(state, &domain.name, &target)?;
        }
        Ok(target)
    }
}

impl DomainQuery {
    /// The environments that are meant; `None` for all.
    pub(super) fn environments(
        &self,
        state: &State,
    ) -> Result<Option<BTreeSet<EnvironmentId>>, ApiError> {
        match (&self.project, &self.environment) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(ApiError::invalid("environment", "name its project, too")),
            (Some(project), None) => {
                let project = ids::project(state, project)?.id;
                Ok(Some(state.environments_of(project).map(|one| one.id).collect()))
            }
            (Some(project), environment) => {
                Ok(Some([place(state, project, environment.as_deref())?.id].into()))
            }
        }
    }
}

fn place<'a>(
    state: &'a State,
    project: &str,
    environment: Option<&str>,
) -> Result<&'a Environment, ApiError> {
    let project = ids::project(state, project)?;
    ids::environment(state, project, environment.unwrap_or(PRODUCTION))
}

fn read_paths(
    state: &State,
    paths: BTreeMap<PathPrefix, String>,
) -> Result<BTreeMap<PathPrefix, EnvironmentId>, ApiError> {
    let read = |(prefix, text): (PathPrefix, String)| {
        let by_id = text.parse().ok().and_then(|id: EnvironmentId| state.environments.get(&id));
        let by_name = || match text.split_once('/') {
            Some((project, environment)) => place(state, project, Some(environment)),
            None => place(state, &text, None),
        };
        Ok((prefix, by_id.map_or_else(by_name, Ok)?.id))
    };
    paths.into_iter().map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domains::fixtures::{domain, with_environment};

    #[test]
    fn a_circle_is_named_and_keeps_nobody_from_other_changes() {
        let mut state = with_environment();
        let sent = |name: &str, to: &str| {
            let redirect = RedirectBody { to: to.into(), status: moved() }.read().unwrap();
            Domain { redirect: Some(redirect), ..domain(name) }
        };
        let (one, two) =
            (domain("one.example.com"), sent("two.example.com", "https://one.example.com/"));
        for domain in [&one, &two] {
            state.domains.insert(domain.name.clone(), domain.clone());
        }
        let change = |state: &State, domain: &Domain, body: serde_json::Value| {
            serde_json::from_value::<ChangeIn>(body).unwrap().target(state, domain)
        };
        let back = serde_json::json!({"redirect": {"to": "https://two.example.com/"}});
        let refused = change(&state, &one, back).unwrap_err().to_string();
        let circle = "one.example.com to two.example.com to one.example.com";
        assert!(refused.contains(circle), "{refused}");
        let one = sent("one.example.com", "https://two.example.com/");
        state.domains.insert(one.name.clone(), one.clone());
        assert!(change(&state, &one, serde_json::json!({"project": "shop"})).is_ok());
        assert!(change(&state, &one, serde_json::json!({"redirect": null})).is_ok());
        let whole = RedirectBody { to: "www.example.com".into(), status: moved() };
        assert!(whole.read().is_err());
    }

    #[test]
    fn paths_name_environments_in_three_ways() {
        let state = with_environment();
        let id = domain("example.com").environment;
        let read = |text: &str| {
            let paths = BTreeMap::from([("/api".parse().unwrap(), text.into())]);
            read_paths(&state, paths).ok().and_then(|paths| paths.into_values().next())
        };
        for text in ["shop", "shop/production", &id.to_string()] {
            assert_eq!(read(text), Some(id), "{text}");
        }
        for text in ["nobody", "shop/staging", "", "/"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
