//! How guards look to clients: what was set at a scope, and what holds there. Pure.

use serde::Serialize;
use temps_state::{AttackMode, Guard, PasswordRule, RateLimit, Scope, State, Trigger, nearest};
use utoipa::ToSchema;

use crate::header_policies::name;

/// What is checked before requests are forwarded.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Guard)]
pub struct GuardOut {
    /// `cluster`, a project's name, or `project/environment`.
    pub scope: String,
    /// What was set here.
    pub set: Rules,
    /// What holds here: lists of all scopes, and of everything else the value of the nearest one.
    pub effective: Effective,
    /// What does not hold although it was set, and why.
    pub warnings: Vec<String>,
}

/// What was set at a scope; null and empty lists where nothing was.
#[derive(Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Rules {
    /// Networks that are kept out.
    pub deny: Vec<String>,
    /// The only networks that are let in.
    pub allow: Vec<String>,
    /// Countries that are kept out.
    pub deny_countries: Vec<String>,
    /// The only countries that are let in.
    pub allow_countries: Vec<String>,
    /// How often one client may ask.
    pub rate_per_client: Option<String>,
    /// How often all clients together may ask.
    pub rate_in_all: Option<String>,
    /// Who must solve a challenge: `off`, `on` or `auto`.
    pub attack_mode: Option<String>,
    /// The reasons of `auto`.
    #[schema(value_type = Vec<String>)]
    pub triggers: Vec<Trigger>,
    /// Whether clients must know a password: `asked` or `open`.
    pub password: Option<String>,
}

/// What holds at a scope.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Effective {
    /// Networks that are kept out.
    pub deny: Vec<Held>,
    /// The only networks that are let in; a client must be on the list of every scope that has one.
    pub allow: Vec<Held>,
    /// Countries that are kept out.
    pub deny_countries: Vec<Held>,
    /// The only countries that are let in; likewise.
    pub allow_countries: Vec<Held>,
    /// How often one client may ask.
    pub rate_per_client: Option<Held>,
    /// How often all clients together may ask.
    pub rate_in_all: Option<Held>,
    /// Who must solve a challenge.
    pub attack_mode: Option<Held>,
    /// Whether clients must know a password.
    pub password: Option<Held>,
}

/// A value, and where it was set.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Held {
    /// The value.
    pub value: String,
    /// Where it was set.
    pub scope: String,
}

impl GuardOut {
    /// What holds for a scope, as seen from a node that knows countries or does not.
    pub(crate) fn new(state: &State, scope: Scope, countries: bool) -> Self {
        let guards = state.guards_over(scope);
        let set = state.guards.get(&scope).map(Rules::of).unwrap_or_default();
        let blind = !countries && guards.iter().any(|(_, guard)| guard.has_countries());
        let warning = "this node was started without --geoip FILE, so that its edge does not know \
                       in which country a client is, and lets clients of every country in; give \
                       every node a file in MaxMind's format";
        Self {
            scope: name(state, scope),
            set,
            effective: Effective::of(state, &guards),
            warnings: if blind { vec![warning.into()] } else { Vec::new() },
        }
    }
}

impl Rules {
    fn of(guard: &Guard) -> Self {
        let (attack_mode, triggers) = match &guard.attack_mode {
            Some(AttackMode::Auto { triggers }) => {
                (Some("auto"), triggers.iter().copied().collect())
            }
            Some(AttackMode::On) => (Some("on"), Vec::new()),
            Some(AttackMode::Off) => (Some("off"), Vec::new()),
            None => (None, Vec::new()),
        };
        Self {
            deny: texts(&guard.deny),
            allow: texts(&guard.allow),
            deny_countries: texts(&guard.deny_countries),
            allow_countries: texts(&guard.allow_countries),
            rate_per_client: guard.rate_per_client.map(|limit| limit.to_string()),
            rate_in_all: guard.rate_in_all.map(|limit| limit.to_string()),
            attack_mode: attack_mode.map(Into::into),
            triggers,
            password: guard.password.as_ref().map(|rule| password(rule).into()),
        }
    }
}

impl Effective {
    fn of(state: &State, guards: &[(Scope, &Guard)]) -> Self {
        let held = |(scope, value): (Scope, String)| Held { value, scope: name(state, scope) };
        let all = |list: fn(&Guard) -> Vec<String>| {
            let of = |(scope, guard): &(Scope, &Guard)| {
                let scope = *scope;
                list(guard).into_iter().map(move |value| (scope, value))
            };
            guards.iter().flat_map(of).map(held).collect()
        };
        let limit = |field: fn(&Guard) -> Option<RateLimit>| {
            nearest(guards, |guard| field(guard).map(|limit| limit.to_string())).map(held)
        };
        Self {
            deny: all(|guard| texts(&guard.deny)),
            allow: all(|guard| texts(&guard.allow)),
            deny_countries: all(|guard| texts(&guard.deny_countries)),
            allow_countries: all(|guard| texts(&guard.allow_countries)),
            rate_per_client: limit(|guard| guard.rate_per_client),
            rate_in_all: limit(|guard| guard.rate_in_all),
            attack_mode: nearest(guards, |guard| guard.attack_mode.as_ref().map(mode)).map(held),
            password: nearest(guards, |guard| {
                guard.password.as_ref().map(|rule| password(rule).to_owned())
            })
            .map(held),
        }
    }
}

fn texts<T: ToString>(values: &std::collections::BTreeSet<T>) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

fn password(rule: &PasswordRule) -> &'static str {
    match rule {
        PasswordRule::Open => "open",
        PasswordRule::Asked { .. } => "asked",
    }
}

fn mode(mode: &AttackMode) -> String {
    match mode {
        AttackMode::Off => "off".into(),
        AttackMode::On => "on".into(),
        AttackMode::Auto { triggers } => {
            let names: Vec<&str> = triggers.iter().copied().map(trigger).collect();
            format!("auto: {}", names.join(", "))
        }
    }
}

fn trigger(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::FirstRequest => "first_request",
        Trigger::SuspiciousPattern => "suspicious_pattern",
        Trigger::RateLimit => "rate_limit",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_holds_says_where_it_comes_from_and_what_does_not() {
        let project = Scope::Project(temps_state::Id::from_parts(1, 2));
        let mut state = State::default();
        let set = |text: &str| [text.parse().unwrap()].into();
        let cluster = Guard {
            deny: set("203.0.113.0/24"),
            deny_countries: [("DE").parse().unwrap()].into(),
            attack_mode: Some(AttackMode::On),
            ..Guard::default()
        };
        let own = Guard {
            deny: set("192.0.2.1"),
            attack_mode: Some(AttackMode::Auto { triggers: [Trigger::RateLimit].into() }),
            password: Some(PasswordRule::Asked { hash: "$argon2id$secret".into() }),
            ..Guard::default()
        };
        state.guards.insert(Scope::Cluster, cluster);
        state.guards.insert(project, own);
        let shown = GuardOut::new(&state, project, false);
        let denied: Vec<_> = shown.effective.deny.iter().map(|held| held.value.as_str()).collect();
        assert_eq!(denied, ["192.0.2.1", "203.0.113.0/24"]);
        assert_eq!(shown.effective.deny[1].scope, "cluster");
        let held = shown.effective.attack_mode.as_ref().unwrap();
        assert_eq!((held.value.as_str(), &held.scope), ("auto: rate_limit", &shown.scope));
        assert_eq!((shown.set.deny.len(), shown.set.password.as_deref()), (1, Some("asked")));
        assert!(shown.warnings[0].contains("--geoip"));
        assert!(!serde_json::to_string(&shown).unwrap().contains("secret"));
        assert!(GuardOut::new(&state, project, true).warnings.is_empty());
    }
}
