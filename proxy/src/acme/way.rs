//! Whether an authority that looks in the DNS would find the cluster. Only then is it asked: its own looks are counted.

use std::net::IpAddr;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use temps_state::{CHALLENGE_LABEL, Challenge, ChallengeKind, Domain, DomainName, State};
use tokio::time::{Instant, sleep};

use super::error::AcmeError;
use crate::domain_probe::{DomainProbe, Names, in_time};

/// How long the records of a DNS provider may take until they are seen, with what resolvers still remember.
pub(crate) const SEEN_WITHIN: Duration = Duration::from_secs(100);
/// How often it is looked for them.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Looks where an authority would look.
pub(crate) async fn check(
    state: &State,
    probe: &DomainProbe,
    name: &DomainName,
) -> Result<(), AcmeError> {
    match state.domains.get(name) {
        _ if name.is_wildcard() => check_texts(state, probe.names(), name).await,
        // One that had a certificate leads here, and clients in front of the cluster may see more than it does.
        Some(domain) if state.issued_for(name).is_none() => {
            check_addresses(state, probe, domain).await
        }
        _ => Ok(()),
    }
}

/// Looks whether a name leads to an edge: by its address, or because the cluster answers there.
async fn check_addresses(
    state: &State,
    probe: &DomainProbe,
    domain: &Domain,
) -> Result<(), AcmeError> {
    let edges = state.edge_addresses();
    let is_edge = |address: &IpAddr| edges.iter().any(|edge| edge.address == *address);
    if probe.found(&domain.name).await.iter().any(is_edge)
        || probe.leads_here(&domain.name, &domain.proof).await
    {
        return Ok(());
    }
    Err(AcmeError::NotLed { at: domain.name.to_string(), next: LEAD.into() })
}

/// Looks for what proves the names below a wildcard.
async fn check_texts(state: &State, names: &dyn Names, name: &DomainName) -> Result<(), AcmeError> {
    let at = format!("{CHALLENGE_LABEL}.{}", name.base());
    let texts = in_time(names.texts(at.clone())).await;
    match texts.is_ok_and(|texts| texts.contains(&state.zone_mark())) {
        true => Ok(()),
        false => Err(AcmeError::NotLed { next: next(state, name, &at), at }),
    }
}

/// Waits until answers are seen that a DNS provider is to show; the cluster's own edges show theirs already.
pub(crate) async fn wait_for_answers(
    state: &State,
    names: &dyn Names,
    challenges: &[Challenge],
    within: Duration,
) -> Result<(), AcmeError> {
    let until = Instant::now() + within;
    let kept = |challenge: &&Challenge| {
        challenge.kind == ChallengeKind::Dns01 && state.dns_zone_of(&challenge.host).is_some()
    };
    for Challenge { host, answer, .. } in challenges.iter().filter(kept) {
        let at = format!("{CHALLENGE_LABEL}.{host}");
        let answer = URL_SAFE_NO_PAD.encode(Sha256::digest(answer.as_bytes()));
        while !in_time(names.texts(at.clone())).await.is_ok_and(|texts| texts.contains(&answer)) {
            if Instant::now() >= until {
                return Err(AcmeError::NotLed { next: KEPT.into(), at });
            }
            sleep(LOOK_EVERY).await;
        }
    }
    Ok(())
}

/// What to do where a name leads elsewhere.
const LEAD: &str = "create the records that `temps domains show` names; where a node is reached at an address that it \
                    does not know, label it (temps nodes label NODE public-address=ADDRESS)";

/// What to do where a DNS provider is to have the records.
const KEPT: &str = "`temps dns providers list` shows what keeps its record from being at the DNS \
                    provider; it takes a minute or two to be seen everywhere";

/// What leads there.
fn next(state: &State, name: &DomainName, at: &str) -> String {
    if state.dns_zone_of(name.base()).is_some() {
        return KEPT.into();
    }
    let dns = state.settings().dns;
    match (dns.zone_of(name.base()), dns.zones.first()) {
        (Some(zone), _) => {
            format!("delegate {zone} to the nodes, and start them with --dns")
        }
        (None, Some(zone)) => format!(
            "create {at} CNAME {CHALLENGE_LABEL}.{zone}, or bring a certificate (temps certificates add)"
        ),
        (None, None) => "bring a certificate (temps certificates add)".into(),
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::net::IpAddr;

    use futures::future::{BoxFuture, ready};
    use temps_state::{ClusterKey, DnsProvider, DnsSettings, Id, Settings};

    use super::*;

    /// The same texts at every name; an error without any.
    struct Texts(Option<Vec<String>>);

    impl Names for Texts {
        fn addresses(&self, _: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
            Box::pin(ready(Ok(vec![])))
        }

        fn texts(&self, _: String) -> BoxFuture<'static, io::Result<Vec<String>>> {
            let texts = self.0.clone().ok_or_else(|| io::ErrorKind::TimedOut.into());
            Box::pin(ready(texts))
        }
    }

    #[tokio::test]
    async fn only_the_clusters_own_mark_shows_the_way() {
        let mut state = State::default();
        let dns = DnsSettings { zones: vec!["apps.example.com".parse().unwrap()] };
        state.settings.insert(0, Settings { dns, ..Settings::default() });
        let inside: DomainName = "*.a.apps.example.com".parse().unwrap();
        let outside: DomainName = "*.example.net".parse().unwrap();
        let others = vec!["temps=another".to_owned()];
        for (name, found, why) in [
            (&inside, Some(vec!["x".into(), state.zone_mark()]), None),
            (&inside, Some(others), Some("delegate apps.example.com")),
            (&inside, None, Some("delegate apps.example.com")),
            (
                &outside,
                Some(vec![]),
                Some("_acme-challenge.example.net CNAME _acme-challenge.apps.example.com"),
            ),
        ] {
            let checked = check_texts(&state, &Texts(found), name).await;
            let said = checked.err().map(|error| error.to_string());
            match why {
                Some(why) => assert!(said.as_ref().is_some_and(|s| s.contains(why)), "{said:?}"),
                None => assert_eq!(said, None),
            }
        }
    }

    /// A state with an account in whose zone is example.net.
    fn with_provider() -> State {
        let provider = DnsProvider {
            id: Id::from_parts(0, 1),
            name: "dns".parse().unwrap(),
            kind: "rfc2136".into(),
            zones: vec!["example.net".parse().unwrap()],
            credentials: ClusterKey::new([0; 32]).seal([0; 12], "", "").unwrap(),
            takes_over: false,
            managed: Default::default(),
            trouble: None,
            created_at: jiff::Timestamp::UNIX_EPOCH,
        };
        let mut state = State::default();
        state.dns_providers.insert(provider.id, provider);
        state
    }

    #[tokio::test]
    async fn answers_at_a_dns_provider_are_waited_for() {
        let state = with_provider();
        let answer = URL_SAFE_NO_PAD.encode(Sha256::digest(b"t.key"));
        let right = Texts(Some(vec!["x".into(), answer]));
        let wrong = Texts(Some(vec!["x".into()]));
        for (host, kind, names, seen) in [
            ("example.net", ChallengeKind::Dns01, &right, true),
            ("a.example.net", ChallengeKind::Dns01, &wrong, false),
            ("example.net", ChallengeKind::Dns01, &Texts(None), false),
            ("example.net", ChallengeKind::Http01, &wrong, true),
            ("example.com", ChallengeKind::Dns01, &wrong, true),
        ] {
            let (host, token, answer) = (host.into(), "t".into(), "t.key".into());
            let challenges = [Challenge { host, kind, token, answer }];
            let waited = wait_for_answers(&state, names, &challenges, Duration::ZERO).await;
            assert_eq!(waited.is_ok(), seen, "{challenges:?}");
        }
        let name: DomainName = "*.example.net".parse().unwrap();
        let said = check_texts(&state, &wrong, &name).await.unwrap_err().to_string();
        assert!(said.contains("temps dns providers list"), "{said}");
    }
}
