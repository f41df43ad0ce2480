//! Keeps the records at providers in step with the state, on the node that leads: one task an account, so that none waits
//! for another.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use temps_raft::{Applied, Cluster, Proposal, ProposeError};
use temps_state::{
    Actor, Command, Condition, DnsProvider, DnsProviderId, DomainName, MANAGED_RECORDS_MAX,
    ManagedRecord, SealError,
};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::plan::about_foreign;
use crate::{Listing, Plan, Provider, ProviderError, RecordSet, Wanted, plan, wanted};

/// How often an account is looked at when nothing changes, as others may have changed what is there.
const LOOK_AGAIN: Duration = Duration::from_secs(5 * 60);
/// How long the first failure waits, and the longest wait.
const BACKOFF_FIRST: Duration = Duration::from_secs(2);
const BACKOFF_MAX: Duration = Duration::from_secs(60);
/// The longest that a provider may ask to be left alone.
const ASKED_MAX: Duration = Duration::from_secs(10 * 60);

/// Why a round at an account ended before its time.
#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error(transparent)]
    Provider(#[from] ProviderError),
    #[error("the credentials cannot be opened: {0}")]
    Sealed(#[from] SealError),
    #[error("the credentials that are kept cannot be read")]
    Kept(#[source] serde_json::Error),
    #[error("the cluster cannot be told which records are its own: {0}")]
    Propose(#[from] ProposeError),
    #[error("somebody else works on the records")]
    Overtaken,
}

impl KeepError {
    /// Whether all of the account's records are concerned.
    fn is_of_all(&self) -> bool {
        !matches!(self, Self::Provider(error) if !error.ends_round())
    }

    /// Whether it is the cluster that was busy, and nobody need hear of it.
    fn passes(&self) -> bool {
        use ProposeError::{Rejected, TooLarge};
        match self {
            Self::Overtaken => true,
            Self::Propose(error) => !matches!(error, Rejected(_) | TooLarge { .. }),
            _ => false,
        }
    }
}

/// Keeps the records at every account that the state has in step with it, for as long as the node runs; works only while
/// it leads.
pub async fn keep_records(cluster: Cluster, cancel: CancellationToken) {
    let (mut leading, mut changes) = (cluster.leading(), cluster.watch());
    let mut desk = Desk::default();
    loop {
        let leads = *leading.borrow_and_update();
        let seen = changes.borrow_and_update().clone();
        match leads {
            true => desk.attend(&cluster, &seen),
            false => desk = Desk::default(),
        }
        tokio::select! {
            () = cancel.cancelled() => return,
            changed = leading.changed() => if changed.is_err() { return },
            changed = changes.wait_for(|newer| !newer.dns_providers.ptr_eq(&seen.dns_providers)),
                if leads => if changed.is_err() { return },
        }
    }
}

/// The accounts that are worked on here. All work ends with it.
#[derive(Default)]
struct Desk {
    tasks: JoinSet<()>,
    accounts: BTreeMap<DnsProviderId, AbortHandle>,
}

impl Desk {
    fn attend(&mut self, cluster: &Cluster, state: &Applied) {
        while self.tasks.try_join_next().is_some() {}
        self.accounts.retain(|_, task| !task.is_finished());
        for id in state.dns_providers.keys() {
            self.accounts.entry(*id).or_insert_with(|| {
                self.tasks.spawn(Keeper { cluster: cluster.clone(), id: *id }.keep())
            });
        }
    }
}

/// Keeps the records at one account.
struct Keeper {
    cluster: Cluster,
    id: DnsProviderId,
}

impl Keeper {
    /// Works until the account is gone.
    async fn keep(self) {
        let (mut changes, mut failures) = (self.cluster.watch(), 0);
        loop {
            let state = changes.borrow_and_update().clone();
            let Some(account) = state.dns_providers.get(&self.id) else { return };
            let Err(error) = self.round(&state, account).await else {
                failures = 0;
                if !self.rest(&mut changes, &state, LOOK_AGAIN).await {
                    return;
                }
                continue;
            };
            let wait = wait_after(failures, &error);
            failures = failures.saturating_add(1);
            self.tell(account, &error, wait).await;
            // Where only some records are refused, the others must not wait.
            match error.is_of_all() {
                true => sleep(wait).await,
                false if self.rest(&mut changes, &state, wait).await => {}
                false => return,
            }
        }
    }

    /// Waits until other records are wanted than in a state, and no longer than so long; false where the node ends.
    async fn rest(
        &self,
        changes: &mut watch::Receiver<Arc<Applied>>,
        state: &Applied,
        longest: Duration,
    ) -> bool {
        let known = state.dns_providers.get(&self.id).map(|account| wanted(state, account, 0));
        let differs = |newer: &Arc<Applied>| concerns(known.as_ref(), state, newer, self.id);
        !matches!(timeout(longest, changes.wait_for(differs)).await, Ok(Err(_)))
    }

    /// Brings the records in step with a state, zone by zone.
    async fn round(&self, state: &Applied, account: &DnsProvider) -> Result<(), KeepError> {
        let provider = self.open(account)?;
        let wanted = wanted(state, account, provider.ttl());
        let (mut foreign, mut failed) = (Vec::new(), None);
        let mut managed = account.managed.clone();
        for zone in &account.zones {
            let sets: Vec<RecordSet> = in_zone(account, zone, &wanted.sets, |set| &set.name);
            let own: BTreeSet<ManagedRecord> = in_zone(account, zone, &managed, |key| &key.name);
            if sets.is_empty() && own.is_empty() {
                continue;
            }
            let worked = self.work(&provider, zone, &sets, own, &mut managed, account.takes_over);
            match worked.await {
                Ok(others) => foreign.extend(others),
                Err(KeepError::Provider(error)) if !error.ends_round() => failed = Some(error),
                Err(error) => return Err(error),
            }
        }
        if let Some(error) = failed {
            return Err(error.into());
        }
        let error = about_foreign(&foreign).or_else(|| about_left_out(wanted.left_out));
        self.know(&managed.clone(), managed, error).await
    }

    /// Brings one zone in step; gives what stands in the way. That a set is the cluster's is known before it is there, and
    /// until it is gone.
    async fn work(
        &self,
        provider: &Provider,
        zone: &DomainName,
        sets: &[RecordSet],
        own: BTreeSet<ManagedRecord>,
        managed: &mut BTreeSet<ManagedRecord>,
        takes_over: bool,
    ) -> Result<Vec<String>, KeepError> {
        let names = sets.iter().map(|set| &set.name).chain(own.iter().map(|key| &key.name));
        let names: BTreeSet<String> = names.cloned().collect();
        let found: Listing = provider.list(zone.as_str(), &names).await?;
        let Plan { changes, managed: stays, leaving, foreign } =
            plan(sets, &found, &own, takes_over);
        let rest: BTreeSet<ManagedRecord> = managed.difference(&own).cloned().collect();
        let meanwhile = rest.iter().chain(&stays).chain(&leaving).cloned().collect();
        if *managed != meanwhile {
            let error = self.trouble();
            self.know(managed, meanwhile.clone(), error).await?;
            *managed = meanwhile;
        }
        if !changes.is_empty() {
            provider.apply(zone.as_str(), &changes).await.result()?;
            info!(%zone, changes = changes.len(), "records at a DNS provider changed");
        }
        let then: BTreeSet<ManagedRecord> = rest.into_iter().chain(stays).collect();
        if !leaving.is_empty() {
            let error = self.trouble();
            self.know(managed, then.clone(), error).await?;
        }
        *managed = then;
        Ok(foreign)
    }

    /// Tells the cluster which records are its own, unless somebody else did meanwhile.
    async fn know(
        &self,
        before: &BTreeSet<ManagedRecord>,
        managed: BTreeSet<ManagedRecord>,
        error: Option<String>,
    ) -> Result<(), KeepError> {
        let state = self.cluster.state();
        let account = state.dns_providers.get(&self.id).ok_or(KeepError::Overtaken)?;
        if account.managed != *before {
            return Err(KeepError::Overtaken);
        }
        let known = account.trouble.as_ref().map(|trouble| &trouble.error);
        if managed == *before && known == error.as_ref() {
            return Ok(());
        }
        let row = format!("dns_providers/{}", self.id);
        let tag = state.tag(&row).ok_or(KeepError::Overtaken)?;
        let actor = Actor::Node { id: self.cluster.node_id() };
        let command = Command::KeepDnsRecords { id: self.id, managed, error };
        let mut proposal = Proposal::new(actor, command);
        proposal.condition = Some(Condition { row, tag });
        self.cluster.propose(proposal).await?;
        Ok(())
    }

    /// Tells the cluster, and the log, what keeps the records from being as they should.
    async fn tell(&self, account: &DnsProvider, error: &KeepError, wait: Duration) {
        warn!(provider = %account.name, %error, ?wait, "records at a DNS provider are not in step");
        if error.passes() {
            return;
        }
        let state = self.cluster.state();
        let Some(account) = state.dns_providers.get(&self.id) else { return };
        let (before, text) = (&account.managed, Some(error.to_string()));
        if let Err(error) = self.know(before, before.clone(), text).await {
            warn!(provider = %account.name, %error, "nobody could be told of that");
        }
    }

    fn trouble(&self) -> Option<String> {
        let state = self.cluster.state();
        state.dns_providers.get(&self.id)?.trouble.as_ref().map(|trouble| trouble.error.clone())
    }

    fn open(&self, account: &DnsProvider) -> Result<Provider, KeepError> {
        let text = self.cluster.open(&DnsProvider::place(self.id), &account.credentials)?;
        let text = zeroize::Zeroizing::new(text);
        let credentials = serde_json::from_str(&text).map_err(KeepError::Kept)?;
        Ok(Provider::open(&account.kind, &credentials)?)
    }
}

/// What belongs to a zone and to none of the account's nearer ones.
fn in_zone<'a, T: Clone + 'a, C: FromIterator<T>>(
    account: &DnsProvider,
    zone: &DomainName,
    all: impl IntoIterator<Item = &'a T>,
    name: impl Fn(&T) -> &String,
) -> C {
    let nearest = |name: &str| {
        let holding = account.zones.iter().filter(|zone| is_in(name, zone.as_str()));
        holding.max_by_key(|zone| zone.as_str().len())
    };
    all.into_iter().filter(|one| nearest(name(one)) == Some(zone)).cloned().collect()
}

/// Whether a name is a zone's or below it.
fn is_in(name: &str, zone: &str) -> bool {
    let above = name.strip_suffix(zone);
    above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
}

fn about_left_out(left_out: usize) -> Option<String> {
    (left_out > 0).then(|| {
        format!(
            "{left_out} sets of records are left out, as the cluster keeps {MANAGED_RECORDS_MAX} with \
             one account: use a wildcard, or let the nodes answer for a zone of their own"
        )
    })
}

/// Whether other records are wanted than were. What else changes in the state costs no more than a glance.
fn concerns(known: Option<&Wanted>, older: &Applied, newer: &Applied, id: DnsProviderId) -> bool {
    let same = older.nodes.ptr_eq(&newer.nodes)
        && older.domains.ptr_eq(&newer.domains)
        && older.orders.ptr_eq(&newer.orders)
        && older.settings.ptr_eq(&newer.settings)
        && older.authority.ptr_eq(&newer.authority)
        && older.dns_providers.ptr_eq(&newer.dns_providers);
    let now = || newer.dns_providers.get(&id).map(|account| wanted(newer, account, 0));
    !same && now().as_ref() != known
}

/// How long an account waits after so many failures in a row: longer and longer, and as long as the provider asks.
fn wait_after(failures: u32, error: &KeepError) -> Duration {
    let doubled = BACKOFF_FIRST.saturating_mul(1 << failures.min(16)).min(BACKOFF_MAX);
    match error {
        KeepError::Overtaken | KeepError::Propose(_) => BACKOFF_FIRST,
        KeepError::Provider(ProviderError::Limited { wait: Some(wait) }) => {
            doubled.max((*wait).min(ASKED_MAX))
        }
        _ => doubled,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end() {
        let unreachable = KeepError::Provider(ProviderError::Unreachable { why: String::new() });
        let limited = |seconds| {
            let wait = Some(Duration::from_secs(seconds));
            KeepError::Provider(ProviderError::Limited { wait })
        };
        for (failures, error, seconds) in [
            (0, &unreachable, 2),
            (1, &unreachable, 4),
            (20, &unreachable, 60),
            (0, &limited(30), 30),
            (0, &limited(10_000), 600),
            (9, &KeepError::Overtaken, 2),
        ] {
            assert_eq!(wait_after(failures, error), Duration::from_secs(seconds), "{error}");
        }
    }
}
