//! One way to speak to every provider.

use std::collections::BTreeSet;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use serde::Deserialize;
use serde_json::Value;
use temps_state::DomainName;

use crate::azure::Azure;
use crate::cloudflare::Cloudflare;
use crate::digitalocean::DigitalOcean;
use crate::error::Scope;
use crate::gate::{Gate, REQUESTS_AT_ONCE};
use crate::google::Google;
use crate::hetzner::Hetzner;
use crate::outcome::Failure;
use crate::rfc2136::Rfc2136;
use crate::route53::Route53;
use crate::{Change, Listing, Outcome, ProviderError};

/// The kinds of providers.
pub const KINDS: [&str; 7] =
    ["cloudflare", "route53", "digitalocean", "hetzner", "google", "azure", "rfc2136"];
/// For how long others may remember a record, in seconds, where the provider lets us choose.
pub(crate) const TTL: u32 = 30;

/// An account with a provider.
#[derive(Clone)]
pub struct Provider(Account);

#[derive(Clone)]
enum Account {
    Cloudflare(Cloudflare),
    Route53(Route53),
    DigitalOcean(DigitalOcean),
    Hetzner(Hetzner),
    Google(Google),
    Azure(Azure),
    Rfc2136(Rfc2136),
}

/// Where a provider is asked, and what lets the cluster in; the rest is each provider's own.
#[derive(Deserialize)]
struct Whereabouts {
    endpoint: Option<String>,
}

impl Provider {
    /// An account of a kind of [`KINDS`], by its credentials: a JSON object with the fields of `docs/dns-providers.md`.
    /// Nobody is asked yet.
    pub fn open(kind: &str, credentials: &Value) -> Result<Self, ProviderError> {
        let Whereabouts { endpoint } = read(credentials)?;
        let account = match kind {
            "cloudflare" => Account::Cloudflare(Cloudflare::new(endpoint, read(credentials)?)?),
            "route53" => Account::Route53(Route53::new(endpoint, read(credentials)?)?),
            "digitalocean" => {
                Account::DigitalOcean(DigitalOcean::new(endpoint, read(credentials)?)?)
            }
            "hetzner" => Account::Hetzner(Hetzner::new(endpoint, read(credentials)?)?),
            "google" => Account::Google(Google::new(endpoint, read(credentials)?)?),
            "azure" => Account::Azure(Azure::new(endpoint, read(credentials)?)?),
            "rfc2136" => Account::Rfc2136(Rfc2136::new(read(credentials)?)?),
            other => return Err(ProviderError::Kind(other.chars().take(64).collect())),
        };
        Ok(Self(account))
    }

    /// For how long others may remember a record there, in seconds: as short as the provider lets it be.
    pub fn ttl(&self) -> u32 {
        match &self.0 {
            Account::Cloudflare(_) => Cloudflare::TTL,
            Account::Hetzner(_) => Hetzner::TTL,
            _ => TTL,
        }
    }

    /// Whether the provider lets the cluster in and has the zones.
    pub async fn check(&self, zones: &[DomainName]) -> Result<(), ProviderError> {
        for zone in zones {
            self.list(zone.as_str(), &BTreeSet::new()).await?;
        }
        Ok(())
    }

    /// What is in a zone under some names.
    pub async fn list(
        &self,
        zone: &str,
        names: &BTreeSet<String>,
    ) -> Result<Listing, ProviderError> {
        let mut listing = match &self.0 {
            Account::Cloudflare(account) => account.list(zone).await,
            Account::Route53(account) => account.list(zone).await,
            Account::DigitalOcean(account) => account.list(zone).await,
            Account::Hetzner(account) => account.list(zone).await,
            Account::Google(account) => account.list(zone).await,
            Account::Azure(account) => account.list(zone).await,
            Account::Rfc2136(account) => account.list(zone).await,
        }?;
        listing.sets.retain(|key, _| names.contains(&key.name));
        listing.aliases.retain(|name| names.contains(name));
        Ok(listing)
    }

    /// Makes changes in a zone, each once. What the provider refuses keeps nothing else back.
    pub async fn apply(&self, zone: &str, changes: &[Change]) -> Outcome {
        self.apply_through(&Gate::new(), zone, changes).await
    }

    /// The same, where other zones of the account are worked on, too.
    pub(crate) async fn apply_through(
        &self,
        gate: &Gate,
        zone: &str,
        changes: &[Change],
    ) -> Outcome {
        let (mut outcome, mut rest) = (Outcome::default(), changes);
        let (mut under_way, mut locked) = (FuturesUnordered::new(), vec![]);
        loop {
            while !rest.is_empty() && !outcome.is_final() && under_way.len() < self.at_once() {
                let (batch, later) = rest.split_at(self.fitting(rest));
                under_way.push(async move { (batch, gate.pass(self.send(zone, batch)).await) });
                rest = later;
            }
            let Some((batch, sent)) = under_way.next().await else { break };
            match sent {
                Some(Err(Failure { error: ProviderError::Locked, halfway: false })) => {
                    locked.push(batch);
                }
                Some(Err(Failure { error, halfway: false }))
                    if batch.len() > 1 && error.scope() == Scope::Change =>
                {
                    self.send_each(gate, zone, batch, &mut outcome).await;
                }
                Some(sent) => outcome.note(batch, sent),
                None => outcome.skip(batch),
            }
        }
        outcome.skip(rest);
        for batch in locked {
            self.send_each(gate, zone, batch, &mut outcome).await;
        }
        outcome
    }

    /// Makes changes of which one kept the others back, one after the other.
    async fn send_each(&self, gate: &Gate, zone: &str, changes: &[Change], outcome: &mut Outcome) {
        for (at, change) in changes.iter().enumerate() {
            let change = std::slice::from_ref(change);
            let sent = match outcome.is_final() {
                true => None,
                false => gate.pass(self.send(zone, change)).await,
            };
            match sent {
                Some(sent) => outcome.note(change, sent),
                None => return outcome.skip(&changes[at..]),
            }
        }
    }

    /// How many requests to a zone may be under way at a time. Others than these make many changes with one, and some take
    /// none while one is under way.
    fn at_once(&self) -> usize {
        match &self.0 {
            Account::DigitalOcean(_) | Account::Hetzner(_) | Account::Azure(_) => REQUESTS_AT_ONCE,
            _ => 1,
        }
    }

    /// How many of the first changes the provider makes together, all or none.
    fn fitting(&self, changes: &[Change]) -> usize {
        match &self.0 {
            Account::Cloudflare(_) => Cloudflare::fitting(changes),
            Account::Route53(_) => Route53::fitting(changes),
            Account::Rfc2136(_) => Rfc2136::fitting(changes),
            Account::Google(_) => Google::fitting(changes),
            Account::DigitalOcean(_) | Account::Hetzner(_) | Account::Azure(_) => 1,
        }
    }

    async fn send(&self, zone: &str, changes: &[Change]) -> Result<(), Failure> {
        match &self.0 {
            Account::Cloudflare(account) => account.send(zone, changes).await,
            Account::Route53(account) => account.send(zone, changes).await,
            Account::DigitalOcean(account) => account.send(zone, changes).await,
            Account::Hetzner(account) => account.send(zone, changes).await,
            Account::Google(account) => account.send(zone, changes).await,
            Account::Azure(account) => account.send(zone, changes).await,
            Account::Rfc2136(account) => account.send(zone, changes).await,
        }
    }
}

/// Reads some of the credentials. The error names the field, never its value.
fn read<T: serde::de::DeserializeOwned>(credentials: &Value) -> Result<T, ProviderError> {
    if !credentials.is_object() {
        return Err(ProviderError::Credentials("they are no JSON object".into()));
    }
    T::deserialize(credentials).map_err(|error| {
        let text = error.to_string();
        let missing = text.strip_prefix("missing field ").map(|name| format!("{name} is missing"));
        ProviderError::Credentials(missing.unwrap_or_else(|| "a field is not text".into()))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn credentials_that_cannot_be_used_say_what_is_missing_and_nothing_else() {
        for (kind, credentials, said) in [
            ("cloudflare", json!({}), "`token` is missing"),
            ("cloudflare", json!({"token": 17_171_717}), "a field is not text"),
            ("cloudflare", json!("s3cret"), "no JSON object"),
            ("cloudflare", json!({"token": "a", "endpoint": "http://example.com"}), "not https"),
            ("route53", json!({"access_key_id": "a"}), "`secret_access_key` is missing"),
            ("rfc2136", json!({"server": "a:53", "key": "k", "secret": "%"}), "Base64"),
            ("google", json!({"project_id": "p"}), "`client_email` is missing"),
            (
                "google",
                json!({"project_id": "p", "client_email": "e", "private_key_id": "k",
                    "private_key": "s3cret"}),
                "`private_key` is no RSA key",
            ),
            ("azure", json!({"tenant_id": "t", "client_id": "c"}), "`client_secret` is missing"),
            ("bind", json!({}), "use one of cloudflare, route53"),
        ] {
            let error = Provider::open(kind, &credentials).err().expect("it cannot be used");
            let text = error.to_string();
            assert!(text.contains(said), "{text}");
            assert!(!text.contains("s3cret") && !text.contains("1717"), "{text}");
        }
    }
}
