//! One round at an account: brings its records in step with what is wanted.

use std::collections::{BTreeMap, BTreeSet};

use temps_state::{DnsProvider, DomainName, ManagedRecord, RecordKind};
use tracing::info;

use crate::error::Scope;
use crate::keep_error::KeepError;
use crate::ledger::Ledger;
use crate::plan::about_foreign;
use crate::wanted::about_left_out;
use crate::{Change, Listing, Outcome, Plan, Provider, ProviderError, RecordSet, Wanted, plan};

/// A round at an account. That a set is the cluster's is known before it is there, and until it is gone.
pub(crate) struct Round<'a> {
    ledger: &'a Ledger,
    provider: &'a Provider,
    account: &'a DnsProvider,
    wanted: &'a Wanted,
    /// The sets that are the cluster's, as the state has them.
    managed: BTreeSet<ManagedRecord>,
    /// What stands in the way and is somebody else's.
    foreign: Vec<String>,
    /// What went wrong in each zone first, and kept no other zone back.
    troubles: BTreeMap<DomainName, ProviderError>,
}

impl<'a> Round<'a> {
    pub(crate) fn new(
        ledger: &'a Ledger,
        provider: &'a Provider,
        account: &'a DnsProvider,
        wanted: &'a Wanted,
    ) -> Self {
        let managed = account.managed.clone();
        Self {
            ledger,
            provider,
            account,
            wanted,
            managed,
            foreign: vec![],
            troubles: BTreeMap::new(),
        }
    }

    /// Brings all zones in step. What is wanted no longer goes first, so that there is room for what is.
    pub(crate) async fn run(mut self) -> Result<(), KeepError> {
        for zone in &self.account.zones {
            self.remove(zone).await?;
        }
        for zone in &self.account.zones {
            self.put(zone).await?;
        }
        if !self.troubles.is_empty() {
            let all = self.troubles.len() == self.account.zones.len();
            return Err(KeepError::Zones { troubles: self.troubles, all });
        }
        let error = about_foreign(&self.foreign);
        let error = error.or_else(|| about_left_out(self.wanted.left_out));
        self.ledger.tell(self.account, &self.managed, error).await
    }

    /// Deletes what is wanted no longer from a zone.
    async fn remove(&mut self, zone: &DomainName) -> Result<(), KeepError> {
        let keys: BTreeSet<ManagedRecord> = self.wanted.sets.iter().map(RecordSet::key).collect();
        let leaving = self.managed.difference(&keys);
        let leaving: BTreeSet<ManagedRecord> =
            in_zone(self.account, zone, leaving, |key| &key.name);
        let Some(found) = self.list(zone, leaving.iter().map(|key| &key.name)).await? else {
            return Ok(());
        };
        let changes = plan(&[], &found, &leaving, &BTreeSet::new()).changes;
        let outcome = self.apply(zone, &changes).await;
        let stay = |key: &&ManagedRecord| {
            !leaving.contains(key) || outcome.unmade.contains(key) || outcome.unclear.contains(key)
        };
        let managed = self.managed.iter().filter(stay).cloned().collect();
        self.know(managed).await?;
        outcome.error.map_or(Ok(()), |error| self.note(zone, error))
    }

    /// Makes and changes what is wanted in a zone, unless its next request would fare no better.
    async fn put(&mut self, zone: &DomainName) -> Result<(), KeepError> {
        if self.troubles.get(zone).is_some_and(|error| error.scope() > Scope::Change) {
            return Ok(());
        }
        let wanted = &self.wanted.sets;
        let mut sets: Vec<RecordSet> = in_zone(self.account, zone, wanted, |set| &set.name);
        let Some(found) = self.list(zone, sets.iter().map(|set| &set.name)).await? else {
            return Ok(());
        };
        let keys: BTreeSet<ManagedRecord> = sets.iter().map(RecordSet::key).collect();
        let adopted = self.adopted(&sets, &found);
        let (between, known) = (&self.wanted.between, &self.managed | &adopted);
        sets.retain(|set| !between.contains(&set.name) || is_free(&set.name, &found, &known));
        let own = self.managed.intersection(&keys).cloned().collect();
        let give_way = &self.wanted.take_over | &adopted;
        let Plan { changes, managed: stays, foreign } = plan(&sets, &found, &own, &give_way);
        self.foreign.extend(foreign);
        let others = self.managed.difference(&keys).cloned();
        self.know(others.chain(stays).collect()).await?;
        let outcome = self.apply(zone, &changes).await;
        let not_ours = not_ours(&changes, &own, &outcome);
        self.know(self.managed.difference(&not_ours).cloned().collect()).await?;
        outcome.error.map_or(Ok(()), |error| self.note(zone, error))
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

    /// What is in a zone of some names; nothing where it was not asked for, or is refused.
    async fn list<'n>(
        &mut self,
        zone: &DomainName,
        names: impl Iterator<Item = &'n String>,
    ) -> Result<Option<Listing>, KeepError> {
        let names: BTreeSet<String> = names.cloned().collect();
        if names.is_empty() {
            return Ok(None);
        }
        match self.provider.list(zone.as_str(), &names).await {
            Ok(found) => Ok(Some(found)),
            Err(error) => self.note(zone, error).map(|()| None),
        }
    }

    async fn apply(&self, zone: &DomainName, changes: &[Change]) -> Outcome {
        let outcome = self.provider.apply(zone.as_str(), changes).await;
        let made = changes.len() - outcome.unmade.len() - outcome.unclear.len();
        if made > 0 {
            info!(%zone, changes = made, "records at a DNS provider changed");
        }
        outcome
    }

    async fn know(&mut self, managed: BTreeSet<ManagedRecord>) -> Result<(), KeepError> {
        if managed != self.managed {
            self.ledger.know(self.account, &self.managed, managed.clone()).await?;
            self.managed = managed;
        }
        Ok(())
    }

    /// Notes what went wrong in a zone. Ends the round where no other zone would fare better.
    fn note(&mut self, zone: &DomainName, error: ProviderError) -> Result<(), KeepError> {
        if error.scope() == Scope::Account {
            return Err(error.into());
        }
        self.troubles.entry(zone.clone()).or_insert(error);
        Ok(())
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
