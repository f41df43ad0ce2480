//! Guards: what is checked before a request is forwarded, for the cluster, a project or an environment.
//!
//! What keeps clients out adds up: a client passes only where no scope denies it and every scope that has a list of those
//! allowed names it, so that nobody opens what a wider scope has closed. Of everything else, the nearest scope's value
//! holds.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::format::THIRD;
use crate::row::Value;
use crate::table::retain;
use crate::{Country, EnvironmentId, Network, ProjectId, Rejected, Reply, Scope, State};

/// The most networks of one list of a guard.
pub const GUARD_NETWORKS_MAX: usize = 1_000;
/// The most requests that a rate counts, and the most that it lets through at once.
pub const RATE_REQUESTS_MAX: u32 = 1_000_000;
/// The longest time that a rate counts over, in seconds: a day.
pub const RATE_SECONDS_MAX: u32 = 86_400;
/// The most requests of a rate for each of its seconds.
pub const RATE_PER_SECOND_MAX: u32 = 10_000;
/// Units of a rate's time, with their seconds, the shortest first.
const UNITS: [(&str, u32); 4] = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)];
/// What switches a rate off.
const OFF: &str = "off";
/// What every hash of a password begins with.
const HASH_PREFIX: &str = "$argon2id$";

/// What is checked before a request is forwarded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Guard {
    /// Clients that are kept out.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub deny: BTreeSet<Network>,
    /// The only clients that are let in; all when empty.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub allow: BTreeSet<Network>,
    /// Countries whose clients are kept out.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub deny_countries: BTreeSet<Country>,
    /// The only countries whose clients are let in; all when empty.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub allow_countries: BTreeSet<Country>,
    /// How often one client may ask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_per_client: Option<RateLimit>,
    /// How often all clients together may ask one project, or one environment where it is set there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_in_all: Option<RateLimit>,
    /// Whether clients must show that they are browsers which take their time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attack_mode: Option<AttackMode>,
    /// Whether clients must know a password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<PasswordRule>,
}

/// How often something may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "limit", rename_all = "snake_case")]
pub enum RateLimit {
    /// As often as one likes, whatever a wider scope says.
    Off,
    /// That often.
    At(Rate),
}

/// A number of requests in a time, for the whole cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    /// How many requests.
    pub requests: u32,
    /// In how many seconds.
    pub seconds: u32,
    /// How many of them may come at once, after a pause.
    pub burst: u32,
}

/// Whether clients must solve a challenge before they are let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mode", rename_all = "snake_case")]
pub enum AttackMode {
    /// Nobody must.
    Off,
    /// Everybody must.
    On,
    /// Those must who give one of these reasons.
    Auto {
        /// The reasons.
        triggers: BTreeSet<Trigger>,
    },
}

/// A reason to challenge a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// Its address was not seen here of late.
    FirstRequest,
    /// It asks for what scanners ask for, or says that it is one.
    SuspiciousPattern,
    /// It asks more often than a client may.
    RateLimit,
}

impl Trigger {
    /// Every trigger.
    pub const ALL: [Self; 3] = [Self::FirstRequest, Self::SuspiciousPattern, Self::RateLimit];
}

/// Whether clients must know a password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "snake_case")]
pub enum PasswordRule {
    /// They need none, whatever a wider scope says.
    Open,
    /// They must know the one that this was made from.
    Asked {
        /// argon2id in PHC string form.
        hash: String,
    },
}

impl fmt::Debug for PasswordRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "Open",
            Self::Asked { .. } => "Asked(…)",
        })
    }
}

impl Value for Guard {
    fn since(&self) -> u8 {
        THIRD
    }
}

impl Guard {
    /// Whether it checks where clients come from by country.
    pub fn has_countries(&self) -> bool {
        !self.deny_countries.is_empty() || !self.allow_countries.is_empty()
    }

    fn check(&self) -> Result<(), Rejected> {
        if self.deny.len().max(self.allow.len()) > GUARD_NETWORKS_MAX {
            return Err(Rejected::TooMany { noun: "networks".into(), max: GUARD_NETWORKS_MAX });
        }
        for limit in [self.rate_per_client, self.rate_in_all].into_iter().flatten() {
            limit.check()?;
        }
        match &self.password {
            Some(PasswordRule::Asked { hash }) if !hash.starts_with(HASH_PREFIX) => {
                let why = "only its hash is kept".into();
                Err(Rejected::Invalid { what: "password".into(), why })
            }
            _ => Ok(()),
        }
    }
}

/// A text that is no rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no rate: write how many requests may come in which time, such as 100/1m, 10/s or \
     1000/1h,burst=50, or `off`"
)]
pub struct RateLimitError(String);

impl FromStr for RateLimit {
    type Err = RateLimitError;

    fn from_str(text: &str) -> Result<Self, RateLimitError> {
        if text == OFF {
            return Ok(Self::Off);
        }
        let limit = read_rate(text).map(Self::At).filter(|limit| limit.check().is_ok());
        limit.ok_or_else(|| RateLimitError(text.chars().take(64).collect()))
    }
}

/// `100/1m,burst=20`; without a burst all may come at once.
fn read_rate(text: &str) -> Option<Rate> {
    let (rate, burst) = match text.split_once(',') {
        Some((rate, burst)) => (rate, Some(burst.trim().strip_prefix("burst=")?.parse().ok()?)),
        None => (text, None),
    };
    let (requests, period) = rate.split_once('/')?;
    let requests = requests.trim().parse().ok()?;
    let period = period.trim();
    let unit = period.find(|c: char| !c.is_ascii_digit()).unwrap_or(period.len());
    let count: u32 = if unit == 0 { 1 } else { period[..unit].parse().ok()? };
    let seconds = UNITS.iter().find(|(name, _)| *name == &period[unit..])?.1;
    let seconds = count.checked_mul(seconds)?;
    Some(Rate { requests, seconds, burst: burst.unwrap_or(requests) })
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::At(Rate { requests, seconds, burst }) = self else { return f.write_str(OFF) };
        let whole = |(_, length): &&(&str, u32)| seconds % length == 0;
        let (unit, length) = UNITS.iter().rev().find(whole).unwrap_or(&UNITS[0]);
        write!(f, "{requests}/{}{unit}", seconds / length)?;
        if burst == requests { Ok(()) } else { write!(f, ",burst={burst}") }
    }
}

impl RateLimit {
    /// The rate, where there is a limit.
    pub fn rate(self) -> Option<Rate> {
        match self {
            Self::Off => None,
            Self::At(rate) => Some(rate),
        }
    }

    fn check(self) -> Result<(), Rejected> {
        let Self::At(Rate { requests, seconds, burst }) = self else { return Ok(()) };
        let right = (1..=RATE_REQUESTS_MAX).contains(&requests)
            && (1..=RATE_SECONDS_MAX).contains(&seconds)
            && requests / seconds <= RATE_PER_SECOND_MAX
            && (1..=RATE_REQUESTS_MAX).contains(&burst);
        if right {
            return Ok(());
        }
        let why = format!(
            "it lets 1 to {RATE_REQUESTS_MAX} requests through, some of them at once, in 1 to \
             {RATE_SECONDS_MAX} seconds, and {RATE_PER_SECOND_MAX} in a second at most"
        );
        Err(Rejected::Invalid { what: "rate".into(), why })
    }
}

impl State {
    /// The guards that hold for a scope: its own first, then those of the scopes around it.
    pub fn guards_over(&self, scope: Scope) -> Vec<(Scope, &Guard)> {
        let found = |scope: Scope| self.guards.get(&scope).map(|guard| (scope, guard));
        self.widening(scope).into_iter().filter_map(found).collect()
    }

    /// The guards that hold for an environment.
    pub fn guards_of(
        &self,
        project: ProjectId,
        environment: EnvironmentId,
    ) -> Vec<(Scope, &Guard)> {
        let found = |scope: Scope| self.guards.get(&scope).map(|guard| (scope, guard));
        let scopes = [Scope::Environment(environment), Scope::Project(project), Scope::Cluster];
        scopes.into_iter().filter_map(found).collect()
    }

    /// The scopes that hold for one: itself first, the cluster last.
    fn widening(&self, scope: Scope) -> Vec<Scope> {
        let project = match scope {
            Scope::Environment(id) => self.environments.get(&id).map(|one| one.project),
            Scope::Cluster | Scope::Project(_) => None,
        };
        let cluster = (scope != Scope::Cluster).then_some(Scope::Cluster);
        [Some(scope), project.map(Scope::Project), cluster].into_iter().flatten().collect()
    }

    /// Sets the guard of a scope; without one, those of the wider scopes hold.
    pub(crate) fn set_guard(
        &mut self,
        scope: Scope,
        guard: Option<Guard>,
    ) -> Result<Reply, Rejected> {
        match scope {
            Scope::Cluster => {}
            Scope::Project(id) => drop(self.project(id)?),
            Scope::Environment(id) => drop(self.environment(id)?),
        }
        match guard.filter(|guard| *guard != Guard::default()) {
            Some(guard) => {
                guard.check()?;
                self.guards.insert(scope, guard);
            }
            None => drop(self.guards.remove(&scope)),
        }
        Ok(Reply::Done)
    }

    /// Drops the guards of what is gone.
    pub(crate) fn forget_guards(&mut self) {
        let Self { projects, environments, .. } = self.clone();
        retain(&mut self.guards, |scope, _| match scope {
            Scope::Cluster => true,
            Scope::Project(id) => projects.contains_key(id),
            Scope::Environment(id) => environments.contains_key(id),
        });
    }
}

/// The value of the nearest scope that has one, and which scope that is.
pub fn nearest<'a, T>(
    guards: &[(Scope, &'a Guard)],
    field: impl Fn(&'a Guard) -> Option<T>,
) -> Option<(Scope, T)> {
    guards.iter().find_map(|(scope, guard)| field(guard).map(|value| (*scope, value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Id;

    const RATE: Rate = Rate { requests: 100, seconds: 60, burst: 20 };

    fn set(guard: Guard) -> Result<Reply, Rejected> {
        State::default().set_guard(Scope::Cluster, Some(guard))
    }

    #[test]
    fn the_nearest_value_holds() {
        let (project, environment) = (ProjectId::from_parts(1, 2), EnvironmentId::from_parts(1, 2));
        let mut state = State::default();
        let limits = [
            (Scope::Cluster, Some(RateLimit::At(RATE))),
            (Scope::Project(project), None),
            (Scope::Environment(environment), Some(RateLimit::Off)),
        ];
        let expected = [RateLimit::At(RATE), RateLimit::At(RATE), RateLimit::Off];
        for ((scope, rate_per_client), expected) in limits.into_iter().zip(expected) {
            state.guards.insert(scope, Guard { rate_per_client, ..Guard::default() });
            let guards = state.guards_of(project, environment);
            let holds = nearest(&guards, |guard| guard.rate_per_client);
            assert_eq!(holds.map(|(_, limit)| limit), Some(expected), "{scope}");
        }
        assert_eq!(state.guards_over(Scope::Project(project)).len(), 2);
        assert_eq!(state.guards_over(Scope::Cluster).len(), 1);
    }

    #[test]
    fn a_rate_is_written_as_people_say_it() {
        for (text, written, (requests, seconds, burst)) in [
            ("100/1m", "100/1m", (100, 60, 100)),
            ("100/m", "100/1m", (100, 60, 100)),
            ("10/s", "10/1s", (10, 1, 10)),
            ("10/60s", "10/1m", (10, 60, 10)),
            ("10/90s", "10/90s", (10, 90, 10)),
            ("1000/1h,burst=50", "1000/1h,burst=50", (1_000, 3_600, 50)),
            ("1 / 24h, burst=1", "1/1d", (1, 86_400, 1)),
        ] {
            let limit: RateLimit = text.parse().expect(text);
            assert_eq!(limit, RateLimit::At(Rate { requests, seconds, burst }), "{text}");
            assert_eq!(limit.to_string(), written);
            assert_eq!(written.parse(), Ok(limit));
        }
        assert_eq!("off".parse(), Ok(RateLimit::Off));
        for bad in [
            "",
            "100",
            "100/",
            "/1m",
            "100/1w",
            "0/1m",
            "100/0m",
            "100/2d",
            "-1/1m",
            "100/1m,20",
            "100/1m,burst=0",
            "100/1m,burst=",
            "1.5/1m",
            "100/4294967295d",
            "100/1ü",
        ] {
            let refused = bad.parse::<RateLimit>().expect_err(bad).to_string();
            assert!(refused.contains(&format!("`{bad}`")) && refused.contains("100/1m"));
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let at = |requests, seconds, burst| Guard {
            rate_in_all: Some(RateLimit::At(Rate { requests, seconds, burst })),
            ..Guard::default()
        };
        for (guard, right) in [
            (at(1, 1, 1), true),
            (at(RATE_REQUESTS_MAX, RATE_SECONDS_MAX, RATE_REQUESTS_MAX), true),
            (at(0, 1, 1), false),
            (at(1, 0, 1), false),
            (at(1, 1, 0), false),
            (at(1, RATE_SECONDS_MAX + 1, 1), false),
            (at(RATE_PER_SECOND_MAX, 1, 1), true),
            (at(RATE_PER_SECOND_MAX * 2, 1, 1), false),
            (at(RATE_REQUESTS_MAX + 1, 1, 1), false),
        ] {
            assert_eq!(set(guard.clone()).is_ok(), right, "{guard:?}");
        }
        let asked = |hash: &str| PasswordRule::Asked { hash: hash.into() };
        let guarded = |rule| Guard { password: Some(rule), ..Guard::default() };
        assert!(set(guarded(asked("$argon2id$v=19$…"))).is_ok());
        assert!(set(guarded(asked("hunter2"))).is_err());
        let networks = 0..=u32::try_from(GUARD_NETWORKS_MAX).expect("small");
        let networks = networks.map(|n| std::net::Ipv4Addr::from_bits(n).to_string());
        let deny = networks.map(|text| text.parse().expect("an address")).collect();
        assert!(set(Guard { deny, ..Guard::default() }).is_err());
    }

    #[test]
    fn a_guard_that_checks_nothing_is_none() {
        let mut state = State::default();
        let guard = Guard { attack_mode: Some(AttackMode::On), ..Guard::default() };
        state.set_guard(Scope::Cluster, Some(guard)).expect("it is right");
        assert_eq!(state.guards.len(), 1);
        state.set_guard(Scope::Cluster, Some(Guard::default())).expect("it is right");
        assert!(state.guards.is_empty());
        let unknown = Scope::Project(ProjectId::from_parts(1, 2));
        assert!(state.set_guard(unknown, None).is_err());
    }

    #[test]
    fn hashes_do_not_show_in_debug_output() {
        let hash = "$argon2id$secret".to_owned();
        let guard = Guard { password: Some(PasswordRule::Asked { hash }), ..Guard::default() };
        assert!(!format!("{guard:?}").contains("secret"));
    }
}
