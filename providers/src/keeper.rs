//! Keeps the records at providers in step with the state, on the node that leads: one task an account, so that none waits
//! for another.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use temps_raft::{Applied, Cluster};
use temps_state::{DnsProvider, DnsProviderId, Sealed, State};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::keep_error::KeepError;
use crate::ledger::Ledger;
use crate::round::Round;
use crate::{Provider, ProviderError, Wanted, wanted};

/// How often an account is looked at when nothing changes, as others may have changed what is there.
const LOOK_AGAIN: Duration = Duration::from_secs(5 * 60);
/// How long the first failure waits, and the longest wait.
const BACKOFF_FIRST: Duration = Duration::from_secs(2);
const BACKOFF_MAX: Duration = Duration::from_secs(60);
/// How long it is left alone when it does not answer and clients are led to a node that is lost.
const SOON: Duration = Duration::from_secs(3);
/// The longest that a provider may ask to be left alone.
const ASKED_MAX: Duration = Duration::from_secs(10 * 60);

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
            self.accounts
                .entry(*id)
                .or_insert_with(|| self.tasks.spawn(Keeper::new(cluster.clone(), *id).keep()));
        }
    }
}

/// Keeps the records at one account.
struct Keeper {
    ledger: Ledger,
    /// The account once it was opened, by these credentials, with the tokens that it was given.
    provider: Option<(Sealed, Provider)>,
}

impl Keeper {
    fn new(cluster: Cluster, id: DnsProviderId) -> Self {
        Self { ledger: Ledger { cluster, id }, provider: None }
    }

    /// Works until the account is gone.
    async fn keep(mut self) {
        let (mut changes, mut failures) = (self.ledger.cluster.watch(), 0);
        loop {
            changes.mark_unchanged();
            // Not by a state of long ago: others may lead already, and have put the records right by theirs.
            let state = match self.ledger.cluster.read_latest().await {
                Ok(state) => state,
                Err(error) => {
                    debug!(%error, "records at a DNS provider are left as they are");
                    sleep(BACKOFF_FIRST).await;
                    continue;
                }
            };
            let Some(account) = state.dns_providers.get(&self.ledger.id) else { return };
            let Err(error) = self.round(&state, account).await else {
                failures = 0;
                if !self.rest(&mut changes, &state, LOOK_AGAIN).await {
                    return;
                }
                continue;
            };
            let wait = wait_after(failures, &error);
            failures = failures.saturating_add(1);
            self.tell(&error, wait).await;
            let mut news = changes.clone();
            let due = pause(SOON, wait, urgent(&mut news, &error));
            // Where only some records or zones are concerned, the others must not wait.
            match error.is_of_all() {
                true => tokio::select! {
                    () = due => {}
                    () = self.changed(&mut changes, account) => {}
                },
                false => tokio::select! {
                    () = due => {}
                    goes_on = self.rest(&mut changes, &state, wait) => if !goes_on { return },
                },
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
        let id = self.ledger.id;
        let known = state.dns_providers.get(&id).map(|account| wanted(state, account, 0));
        let differs = |newer: &Arc<Applied>| concerns(known.as_ref(), state, newer, id);
        !matches!(timeout(longest, changes.wait_for(differs)).await, Ok(Err(_)))
    }

    /// Comes when the account is another than it was, or gone.
    async fn changed(&self, changes: &mut watch::Receiver<Arc<Applied>>, account: &DnsProvider) {
        let differs = |newer: &Arc<Applied>| {
            newer.dns_providers.get(&self.ledger.id).is_none_or(|one| !one.has_terms_of(account))
        };
        if changes.wait_for(differs).await.is_err() {
            std::future::pending().await
        }
    }

    /// Brings the records in step with a state.
    async fn round(&mut self, state: &Applied, account: &DnsProvider) -> Result<(), KeepError> {
        let provider = self.open(account)?;
        let wanted = wanted(state, account, provider.ttl());
        Round::new(&self.ledger, &provider, account, &wanted).run().await
    }

    /// Tells the cluster, and the log, what keeps the records from being as they should.
    async fn tell(&self, error: &KeepError, wait: Duration) {
        let Some(account) = self.ledger.account() else { return };
        let (name, text) = (&account.name, error.to_string());
        // Every few seconds while it is urgent: who was told once need not hear it again.
        match account.trouble.as_ref().is_some_and(|trouble| trouble.error == text) {
            true => debug!(provider = %name, ?wait, "still not in step: {text}"),
            false => {
                warn!(provider = %name, %error, ?wait, "records at a DNS provider are not in step")
            }
        }
        if error.passes() {
            return;
        }
        if let Err(error) = self.ledger.tell(&account, &account.managed, Some(text)).await {
            warn!(provider = %name, %error, "nobody could be told of that");
        }
    }

    fn open(&mut self, account: &DnsProvider) -> Result<Provider, KeepError> {
        if let Some((sealed, provider)) = &self.provider
            && *sealed == account.credentials
        {
            return Ok(provider.clone());
        }
        let place = DnsProvider::place(self.ledger.id);
        let text = self.ledger.cluster.open(&place, &account.credentials)?;
        let text = zeroize::Zeroizing::new(text);
        let credentials = serde_json::from_str(&text).map_err(KeepError::Kept)?;
        let provider = Provider::open(&account.kind, &credentials)?;
        self.provider = Some((account.credentials.clone(), provider.clone()));
        Ok(provider)
    }
}

/// Waits as long as is due, or a moment only where it is urgent by then or becomes so.
async fn pause(soon: Duration, due: Duration, urgent: impl Future<Output = ()>) {
    sleep(soon.min(due)).await;
    let _ = timeout(due.saturating_sub(soon), urgent).await;
}

/// Comes when the provider, which did not answer, is to be tried more often: while clients are led to a node that is lost.
async fn urgent(changes: &mut watch::Receiver<Arc<Applied>>, error: &KeepError) {
    let urges = |state: &Arc<Applied>| error.is_silence() && misses(state);
    if changes.wait_for(urges).await.is_err() {
        std::future::pending().await
    }
}

/// Whether a node has an address that nobody should be led to.
fn misses(state: &State) -> bool {
    state.living_edges().len() < state.edge_addresses().len()
}

/// Whether the account is another than it was, or other records are wanted. What else changes in the state costs no more than a glance.
fn concerns(known: Option<&Wanted>, older: &Applied, newer: &Applied, id: DnsProviderId) -> bool {
    let same = older.nodes.ptr_eq(&newer.nodes)
        && older.domains.ptr_eq(&newer.domains)
        && older.orders.ptr_eq(&newer.orders)
        && older.settings.ptr_eq(&newer.settings)
        && older.authority.ptr_eq(&newer.authority)
        && older.dns_providers.ptr_eq(&newer.dns_providers);
    let (before, now) = (older.dns_providers.get(&id), newer.dns_providers.get(&id));
    let other_terms = || match (before, now) {
        (Some(before), Some(now)) => !now.has_terms_of(before),
        (before, now) => before.is_some() != now.is_some(),
    };
    let wanted = || now.map(|account| wanted(newer, account, 0));
    !same && (other_terms() || wanted().as_ref() != known)
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
    use std::time::Instant;

    use jiff::Timestamp;
    use temps_state::{Node, NodeId, PUBLIC_ADDRESS_LABEL};

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

    #[tokio::test]
    async fn a_wait_ends_soon_where_it_is_urgent() {
        let moment = Duration::from_millis(20);
        let hour = Duration::from_secs(3_600);
        let began = Instant::now();
        pause(moment, hour, std::future::ready(())).await;
        assert!((moment..hour).contains(&began.elapsed()));
        let began = Instant::now();
        pause(moment, 3 * moment, std::future::pending()).await;
        assert!(began.elapsed() >= 3 * moment);
        pause(hour, moment, std::future::ready(())).await;
    }

    #[test]
    fn clients_are_led_to_a_node_that_is_lost() {
        let mut state = State::default();
        for id in [1, 2] {
            let mut node = Node::new(NodeId(id), format!("n{id}"), Timestamp::UNIX_EPOCH);
            node.labels.insert(PUBLIC_ADDRESS_LABEL.into(), format!("192.0.2.{id}"));
            state.nodes.insert(node.id, node);
        }
        assert!(!misses(&state));
        let lost_since = Some(Timestamp::UNIX_EPOCH);
        let node = Node { lost_since, ..state.nodes[&NodeId(2)].clone() };
        state.nodes.insert(node.id, node);
        assert!(misses(&state));
    }
}
