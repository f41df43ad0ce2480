//! One round at an account: brings its records in step with what is wanted.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, stream};
use temps_state::{DnsProvider, DomainName, ManagedRecord, RecordKind};
use tokio::sync::Mutex;
use tracing::info;

use crate::error::Scope;
use crate::gate::Gate;
use crate::keep_error::KeepError;
use crate::ledger::Ledger;
use crate::plan::about_foreign;
use crate::wanted::about_left_out;
use crate::{Change, Listing, Outcome, Plan, Provider, ProviderError, RecordSet, Wanted, plan};

/// How many zones of an account are worked on at a time.
const ZONES_AT_ONCE: usize = 8;

/// A round at an account. That a set is the cluster's is known before it is there, and until it is gone.
pub(crate) struct Round<'a> {
    ledger: &'a Ledger,
    provider: &'a Provider,
    account: &'a DnsProvider,
    wanted: &'a Wanted,
    gate: Gate,
    /// The sets that are the cluster's, as the state has them.
    managed: Mutex<BTreeSet<ManagedRecord>>,
}

/// What came of one zone.
#[derive(Default)]
struct Visit {
    /// What stands in the way and is somebody else's.
    foreign: Vec<String>,
    /// What went wrong first.
    trouble: Option<ProviderError>,
}

impl<'a> Round<'a> {
    pub(crate) fn new(
        ledger: &'a Ledger,
        provider: &'a Provider,
        account: &'a DnsProvider,
        wanted: &'a Wanted,
    ) -> Self {
        let managed = Mutex::new(account.managed.clone());
        Self { ledger, provider, account, wanted, gate: Gate::new(), managed }
    }

    /// Brings all zones in step, several at a time, and each as far as it can be.
    pub(crate) async fn run(self) -> Result<(), KeepError> {
        let zones = stream::iter(self.account.zones.clone()).map(|zone| self.visit(zone));
        let visits: Vec<_> = zones.buffered(ZONES_AT_ONCE).collect().await;
        let (mut foreign, mut troubles) = (vec![], BTreeMap::new());
        for visit in visits {
            let (zone, visit) = visit?;
            foreign.extend(visit.foreign);
            troubles.extend(visit.trouble.map(|error| (zone, error)));
        }
        if !troubles.is_empty() {
            let all = troubles.len() == self.account.zones.len();
            return Err(KeepError::Zones { troubles, all });
        }
        let error = about_foreign(&foreign);
        let error = error.or_else(|| about_left_out(self.wanted.left_out));
        self.ledger.tell(self.account, &*self.managed.lock().await, error).await
    }

    /// Brings a zone in step. What is wanted no longer goes first, so that there is room for what is.
    async fn visit(&self, zone: DomainName) -> Result<(DomainName, Visit), KeepError> {
        let mut visit = Visit::default();
        self.remove(&zone, &mut visit).await?;
        if visit.trouble.as_ref().is_none_or(|error| error.scope() == Scope::Change) {
            self.put(&zone, &mut visit).await?;
        }
        Ok((zone, visit))
    }

    /// Deletes what is wanted no longer from a zone.
    async fn remove(&self, zone: &DomainName, visit: &mut Visit) -> Result<(), KeepError> {
        let keys: BTreeSet<ManagedRecord> = self.wanted.sets.iter().map(RecordSet::key).collect();
        let leaving = &self.own(zone).await - &keys;
        let names = leaving.iter().map(|key| &key.name).collect();
        let Some(found) = self.list(zone, names, visit).await? else { return Ok(()) };
        let changes = plan(&[], &found, &leaving, &BTreeSet::new()).changes;
        let outcome = self.apply(zone, &changes).await;
        let stay = &outcome.unmade | &outcome.unclear;
        self.know(&leaving - &stay, BTreeSet::new()).await?;
        visit.note(outcome.error)
    }

    /// Makes and changes what is wanted in a zone.
    async fn put(&self, zone: &DomainName, visit: &mut Visit) -> Result<(), KeepError> {
        let wanted = &self.wanted.sets;
        let mut sets: Vec<RecordSet> = in_zone(self.account, zone, wanted, |set| &set.name);
        let names = sets.iter().map(|set| &set.name).collect();
        let Some(found) = self.list(zone, names, visit).await? else { return Ok(()) };
        let keys: BTreeSet<ManagedRecord> = sets.iter().map(RecordSet::key).collect();
        let own = &self.own(zone).await & &keys;
        let adopted = self.adopted(&sets, &found);
        let (between, known) = (&self.wanted.between, &own | &adopted);
        sets.retain(|set| !between.contains(&set.name) || is_free(&set.name, &found, &known));
        let give_way = &self.wanted.take_over | &adopted;
        let Plan { changes, managed: stays, foreign } = plan(&sets, &found, &own, &give_way);
        visit.foreign.extend(foreign);
        self.know(keys, stays).await?;
        let outcome = self.apply(zone, &changes).await;
        self.know(not_ours(&changes, &own, &outcome), BTreeSet::new()).await?;
        visit.note(outcome.error)
    }

    /// Sets that are just as they are to be, and so were the cluster's before the account was forgotten, or may as well have
    /// been. Whoever adds a wildcard has not shown that its addresses are his: those give way only to take over.
    fn adopted(&self, sets: &[RecordSet], found: &Listing) -> BTreeSet<ManagedRecord> {
        let may = |set: &&RecordSet| {
            self.account.takes_over || set.kind == RecordKind::Txt || !set.name.starts_with("*.")
        };
        let is_there =
            |set: &&RecordSet| found.sets.get(&set.key()).is_some_and(|found| found.set == **set);
        sets.iter().filter(may).filter(is_there).map(RecordSet::key).collect()
    }

    /// The sets in a zone that are the cluster's.
    async fn own(&self, zone: &DomainName) -> BTreeSet<ManagedRecord> {
        in_zone(self.account, zone, &*self.managed.lock().await, |key| &key.name)
    }

    /// What is in a zone of some names; nothing where it was not asked for, or is refused.
    async fn list(
        &self,
        zone: &DomainName,
        names: BTreeSet<&String>,
        visit: &mut Visit,
    ) -> Result<Option<Listing>, KeepError> {
        if names.is_empty() {
            return Ok(None);
        }
        let names = names.into_iter().cloned().collect();
        match self.gate.pass(self.provider.list(zone.as_str(), &names)).await {
            Some(Err(error)) => visit.note(Some(error)).map(|()| None),
            Some(Ok(found)) => Ok(Some(found)),
            None => Ok(None),
        }
    }

    async fn apply(&self, zone: &DomainName, changes: &[Change]) -> Outcome {
        let outcome = self.provider.apply_through(&self.gate, zone.as_str(), changes).await;
        let made = changes.len() - outcome.unmade.len() - outcome.unclear.len();
        if made > 0 {
            info!(%zone, changes = made, "records at a DNS provider changed");
        }
        outcome
    }

    /// Notes that some sets are the cluster's no longer, or are from now on.
    async fn know(
        &self,
        gone: BTreeSet<ManagedRecord>,
        new: BTreeSet<ManagedRecord>,
    ) -> Result<(), KeepError> {
        let mut managed = self.managed.lock().await;
        let next = &(&*managed - &gone) | &new;
        if next != *managed {
            self.ledger.know(self.account, &managed, next.clone()).await?;
            *managed = next;
        }
        Ok(())
    }
}

impl Visit {
    /// Notes what went wrong, if something did. Ends the round where no other zone would fare better.
    fn note(&mut self, error: Option<ProviderError>) -> Result<(), KeepError> {
        match error {
            Some(error) if error.scope() == Scope::Account => Err(error.into()),
            error => {
                self.trouble = self.trouble.take().or(error);
                Ok(())
            }
        }
    }
}

/// Whether the cluster gives a name addresses, or nobody does.
fn is_free(name: &str, found: &Listing, managed: &BTreeSet<ManagedRecord>) -> bool {
    let addresses = [RecordKind::A, RecordKind::Aaaa];
    let keys = addresses.map(|kind| ManagedRecord { name: name.to_owned(), kind });
    let is_given =
        found.aliases.contains(name) || keys.iter().any(|key| found.sets.contains_key(key));
    !is_given || keys.iter().any(|key| managed.contains(key))
}

/// Sets that were to be made and certainly were not: whoever makes them next, they are his.
fn not_ours(
    changes: &[Change],
    own: &BTreeSet<ManagedRecord>,
    outcome: &Outcome,
) -> BTreeSet<ManagedRecord> {
    let is_new = |change: &&Change| change.before().is_none() || !own.contains(&change.key());
    let new = changes.iter().filter(is_new).map(Change::key);
    new.filter(|key| outcome.unmade.contains(key)).collect()
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
