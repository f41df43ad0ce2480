//! What becomes of a request that is guarded. Pure.

use std::net::IpAddr;
use std::time::Duration;

use temps_state::{AttackMode, Country, Trigger};

use super::checks::{Checks, Wall};
use crate::error_page::Fault;

/// What is known of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked {
    /// Who asks.
    pub(crate) client: IpAddr,
    /// Where they are.
    pub(crate) place: Place,
    /// How long the client should wait, when it asked too often.
    pub(crate) client_wait: Option<Duration>,
    /// How long everybody should.
    pub(crate) common_wait: Option<Duration>,
    /// Whether it brings a pass of a challenge that it solved.
    pub(crate) passed: bool,
    /// Whether somebody at its address solved one of late.
    pub(crate) known: bool,
    /// Whether it gave a reason for a challenge of late.
    pub(crate) suspect: bool,
    /// Whether the request looks like a scanner's.
    pub(crate) suspicious: bool,
    /// Whether it brings a pass that the password got it.
    pub(crate) unlocked: bool,
}

/// Where a client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Nobody can tell on this node, as it has no file that says so.
    NotAsked,
    /// The file does not say.
    Nowhere,
    /// In this country.
    In(Country),
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It goes on.
    Pass,
    /// It is refused.
    Refuse(Fault),
    /// The client must solve a challenge first.
    Challenge,
    /// The client must give the password first.
    Unlock,
}

/// Why a request does not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hindrance {
    /// The client's address.
    Address,
    /// The client's country.
    Country,
    /// Too many requests.
    Rate,
    /// A challenge to be solved first.
    Challenge,
    /// A password to be given first.
    Password,
}

impl Hindrance {
    /// All there are, in order.
    pub(crate) const ALL: [Self; 5] =
        [Self::Address, Self::Country, Self::Rate, Self::Challenge, Self::Password];

    /// In one word.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Country => "country",
            Self::Rate => "rate",
            Self::Challenge => "challenge",
            Self::Password => "password",
        }
    }
}

impl Verdict {
    /// Why the request does not go on, if it does not.
    pub(crate) fn hindrance(&self) -> Option<Hindrance> {
        match self {
            Self::Pass => None,
            Self::Refuse(Fault::AddressDenied) => Some(Hindrance::Address),
            Self::Refuse(Fault::CountryDenied) => Some(Hindrance::Country),
            Self::Refuse(_) => Some(Hindrance::Rate),
            Self::Challenge => Some(Hindrance::Challenge),
            Self::Unlock => Some(Hindrance::Password),
        }
    }
}

impl Asked {
    /// A request of a client of whom nothing else is known.
    pub(crate) fn by(client: IpAddr, place: Place) -> Self {
        Self {
            client,
            place,
            client_wait: None,
            common_wait: None,
            passed: false,
            known: false,
            suspect: false,
            suspicious: false,
            unlocked: false,
        }
    }
}

/// Judges a request.
pub(crate) fn judge(checks: &Checks, asked: &Asked) -> Verdict {
    if let Some(fault) = kept_out(checks, asked) {
        return Verdict::Refuse(fault);
    }
    if is_challenged(&checks.attack, asked) {
        return Verdict::Challenge;
    }
    if let Some(wait) = asked.client_wait.or(asked.common_wait) {
        return Verdict::Refuse(Fault::TooManyRequests(seconds(wait)));
    }
    match checks.password.is_some() && !asked.unlocked {
        true => Verdict::Unlock,
        false => Verdict::Pass,
    }
}

/// Why a client is not let in whatever it does.
pub(crate) fn kept_out(checks: &Checks, asked: &Asked) -> Option<Fault> {
    let outside = |wall: &Wall| {
        let listed = !wall.allow.is_empty() && !wall.allow.contains(asked.client);
        listed || wall.deny.contains(asked.client)
    };
    if checks.walls.iter().any(|wall| outside(wall)) {
        return Some(Fault::AddressDenied);
    }
    let abroad = |wall: &Wall| match asked.place {
        Place::NotAsked => false,
        Place::Nowhere => !wall.allow_countries.is_empty(),
        Place::In(country) => {
            let listed = !wall.allow_countries.is_empty();
            listed && !wall.allow_countries.contains(&country)
                || wall.deny_countries.contains(&country)
        }
    };
    checks.walls.iter().any(|wall| abroad(wall)).then_some(Fault::CountryDenied)
}

fn is_challenged(mode: &AttackMode, asked: &Asked) -> bool {
    match mode {
        _ if asked.passed => false,
        AttackMode::Off => false,
        AttackMode::On => true,
        AttackMode::Auto { triggers } => {
            asked.suspect || triggers.iter().any(|trigger| gives(*trigger, asked))
        }
    }
}

fn gives(trigger: Trigger, asked: &Asked) -> bool {
    match trigger {
        Trigger::FirstRequest => !asked.known,
        Trigger::SuspiciousPattern => asked.suspicious,
        Trigger::RateLimit => asked.client_wait.is_some(),
    }
}

/// Whole seconds, at least one.
pub(crate) fn seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0 || wait.as_secs() == 0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use temps_state::Id;

    use super::*;
    use crate::networks::Networks;

    fn checks(change: impl FnOnce(&mut Checks)) -> Checks {
        let mut checks = Checks {
            environment: Id::from_parts(0, 1),
            walls: Vec::new(),
            per_client: None,
            in_all: None,
            attack: AttackMode::Off,
            password: None,
        };
        change(&mut checks);
        checks
    }

    fn asked(client: &str) -> Asked {
        Asked::by(client.parse().unwrap(), Place::NotAsked)
    }

    fn networks(text: &str) -> Networks {
        let networks: Vec<temps_state::Network> =
            text.split_whitespace().map(|text| text.parse().unwrap()).collect();
        networks.iter().collect()
    }

    #[test]
    fn addresses_are_let_in_that_no_list_keeps_out() {
        let wall = |deny, allow| {
            Arc::new(Wall { deny: networks(deny), allow: networks(allow), ..Wall::default() })
        };
        for (walls, client, let_in) in [
            (vec![], "203.0.113.7", true),
            (vec![wall("203.0.113.0/24", "")], "203.0.113.7", false),
            (vec![wall("203.0.113.0/24", "")], "203.0.114.7", true),
            (vec![wall("", "203.0.113.0/24")], "203.0.113.7", true),
            (vec![wall("", "203.0.113.0/24")], "2001:db8::1", false),
            (vec![wall("203.0.113.7", "203.0.113.0/24")], "203.0.113.7", false),
            (vec![wall("203.0.113.7", ""), wall("", "203.0.113.0/24")], "203.0.113.7", false),
            (vec![wall("", "203.0.113.7"), wall("", "203.0.113.0/24")], "203.0.113.7", true),
            (vec![wall("", "203.0.113.8"), wall("", "203.0.113.0/24")], "203.0.113.7", false),
        ] {
            let checks = checks(|checks| checks.walls = walls);
            let verdict = judge(&checks, &asked(client));
            let expected = match let_in {
                true => Verdict::Pass,
                false => Verdict::Refuse(Fault::AddressDenied),
            };
            assert_eq!(verdict, expected, "{client} at {:?}", checks.walls);
        }
    }

    #[test]
    fn countries_are_let_in_that_no_list_keeps_out() {
        let country = |text: &str| text.parse::<Country>().unwrap();
        let wall = |deny: &[&str], allow: &[&str]| {
            let set = |texts: &[&str]| texts.iter().map(|text| country(text)).collect();
            let (deny_countries, allow_countries): (BTreeSet<_>, BTreeSet<_>) =
                (set(deny), set(allow));
            vec![Arc::new(Wall { deny_countries, allow_countries, ..Wall::default() })]
        };
        for (walls, place, let_in) in [
            (wall(&["DE"], &[]), Place::In(country("DE")), false),
            (wall(&["DE"], &[]), Place::In(country("FR")), true),
            (wall(&["DE"], &[]), Place::Nowhere, true),
            (wall(&[], &["DE"]), Place::In(country("DE")), true),
            (wall(&[], &["DE"]), Place::In(country("FR")), false),
            (wall(&[], &["DE"]), Place::Nowhere, false),
            (wall(&["DE"], &["DE"]), Place::In(country("DE")), false),
            (wall(&["DE"], &["FR"]), Place::NotAsked, true),
        ] {
            let checks = checks(|checks| checks.walls = walls);
            let verdict = judge(&checks, &Asked { place, ..asked("192.0.2.1") });
            assert_eq!(verdict == Verdict::Pass, let_in, "{place:?} at {:?}", checks.walls);
        }
    }

    #[test]
    fn a_challenge_has_a_reason() {
        use Trigger::*;
        let wait = Some(Duration::from_millis(1_500));
        let plain = asked("192.0.2.1");
        let auto = |triggers: &[Trigger]| AttackMode::Auto {
            triggers: triggers.iter().copied().collect(),
        };
        let late = Verdict::Refuse(Fault::TooManyRequests(2));
        for (attack, asked, verdict) in [
            (AttackMode::Off, Asked { suspicious: true, suspect: true, ..plain }, Verdict::Pass),
            (AttackMode::On, plain, Verdict::Challenge),
            (AttackMode::On, Asked { known: true, ..plain }, Verdict::Challenge),
            (AttackMode::On, Asked { passed: true, ..plain }, Verdict::Pass),
            (auto(&[FirstRequest]), plain, Verdict::Challenge),
            (auto(&[FirstRequest]), Asked { known: true, ..plain }, Verdict::Pass),
            (auto(&[SuspiciousPattern]), plain, Verdict::Pass),
            (auto(&[SuspiciousPattern]), Asked { suspicious: true, ..plain }, Verdict::Challenge),
            (auto(&[SuspiciousPattern]), Asked { suspect: true, ..plain }, Verdict::Challenge),
            (auto(&[RateLimit]), Asked { client_wait: wait, ..plain }, Verdict::Challenge),
            (auto(&[RateLimit]), Asked { client_wait: wait, passed: true, ..plain }, late.clone()),
            (auto(&[RateLimit]), Asked { common_wait: wait, ..plain }, late.clone()),
            (auto(&[SuspiciousPattern]), Asked { client_wait: wait, ..plain }, late.clone()),
            (AttackMode::Off, Asked { client_wait: wait, ..plain }, late),
        ] {
            let checks = checks(|checks| checks.attack = attack);
            assert_eq!(judge(&checks, &asked), verdict, "{:?} {asked:?}", checks.attack);
        }
    }

    #[test]
    fn a_password_is_asked_for_last() {
        let checks = checks(|checks| {
            checks.attack = AttackMode::On;
            checks.password = Some("hash".into());
        });
        let plain = asked("192.0.2.1");
        for (asked, verdict) in [
            (plain, Verdict::Challenge),
            (Asked { unlocked: true, ..plain }, Verdict::Challenge),
            (Asked { passed: true, ..plain }, Verdict::Unlock),
            (Asked { passed: true, unlocked: true, ..plain }, Verdict::Pass),
        ] {
            assert_eq!(judge(&checks, &asked), verdict, "{asked:?}");
        }
    }

    #[test]
    fn a_wait_is_told_in_whole_seconds() {
        for (milliseconds, told) in [(0, 1), (1, 1), (999, 1), (1_000, 1), (1_001, 2)] {
            assert_eq!(seconds(Duration::from_millis(milliseconds)), told, "{milliseconds}");
        }
    }
}
