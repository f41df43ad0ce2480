//! Domains: names of a team's own that lead to its environments.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Command, Condition, DomainName, EnvironmentId, Rejected, Reply, State};

/// The most domains of a cluster.
pub const DOMAINS_MAX: usize = 50_000;
/// The most paths of a domain that lead elsewhere.
pub const DOMAIN_PATHS_MAX: usize = 50;
/// What stands before a name whose TXT record shows who owns it.
pub const PROOF_LABEL: &str = "_temps-challenge";
/// The longest path prefix, in octets.
pub const PATH_PREFIX_BYTES_MAX: usize = 200;
/// The longest address that a domain redirects to, in octets.
pub const REDIRECT_BYTES_MAX: usize = 2_000;

/// A name of a team's own. One row a name: it has one owner in the cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Domain {
    /// The name.
    pub name: DomainName,
    /// The environment that it belongs to and leads to; it goes with it.
    pub environment: EnvironmentId,
    /// Where clients are sent instead.
    pub redirect: Option<Redirect>,
    /// Paths that lead to other environments.
    pub paths: BTreeMap<PathPrefix, EnvironmentId>,
    /// What whoever owns the name can show: served at its well-known path, or put into its TXT record.
    pub proof: String,
    /// When the owner of the name was last seen to be the cluster's.
    pub verified_at: Option<Timestamp>,
    /// When it was added.
    pub created_at: Timestamp,
}

/// Where a domain sends its clients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redirect {
    /// An absolute http or https URL. One that ends with `/` gets the request's path and query appended.
    pub to: String,
    /// How.
    pub status: RedirectStatus,
}

/// How a client is sent elsewhere (RFC 9110 §15.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
#[expect(missing_docs, reason = "named as the status is")]
pub enum RedirectStatus {
    MovedPermanently,
    Found,
    TemporaryRedirect,
    PermanentRedirect,
}

impl TryFrom<u16> for RedirectStatus {
    type Error = String;

    fn try_from(status: u16) -> Result<Self, String> {
        Ok(match status {
            301 => Self::MovedPermanently,
            302 => Self::Found,
            307 => Self::TemporaryRedirect,
            308 => Self::PermanentRedirect,
            other => return Err(format!("{other} is no redirect; use 301, 302, 307 or 308")),
        })
    }
}

impl From<RedirectStatus> for u16 {
    fn from(status: RedirectStatus) -> Self {
        match status {
            RedirectStatus::MovedPermanently => 301,
            RedirectStatus::Found => 302,
            RedirectStatus::TemporaryRedirect => 307,
            RedirectStatus::PermanentRedirect => 308,
        }
    }
}

/// The beginning of a path, of whole segments: `/api` is of `/api` and `/api/x`, not of `/apis`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PathPrefix(String);

impl PathPrefix {
    /// The prefix as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a path begins with it.
    pub fn covers(&self, path: &str) -> bool {
        path.strip_prefix(&self.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl FromStr for PathPrefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.strip_suffix('/').unwrap_or(text);
        let segment = |part: &str| {
            !matches!(part, "" | "." | "..")
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b))
        };
        let segments = text.strip_prefix('/').is_some_and(|rest| rest.split('/').all(segment));
        if segments && text.len() <= PATH_PREFIX_BYTES_MAX {
            Ok(Self(text.into()))
        } else {
            let shown: String = text.chars().take(64).collect();
            Err(format!(
                "`{shown}` is no path such as /api: letters, digits and -._~ between slashes"
            ))
        }
    }
}

impl TryFrom<String> for PathPrefix {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<PathPrefix> for String {
    fn from(prefix: PathPrefix) -> Self {
        prefix.0
    }
}

impl fmt::Display for PathPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for PathPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Domain {
    /// Whether what is seen of the name shows that it is the cluster's: it leads to an edge of the cluster, or its owner
    /// has put the proof where only an owner can. Whoever answers at one name proves nothing of those beside it, so that
    /// of a wildcard only the latter tells.
    pub fn is_proven(&self, leads_here: bool, texts: &[String]) -> bool {
        leads_here && !self.name.is_wildcard() || texts.contains(&self.proof)
    }

    /// Where the proof is looked for in the DNS.
    pub fn proof_name(&self) -> String {
        format!("{PROOF_LABEL}.{}", self.name.base())
    }
}

/// Where a domain leads; replaces what was there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainTarget {
    /// See [`Domain::environment`].
    pub environment: EnvironmentId,
    /// See [`Domain::redirect`].
    pub redirect: Option<Redirect>,
    /// See [`Domain::paths`].
    pub paths: BTreeMap<PathPrefix, EnvironmentId>,
}

impl State {
    /// The domains that lead to an environment, by any path.
    pub fn domains_of(&self, environment: EnvironmentId) -> impl Iterator<Item = &Domain> {
        self.domains.values().filter(move |domain| {
            domain.environment == environment || domain.paths.values().any(|to| *to == environment)
        })
    }

    /// The domain that a host belongs to: itself, or the wildcard above it.
    pub fn domain_of(&self, host: &str) -> Option<&Domain> {
        let exact = host.parse().ok().and_then(|name: DomainName| self.domains.get(&name));
        exact.or_else(|| {
            let (_, rest) = host.split_once('.')?;
            self.domains.get(&format!("*.{rest}").parse::<DomainName>().ok()?)
        })
    }

    /// The domains of a name: itself, and the wildcard of the names below it.
    pub fn domains_at(&self, base: &str) -> impl Iterator<Item = &Domain> {
        let names = [base.to_owned(), format!("*.{base}")];
        names.into_iter().filter_map(|name| self.domains.get(&name.parse::<DomainName>().ok()?))
    }

    /// What says that a domain was seen to be the cluster's, and while what that holds; nothing where the name is another
    /// domain's by now: whoever looked saw nothing of that one.
    pub fn verification_of(&self, seen: &Domain) -> Option<(Command, Condition)> {
        let name = seen.name.clone();
        self.domains.get(&name).filter(|now| now.proof == seen.proof)?;
        let row = format!("domains/{name}");
        let tag = self.tag(&row)?;
        Some((Command::VerifyDomain { name }, Condition { row, tag }))
    }

    pub(crate) fn domain(&self, name: &DomainName) -> Result<&Domain, Rejected> {
        self.domains.get(name).ok_or_else(|| Rejected::not_found("domain", name))
    }

    pub(crate) fn create_domain(&mut self, domain: Domain) -> Result<Reply, Rejected> {
        if self.domains.contains_key(&domain.name) {
            return Err(Rejected::taken("domain", &domain.name));
        }
        if self.domains.len() >= DOMAINS_MAX {
            return Err(Rejected::TooMany { noun: "domains".into(), max: DOMAINS_MAX });
        }
        if domain.name.is_preview(&self.settings().preview_domain) {
            return Err(Rejected::Invalid {
                what: "domain".into(),
                why: format!("the names under {} are the cluster's own", domain.name.base()),
            });
        }
        let Domain { environment, redirect, paths, .. } = &domain;
        self.check_target(*environment, redirect.as_ref(), paths)?;
        self.domains.insert(domain.name.clone(), Domain { verified_at: None, ..domain });
        Ok(Reply::Done)
    }

    pub(crate) fn change_domain(
        &mut self,
        name: &DomainName,
        target: DomainTarget,
    ) -> Result<Reply, Rejected> {
        let DomainTarget { environment, redirect, paths } = target;
        self.check_target(environment, redirect.as_ref(), &paths)?;
        let domain = self.domain(name)?.clone();
        self.domains.insert(name.clone(), Domain { environment, redirect, paths, ..domain });
        Ok(Reply::Done)
    }

    /// Somebody saw that the name is the cluster's, `at` a time. What failed before may be tried again at once.
    pub(crate) fn verify_domain(
        &mut self,
        name: &DomainName,
        at: Timestamp,
    ) -> Result<Reply, Rejected> {
        let domain = self.domain(name)?.clone();
        self.domains.insert(name.clone(), Domain { verified_at: Some(at), ..domain });
        self.retry_order(name);
        Ok(Reply::Done)
    }

    pub(crate) fn delete_domain(&mut self, name: &DomainName) -> Result<Reply, Rejected> {
        self.domain(name)?;
        self.remove_domain(name);
        Ok(Reply::Done)
    }

    fn remove_domain(&mut self, name: &DomainName) {
        self.domains.remove(name);
        self.orders.remove(name);
        self.drop_issued(name);
    }

    /// An environment goes, with the domains that are its own and the paths that lead to it.
    pub(crate) fn forget_environment(&mut self, id: EnvironmentId) {
        let led: Vec<Domain> = self.domains_of(id).cloned().collect();
        for mut domain in led {
            if domain.environment == id {
                self.remove_domain(&domain.name);
            } else {
                domain.paths.retain(|_, to| *to != id);
                self.domains.insert(domain.name.clone(), domain);
            }
        }
    }

    fn check_target(
        &self,
        environment: EnvironmentId,
        redirect: Option<&Redirect>,
        paths: &BTreeMap<PathPrefix, EnvironmentId>,
    ) -> Result<(), Rejected> {
        if paths.len() > DOMAIN_PATHS_MAX {
            return Err(Rejected::TooMany { noun: "paths".into(), max: DOMAIN_PATHS_MAX });
        }
        for id in paths.values().chain([&environment]) {
            self.environment(*id)?;
        }
        redirect.map_or(Ok(()), Redirect::check)
    }
}

impl Redirect {
    /// What can be told of a redirect by itself.
    pub fn check(&self) -> Result<(), Rejected> {
        let host = ["https://", "http://"].iter().find_map(|scheme| self.to.strip_prefix(scheme));
        let host = host.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'));
        let plain = self.to.bytes().all(|b| b.is_ascii_graphic());
        if host && plain && self.to.len() <= REDIRECT_BYTES_MAX {
            return Ok(());
        }
        Err(Rejected::Invalid {
            what: "redirect".into(),
            why: "it is no absolute URL such as https://example.com/".into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_prefix_is_of_whole_segments() {
        let api: PathPrefix = "/api/".parse().unwrap();
        for (path, covered) in
            [("/api", true), ("/api/", true), ("/api/x", true), ("/apis", false), ("/", false)]
        {
            assert_eq!(api.covers(path), covered, "{path}");
        }
        for bad in ["", "/", "api", "//", "/a//b", "/a/../b", "/a?b", "/a b", "/%2e"] {
            assert!(bad.parse::<PathPrefix>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_name_is_proven_by_where_it_leads_or_by_its_text() {
        let domain = |name: &str| Domain {
            name: name.parse().unwrap(),
            environment: crate::Id::from_parts(0, 1),
            redirect: None,
            paths: BTreeMap::new(),
            proof: "proof".into(),
            verified_at: None,
            created_at: Timestamp::UNIX_EPOCH,
        };
        let (right, wrong) = (vec!["proof".to_owned()], vec!["other".to_owned()]);
        for (name, leads_here, texts, proven) in [
            ("a.example.com", false, &wrong, false),
            ("a.example.com", true, &wrong, true),
            ("a.example.com", false, &right, true),
            ("*.example.com", true, &wrong, false),
            ("*.example.com", false, &right, true),
        ] {
            let found = domain(name).is_proven(leads_here, texts);
            assert_eq!(found, proven, "{name} {leads_here} {texts:?}");
        }
    }

    #[test]
    fn what_was_seen_of_a_domain_says_nothing_of_the_next_one_at_its_name() {
        let domain = |proof: &str| Domain {
            name: "a.example.com".parse().unwrap(),
            environment: crate::Id::from_parts(0, 1),
            redirect: None,
            paths: BTreeMap::new(),
            proof: proof.into(),
            verified_at: None,
            created_at: Timestamp::UNIX_EPOCH,
        };
        let (first, next) = (domain("first"), domain("next"));
        let with = |domain: &Domain| {
            let mut state = State::default();
            state.domains.insert(domain.name.clone(), domain.clone());
            state
        };
        let says = |state: &mut State, (command, condition): (Command, Condition)| {
            let entry = crate::Entry {
                at: Timestamp::UNIX_EPOCH,
                actor: crate::Actor::Node { id: crate::NodeId(1) },
                from: None,
                request: None,
                condition: Some(condition),
                command,
            };
            state.apply(1, entry)
        };
        let seen = with(&first).verification_of(&first).unwrap();
        says(&mut with(&first), seen.clone()).unwrap();
        // It went and came again as another's, before that was told and after.
        assert!(with(&next).verification_of(&first).is_none());
        let mut state = with(&next);
        assert!(matches!(says(&mut state, seen), Err(Rejected::Changed { .. })));
        assert_eq!(state.domains[&next.name].verified_at, None);
        // What else of it changes meanwhile is no hindrance.
        let mut moved = first.clone();
        moved.environment = crate::Id::from_parts(0, 2);
        let mut state = with(&moved);
        let seen = state.verification_of(&first).unwrap();
        says(&mut state, seen).unwrap();
        assert!(state.domains[&next.name].verified_at.is_some());
    }

    #[test]
    fn a_redirect_names_a_whole_url() {
        for (to, right) in [
            ("https://example.com/", true),
            ("http://example.com/x?y=1", true),
            ("example.com", false),
            ("https://", false),
            ("https:///x", false),
            ("javascript:alert(1)", false),
            ("https://example.com/\r\nX: y", false),
        ] {
            let redirect = Redirect { to: to.into(), status: RedirectStatus::Found };
            assert_eq!(redirect.check().is_ok(), right, "{to}");
        }
        assert!(RedirectStatus::try_from(200).is_err());
    }
}
