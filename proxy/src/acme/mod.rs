//! Certificates for domains, from an authority by ACME (RFC 8555). The node that leads works for all; whatever is asked
//! of the authority, and what edges must show it, is in the state first.

mod account;
mod authority;
mod binding;
mod due;
mod error;
mod ledger;
mod on_demand;
mod renewal_advice;
mod silence;
mod waits;
mod way;
mod work;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use temps_raft::{Applied, Cluster};
use temps_state::DomainName;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::domain_probe::DomainProbe;
use silence::Silence;
use waits::Waits;
use work::Worker;

pub use on_demand::keep_previews;
pub use renewal_advice::keep_renewal_advice;

/// How often it is looked whether a certificate is due when nothing else happens.
const TICK: Duration = Duration::from_secs(10);
/// How many orders are worked on at once.
const ORDERS_AT_ONCE: usize = 8;

/// Keeps the certificates of domains, and of the preview domain where that is in a zone of the cluster's own, for as long
/// as the node runs; works only while it leads. `probe` tells where names lead.
pub async fn keep_certificates(cluster: Cluster, probe: DomainProbe, cancel: CancellationToken) {
    let (mut leading, mut changes) = (cluster.leading(), cluster.watch());
    let worker = Arc::new(Worker::new(cluster.clone(), probe));
    let mut desk = Desk::default();
    loop {
        let leads = *leading.borrow_and_update();
        let seen = changes.borrow_and_update().clone();
        match leads {
            true => desk.take_on(&cluster, &worker),
            false => desk = Desk::default(),
        }
        tokio::select! {
            () = cancel.cancelled() => return,
            changed = leading.changed() => if changed.is_err() { return },
            changed = changes.wait_for(|newer| concerns(&seen, newer)), if leads => {
                if changed.is_err() { return }
            }
            done = desk.under_way.join_next(), if !desk.under_way.is_empty() => {
                desk.put_away(done);
            }
            () = sleep(pause(&seen, Timestamp::now())) => {}
        }
    }
}

/// Until when nothing becomes due by itself, or it is looked again all the same.
fn pause(state: &Applied, now: Timestamp) -> Duration {
    let next = due::next_try(state, now).map(|at| at.duration_since(now).unsigned_abs());
    next.map_or(TICK, |next| next.min(TICK))
}

/// Whether orders may have become due.
fn concerns(older: &Applied, newer: &Applied) -> bool {
    !(older.domains.ptr_eq(&newer.domains)
        && older.certificates.ptr_eq(&newer.certificates)
        && older.orders.ptr_eq(&newer.orders)
        && older.settings.ptr_eq(&newer.settings))
}

/// The orders that are worked on here.
#[derive(Default)]
struct Desk {
    under_way: JoinSet<DomainName>,
    names: BTreeSet<DomainName>,
    silence: Silence,
    waits: Waits,
}

impl Desk {
    fn take_on(&mut self, cluster: &Cluster, worker: &Arc<Worker>) {
        let (state, node) = (cluster.state(), cluster.node_id());
        for (name, fence) in self.silence.follow(&state, node, Instant::now()) {
            if self.names.insert(name.clone()) {
                let worker = worker.clone();
                self.under_way.spawn(async move {
                    worker.take_from_silent(&name, fence).await;
                    name
                });
            }
        }
        let clock = Timestamp::now();
        let waited = self.waits.follow(&state, clock, Instant::now());
        for name in due::due(&state, node, clock, &waited) {
            if self.names.len() >= ORDERS_AT_ONCE {
                return;
            }
            if self.names.insert(name.clone()) {
                let worker = worker.clone();
                self.under_way.spawn(async move {
                    worker.work(&name).await;
                    name
                });
            }
        }
    }

    fn put_away(&mut self, done: Option<Result<DomainName, tokio::task::JoinError>>) {
        match done {
            Some(Ok(name)) => drop(self.names.remove(&name)),
            // Whose it was is not known: all begin again, each with a lease of its own.
            Some(Err(_)) => *self = Self::default(),
            None => {}
        }
    }
}
