//! What a client asks to be checked. Pure.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer, Serialize};
use temps_state::{AttackMode, Country, Guard, Network, PasswordRule, RateLimit, Trigger};
use utoipa::ToSchema;

use crate::ApiError;

/// What gives a reason for a challenge when nobody says: what visitors hardly ever do.
const TRIGGERS_DEFAULT: [Trigger; 2] = [Trigger::SuspiciousPattern, Trigger::RateLimit];

/// What to change of what is checked. What is left out stays as it is; `null` takes back what was set here, so that the
/// value of the wider scope holds.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GuardChange {
    /// Networks that are kept out, such as `203.0.113.0/24`; all lists of all scopes hold.
    #[schema(value_type = Option<Vec<String>>)]
    deny: Option<BTreeSet<Network>>,
    /// The only networks that are let in; everybody when empty.
    #[schema(value_type = Option<Vec<String>>)]
    allow: Option<BTreeSet<Network>>,
    /// Countries that are kept out, by their two letters of ISO 3166.
    #[schema(value_type = Option<Vec<String>>)]
    deny_countries: Option<BTreeSet<Country>>,
    /// The only countries that are let in; all when empty.
    #[schema(value_type = Option<Vec<String>>)]
    allow_countries: Option<BTreeSet<Country>>,
    /// How often one client may ask: `100/1m`, `1000/1h,burst=50`, or `off`.
    #[serde(deserialize_with = "some")]
    #[schema(value_type = Option<String>)]
    rate_per_client: Option<Option<String>>,
    /// How often all clients together may ask a project, or an environment where it is set there.
    #[serde(deserialize_with = "some")]
    #[schema(value_type = Option<String>)]
    rate_in_all: Option<Option<String>>,
    /// Whether clients must solve a challenge: nobody, everybody, or those who give a reason.
    #[serde(deserialize_with = "some")]
    attack_mode: Option<Option<Mode>>,
    /// The reasons of `auto`: `first_request`, `suspicious_pattern`, `rate_limit`; the latter two when nobody says.
    #[schema(value_type = Option<Vec<String>>)]
    triggers: Option<BTreeSet<Trigger>>,
    /// The password that clients must know. It is not shown again.
    #[serde(deserialize_with = "some")]
    password: Option<Option<String>>,
    /// `true` asks nobody for a password here, whatever the wider scope says.
    open: Option<bool>,
}

/// Who must solve a challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Nobody.
    Off,
    /// Everybody.
    On,
    /// Those who give a reason.
    Auto,
}

/// Tells `null` from what is left out.
fn some<'de, D: Deserializer<'de>, T: Deserialize<'de>>(value: D) -> Result<Option<T>, D::Error> {
    T::deserialize(value).map(Some)
}

impl GuardChange {
    /// The password, which is to be hashed before anything else is done with it.
    pub(crate) fn take_password(&mut self) -> Option<String> {
        self.password.as_mut().and_then(Option::take)
    }

    /// Whether it lets in those of some countries alone, which an edge that knows no countries cannot.
    pub(crate) fn allows_countries(&self) -> bool {
        self.allow_countries.as_ref().is_some_and(|countries| !countries.is_empty())
    }

    /// The guard with everything changed that was named; `hash` is that of the password.
    pub(crate) fn apply(self, guard: Guard, hash: Option<String>) -> Result<Guard, ApiError> {
        let rate = |field, change: Option<Option<String>>, before| match change {
            None => Ok(before),
            Some(None) => Ok(None),
            Some(Some(text)) => match text.parse::<RateLimit>() {
                Ok(limit) => Ok(Some(limit)),
                Err(error) => Err(ApiError::invalid(field, error.to_string())),
            },
        };
        let attack_mode = attack_mode(self.attack_mode, self.triggers, guard.attack_mode)?;
        let password = match (hash, self.open, self.password) {
            (Some(_), Some(true), _) => {
                let why = "an environment has a password or is open, not both";
                return Err(ApiError::invalid("open", why));
            }
            (Some(hash), _, _) => Some(PasswordRule::Asked { hash }),
            (None, Some(true), _) => Some(PasswordRule::Open),
            (None, _, Some(_)) => None,
            (None, Some(false), None) => guard.password.filter(|rule| *rule != PasswordRule::Open),
            (None, None, None) => guard.password,
        };
        Ok(Guard {
            deny: self.deny.unwrap_or(guard.deny),
            allow: self.allow.unwrap_or(guard.allow),
            deny_countries: self.deny_countries.unwrap_or(guard.deny_countries),
            allow_countries: self.allow_countries.unwrap_or(guard.allow_countries),
            rate_per_client: rate("rate_per_client", self.rate_per_client, guard.rate_per_client)?,
            rate_in_all: rate("rate_in_all", self.rate_in_all, guard.rate_in_all)?,
            attack_mode,
            password,
        })
    }
}

fn attack_mode(
    mode: Option<Option<Mode>>,
    triggers: Option<BTreeSet<Trigger>>,
    before: Option<AttackMode>,
) -> Result<Option<AttackMode>, ApiError> {
    if triggers.as_ref().is_some_and(BTreeSet::is_empty) {
        let why = "name at least one: first_request, suspicious_pattern or rate_limit";
        return Err(ApiError::invalid("triggers", why));
    }
    match (mode, triggers, before) {
        (None, None, before) => Ok(before),
        (None, Some(triggers), Some(AttackMode::Auto { .. }))
        | (Some(Some(Mode::Auto)), Some(triggers), _) => Ok(Some(AttackMode::Auto { triggers })),
        (Some(Some(Mode::Auto)), None, _) => {
            Ok(Some(AttackMode::Auto { triggers: TRIGGERS_DEFAULT.into() }))
        }
        (_, Some(_), _) => {
            Err(ApiError::invalid("triggers", "only the attack mode `auto` has triggers"))
        }
        (Some(None), None, _) => Ok(None),
        (Some(Some(Mode::Off)), None, _) => Ok(Some(AttackMode::Off)),
        (Some(Some(Mode::On)), None, _) => Ok(Some(AttackMode::On)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn changed(guard: Guard, change: Value, hash: Option<&str>) -> Result<Guard, String> {
        let change: GuardChange =
            serde_json::from_value(change).map_err(|error| error.to_string())?;
        change.apply(guard, hash.map(Into::into)).map_err(|error| error.to_string())
    }

    fn full() -> Guard {
        let change = json!({"deny": ["203.0.113.7/24"], "rate_per_client": "100/1m",
            "attack_mode": "auto"});
        changed(Guard::default(), change, Some("$argon2id$")).unwrap()
    }

    #[test]
    fn what_is_left_out_stays_and_null_takes_back() {
        let before = full();
        assert_eq!(changed(full(), json!({}), None), Ok(before.clone()));
        let after = changed(
            full(),
            json!({"deny": [], "rate_per_client": null,
            "attack_mode": null, "password": null}),
            None,
        );
        assert_eq!(after, Ok(Guard::default()));
        let other = changed(full(), json!({"rate_in_all": "off"}), None).unwrap();
        assert_eq!(other.rate_in_all, Some(RateLimit::Off));
        assert_eq!(other.rate_per_client, before.rate_per_client);
    }

    #[test]
    fn auto_has_triggers_and_the_others_have_none() {
        let mode = |before: Guard, change| changed(before, change, None).map(|g| g.attack_mode);
        let auto = |triggers: &[Trigger]| {
            Ok(Some(AttackMode::Auto { triggers: triggers.iter().copied().collect() }))
        };
        assert_eq!(mode(Guard::default(), json!({"attack_mode": "auto"})), auto(&TRIGGERS_DEFAULT));
        let first = json!({"triggers": ["first_request"]});
        assert_eq!(mode(full(), first.clone()), auto(&[Trigger::FirstRequest]));
        assert!(mode(Guard::default(), first).is_err());
        for bad in [
            json!({"attack_mode": "on", "triggers": ["rate_limit"]}),
            json!({"attack_mode": "auto", "triggers": []}),
            json!({"attack_mode": "auto", "triggers": ["rain"]}),
            json!({"attack_mode": "maybe"}),
        ] {
            assert!(mode(full(), bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_scope_has_a_password_or_is_open_or_neither() {
        let rule = |before: Guard, change, hash| changed(before, change, hash).map(|g| g.password);
        let open = Ok(Some(PasswordRule::Open));
        let opened = || changed(full(), json!({"open": true}), None).unwrap();
        assert_eq!(opened().password, Some(PasswordRule::Open));
        assert_eq!(rule(opened(), json!({}), None), open);
        assert_eq!(rule(opened(), json!({"open": false}), None), Ok(None));
        assert_eq!(rule(full(), json!({"open": false}), None), Ok(full().password));
        assert_eq!(rule(full(), json!({"password": null}), None), Ok(None));
        assert!(rule(full(), json!({"open": true, "password": "x"}), Some("$argon2id$")).is_err());
    }

    #[test]
    fn errors_show_what_would_be_right() {
        for (change, said) in [
            (json!({"deny": ["203.0.113.0/33"]}), "203.0.113.0/24"),
            (json!({"allow": ["example.com"]}), "2001:db8::/32"),
            (json!({"deny_countries": ["Germany"]}), "DE or US"),
            (json!({"rate_per_client": "many"}), "100/1m"),
            (json!({"rate_in_all": "100"}), "100/1m"),
            (json!({"rate": "100/1m"}), "rate_per_client"),
        ] {
            let refused = changed(full(), change.clone(), None).unwrap_err();
            assert!(refused.contains(said), "{change}: {refused}");
        }
    }
}
