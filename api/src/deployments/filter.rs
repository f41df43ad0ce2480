//! Which deployments of a project are listed.

use serde::Deserialize;
use temps_state::{Deployment, EnvironmentId, Source, State};
use utoipa::IntoParams;

use crate::ApiError;
use crate::audit::ActorOut;

/// The longest text that is searched for, in octets.
pub const SEARCH_BYTES_MAX: usize = 200;

/// Which deployments to list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Only those of one environment, by name or id.
    pub environment: Option<String>,
    /// Only those with this in their number (`#7`), phase, branch, commit, message, author, image or in the name of whoever asked
    /// for them; 200 octets at most.
    pub search: Option<String>,
}

/// What a [`Filter`] asks for.
pub(crate) struct Wanted {
    environment: Option<EnvironmentId>,
    /// In lower case.
    search: Option<String>,
}

impl Wanted {
    pub fn read(
        environment: Option<EnvironmentId>,
        search: Option<String>,
    ) -> Result<Self, ApiError> {
        if search.as_ref().is_some_and(|text| text.len() > SEARCH_BYTES_MAX) {
            let why = format!("search for {SEARCH_BYTES_MAX} octets at most");
            return Err(ApiError::invalid("search", why));
        }
        Ok(Self { environment, search: search.map(|text| text.trim().to_lowercase()) })
    }

    pub fn has(&self, state: &State, deployment: &Deployment) -> bool {
        let is_there = self.environment.is_none_or(|wanted| deployment.environment == wanted);
        is_there && self.search.as_deref().is_none_or(|text| mentions(state, deployment, text))
    }
}

/// Whether `text`, in lower case, is in what people see of a deployment.
fn mentions(state: &State, deployment: &Deployment, text: &str) -> bool {
    let Deployment { number, phase, source, revision, created_by, .. } = deployment;
    let is_in = |part: &str| part.to_lowercase().contains(text);
    let by_revision = revision.as_ref().is_some_and(|revision| {
        let branch = revision.branch.as_deref().unwrap_or_default();
        [branch, &revision.commit, &revision.message, &revision.author].into_iter().any(is_in)
    });
    let by_source = match source {
        Source::Git { branch, commit, .. } => branch.iter().chain(commit).any(|part| is_in(part)),
        Source::Image { reference } => is_in(reference),
        Source::Upload { .. } | Source::Artifact { .. } => false,
    };
    let ActorOut { name, email, .. } = ActorOut::of(state, created_by);
    let by_whom = name.iter().chain(&email).any(|part| is_in(part));
    by_revision
        || by_source
        || by_whom
        || is_in(phase.name())
        || format!("#{number}").contains(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_is_bounded_and_takes_any_case() {
        assert!(Wanted::read(None, Some("a".repeat(SEARCH_BYTES_MAX + 1))).is_err());
        let wanted = Wanted::read(None, Some(" Log-In ".into())).unwrap();
        assert_eq!(wanted.search.as_deref(), Some("log-in"));
    }
}
