//! Whether domains send clients in a circle. Pure.

use jiff::Timestamp;
use temps_state::{Domain, DomainName, DomainTarget, State};

/// How many redirects are followed; browsers follow about as many.
const REDIRECTS_MAX: usize = 16;

/// The circle that clients would go in who ask for a domain with that target; its first name is the last, too.
pub(super) fn of(
    state: &State,
    name: &DomainName,
    target: &DomainTarget,
) -> Option<Vec<DomainName>> {
    let DomainTarget { environment, redirect, paths } = target.clone();
    let mut url = redirect.as_ref()?.to.clone();
    let changed = Domain {
        name: name.clone(),
        environment,
        redirect,
        paths,
        proof: String::new(),
        verified_at: None,
        created_at: Timestamp::UNIX_EPOCH,
    };
    let mut after = state.clone();
    after.domains.insert(name.clone(), changed);
    let mut passed = vec![name.clone()];
    for _ in 0..REDIRECTS_MAX {
        let (host, path) = host_and_path(&url);
        let next = after.domain_of(&host)?;
        if next.paths.keys().any(|prefix| prefix.covers(&path)) {
            return None;
        }
        let before = passed.iter().position(|one| *one == next.name);
        passed.push(next.name.clone());
        if let Some(before) = before {
            return Some(passed.split_off(before));
        }
        url = next.redirect.as_ref()?.to.clone();
    }
    None
}

/// The host of an absolute URL, as names are written, and its path.
fn host_and_path(url: &str) -> (String, String) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let whole = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, path) = whole.split_once('/').unwrap_or((whole, ""));
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = host.split(':').next().unwrap_or_default().trim_end_matches('.');
    (host.to_ascii_lowercase(), format!("/{path}"))
}

#[cfg(test)]
mod tests {
    use temps_state::{Redirect, RedirectStatus};

    use super::*;
    use crate::domains::fixtures::domain;

    fn sent(name: &str, to: Option<&str>, path: Option<&str>) -> Domain {
        let domain = domain(name);
        let redirect =
            to.map(|to| Redirect { to: to.into(), status: RedirectStatus::MovedPermanently });
        let paths = path.map(|path| (path.parse().unwrap(), domain.environment));
        Domain { redirect, paths: paths.into_iter().collect(), ..domain }
    }

    fn state(domains: &[(&str, Option<&str>, Option<&str>)]) -> State {
        let mut state = State::default();
        for (name, to, path) in domains {
            let domain = sent(name, *to, *path);
            state.domains.insert(domain.name.clone(), domain);
        }
        state
    }

    fn circle(state: &State, name: &str, to: &str, path: Option<&str>) -> String {
        let Domain { name, environment, redirect, paths, .. } = sent(name, Some(to), path);
        let found = of(state, &name, &DomainTarget { environment, redirect, paths });
        let names = found.unwrap_or_default();
        names.iter().map(DomainName::as_str).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_domain_leads_not_to_itself() {
        let state = state(&[("*.example.com", None, None), ("www.example.com", None, None)]);
        for (name, to, round) in [
            ("example.com", "https://www.example.com/", false),
            ("example.com", "https://example.com/", true),
            ("example.com", "http://Example.com:8080/x", true),
            ("example.com", "https://me@example.com?x", true),
            ("*.example.com", "https://www.example.com/", false),
            ("*.example.com", "https://other.example.com/", true),
            ("*.example.com", "https://example.com/", false),
        ] {
            let wanted = if round { format!("{name} {name}") } else { String::new() };
            assert_eq!(circle(&state, name, to, None), wanted, "{name} to {to}");
        }
        let to = "https://example.com/start";
        assert_eq!(circle(&state, "example.com", to, Some("/start")), "", "an app answers there");
    }

    #[test]
    fn a_circle_over_several_domains_is_found() {
        let state = state(&[
            ("b.example.com", Some("https://c.example.org/"), Some("/docs")),
            ("*.example.org", Some("https://a.example.com/"), None),
            ("x.example.com", Some("https://y.example.com/"), None),
            ("y.example.com", Some("https://x.example.com/"), None),
            ("end.example.com", None, None),
            ("out.example.com", Some("https://example.net/"), None),
        ]);
        for (to, round) in [
            ("https://b.example.com/", "a.example.com b.example.com *.example.org a.example.com"),
            ("https://any.example.org/x", "a.example.com *.example.org a.example.com"),
            ("https://x.example.com/", "x.example.com y.example.com x.example.com"),
            ("https://b.example.com/docs/", ""),
            ("https://end.example.com/", ""),
            ("https://out.example.com/", ""),
            ("https://example.net/", ""),
        ] {
            assert_eq!(circle(&state, "a.example.com", to, None), round, "to {to}");
        }
    }

    #[test]
    fn a_way_without_end_is_followed_for_a_while() {
        let names: Vec<String> = (0..99).map(|n| format!("n{n}.example.com")).collect();
        let mut state = State::default();
        for pair in names.windows(2) {
            let domain = sent(&pair[0], Some(&format!("https://{}/", pair[1])), None);
            state.domains.insert(domain.name.clone(), domain);
        }
        assert_eq!(circle(&state, "a.example.com", "https://n0.example.com/", None), "");
    }
}
