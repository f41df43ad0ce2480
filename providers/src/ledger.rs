//! What the state says of an account's records: which are the cluster's own, and what keeps them from being as they
//! should.

use std::collections::BTreeSet;

use temps_raft::{Cluster, Proposal};
use temps_state::{Actor, Command, Condition, DnsProvider, DnsProviderId, ManagedRecord};

use crate::keep_error::KeepError;

/// Keeps book of one account.
pub(crate) struct Ledger {
    pub(crate) cluster: Cluster,
    pub(crate) id: DnsProviderId,
}

impl Ledger {
    /// The account as it is now.
    pub(crate) fn account(&self) -> Option<DnsProvider> {
        self.cluster.state().dns_providers.get(&self.id).cloned()
    }

    /// Tells the cluster which records are its own, unless somebody else did meanwhile, or the account is another than was
    /// `seen`. What kept them from being as they should stays as it is known.
    pub(crate) async fn know(
        &self,
        seen: &DnsProvider,
        before: &BTreeSet<ManagedRecord>,
        managed: BTreeSet<ManagedRecord>,
    ) -> Result<(), KeepError> {
        let error = self.account().and_then(|account| Some(account.trouble?.error));
        self.write(seen, before, managed, error).await
    }

    /// Tells the cluster what keeps the records from being as they should, or that nothing does.
    pub(crate) async fn tell(
        &self,
        seen: &DnsProvider,
        managed: &BTreeSet<ManagedRecord>,
        error: Option<String>,
    ) -> Result<(), KeepError> {
        self.write(seen, managed, managed.clone(), error).await
    }

    async fn write(
        &self,
        seen: &DnsProvider,
        before: &BTreeSet<ManagedRecord>,
        managed: BTreeSet<ManagedRecord>,
        error: Option<String>,
    ) -> Result<(), KeepError> {
        let state = self.cluster.state();
        let account = state.dns_providers.get(&self.id).ok_or(KeepError::Overtaken)?;
        if account.managed != *before || !account.has_terms_of(seen) {
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
}
