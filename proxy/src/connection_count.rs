//! How many connections clients hold open, in all and each.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

use crate::client_share::{Bounds, network_of, site_of};
use crate::limits::Limits;
use crate::seat::{Seat, Turns};
use crate::seats::Seats;

/// The open connections of this node. Locked once when a connection comes and once when it goes, never by a request.
#[derive(Default)]
pub(crate) struct ConnectionCount {
    open: Mutex<Open>,
    turns: Turns,
    gauge: Gauge,
    displaced: Counter,
    /// How many there may be whatever the settings say.
    most: Option<usize>,
}

#[derive(Default)]
struct Open {
    seats: Seats,
    clients: Tally,
    sites: Tally,
}

/// How many each has.
#[derive(Default)]
struct Tally(HashMap<IpAddr, usize>);

/// One counted connection; it stops counting when dropped.
pub(crate) struct Admission {
    count: Arc<ConnectionCount>,
    client: Option<IpAddr>,
    id: u64,
    seat: Arc<Seat>,
}

impl ConnectionCount {
    /// A count that also shows in `gauge`, of `most` connections whatever the settings say. Those that made room for others
    /// show in `displaced`.
    pub(crate) fn new(gauge: Gauge, displaced: Counter, most: Option<usize>) -> Self {
        Self { gauge, displaced, most, ..Self::default() }
    }

    /// Counts a connection, unless there are too many. Where all places are taken, the connection that has rested longest
    /// makes room. A proxy's has no client of its own, and may be one of many.
    pub(crate) fn admit(
        self: &Arc<Self>,
        client: Option<IpAddr>,
        limits: &Limits,
    ) -> Option<Admission> {
        let bounds = Bounds::of(limits, self.most);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = client {
            open.has_share(client, bounds).then_some(())?;
        }
        if open.seats.are_taken(bounds.all) {
            open.seats.make_room(bounds.all).then_some(())?;
            self.displaced.inc();
        }
        if let Some(client) = client {
            open.count(client);
        }
        let seat = Arc::new(Seat::new(self.turns.clone()));
        let id = open.seats.add(seat.clone());
        drop(open);
        self.gauge.inc();
        Some(Admission { count: self.clone(), client, id, seat })
    }

    fn leave(&self, client: Option<IpAddr>, id: u64) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.seats.remove(id);
        if let Some(client) = client {
            open.give_back(client);
        }
        drop(open);
        self.gauge.dec();
    }
}

impl Open {
    /// Whether a client may have one more, and its site.
    fn has_share(&self, client: IpAddr, bounds: Bounds) -> bool {
        let of_site = site_of(client).map_or(0, |site| self.sites.of(site));
        self.clients.of(network_of(client)) < bounds.per_client && of_site < bounds.per_site
    }

    fn count(&mut self, client: IpAddr) {
        self.clients.add(network_of(client));
        if let Some(site) = site_of(client) {
            self.sites.add(site);
        }
    }

    fn give_back(&mut self, client: IpAddr) {
        self.clients.remove(network_of(client));
        if let Some(site) = site_of(client) {
            self.sites.remove(site);
        }
    }
}

impl Tally {
    fn of(&self, whose: IpAddr) -> usize {
        self.0.get(&whose).copied().unwrap_or(0)
    }

    fn add(&mut self, whose: IpAddr) {
        *self.0.entry(whose).or_default() += 1;
    }

    fn remove(&mut self, whose: IpAddr) {
        match self.0.get_mut(&whose) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(self.0.remove(&whose)),
        }
    }
}

impl Admission {
    /// Counts the connection of a proxy for the client that it speaks for, unless that has too many.
    pub(crate) fn on_behalf_of(mut self, client: IpAddr, limits: &Limits) -> Option<Self> {
        let bounds = Bounds::of(limits, self.count.most);
        let mut open = self.count.open.lock().unwrap_or_else(PoisonError::into_inner);
        let has_share = open.has_share(client, bounds);
        if has_share {
            open.count(client);
        }
        drop(open);
        has_share.then_some(())?;
        self.client = Some(client);
        Some(self)
    }

    /// The place that the connection takes.
    pub(crate) fn seat(&self) -> Arc<Seat> {
        self.seat.clone()
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.count.leave(self.client, self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn few(all: usize, each: usize) -> Limits {
        Limits { connections_max: all, connections_per_client_max: each, ..Limits::default() }
    }

    fn client(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    /// A connection that has something under way.
    fn busy(count: &Arc<ConnectionCount>, from: &str, limits: &Limits) -> Option<Admission> {
        count.admit(client(from), limits).inspect(|admission| admission.seat().work())
    }

    #[test]
    fn connections_are_bounded_in_all_and_per_client() {
        let count = Arc::new(ConnectionCount::default());
        let limits = few(3, 2);
        let [a, b, c] = ["192.0.2.1", "2001:db8::1", "2001:db8:1::2"];
        let first = busy(&count, a, &limits).unwrap();
        let _second = busy(&count, a, &limits).unwrap();
        assert!(busy(&count, a, &limits).is_none(), "the client has two");
        let _third = busy(&count, b, &limits).unwrap();
        assert!(busy(&count, c, &limits).is_none(), "there are three");
        drop(first);
        assert!(busy(&count, c, &limits).is_some());
        assert_eq!(count.gauge.get(), 2);
    }

    #[test]
    fn who_has_rested_longest_makes_room() {
        let count = Arc::new(ConnectionCount::default());
        let limits = few(3, 9);
        let mut held: Vec<_> =
            (0..3).map(|_| busy(&count, "192.0.2.1", &limits).unwrap()).collect();
        let newcomer = || count.admit(client("192.0.2.2"), &limits);
        assert!(newcomer().is_none(), "all are busy");
        held[1].seat().rest();
        held[0].seat().rest();
        let fourth = newcomer().expect("the second has rested longest");
        let lost =
            |held: &[Admission]| held.iter().map(|one| one.seat().is_lost()).collect::<Vec<_>>();
        assert_eq!(lost(&held), [false, true, false]);
        assert!(newcomer().is_none(), "the one that was told to go must be gone first");
        held.remove(1);
        let fifth = newcomer().expect("then the first");
        assert_eq!(lost(&held), [true, false]);
        assert_eq!((count.gauge.get(), count.displaced.get()), (4, 2));
        drop((held, fourth, fifth));
        assert_eq!(count.gauge.get(), 0);
    }

    #[test]
    fn there_are_no_more_than_there_can_be_and_a_client_has_a_part_of_them() {
        let count = Arc::new(ConnectionCount::new(Gauge::default(), Counter::default(), Some(8)));
        let ask = |n: u8| busy(&count, &format!("192.0.2.{n}"), &Limits::default());
        let held: Vec<_> = (0..9).filter_map(|_| ask(1)).collect();
        assert_eq!(held.len(), 2);
        let others: Vec<_> = (2..99).filter_map(ask).collect();
        assert_eq!(held.len() + others.len(), 8);
    }

    #[test]
    fn a_proxy_has_many_clients_which_are_bounded_each() {
        let count = Arc::new(ConnectionCount::default());
        let limits = few(9, 1);
        let [a, b]: [IpAddr; 2] = ["192.0.2.1", "192.0.2.2"].map(|a| a.parse().unwrap());
        let open = |client| count.admit(None, &limits)?.on_behalf_of(client, &limits);
        let first = open(a).unwrap();
        let _second = open(b).unwrap();
        assert!(open(a).is_none(), "it has one");
        assert_eq!(count.gauge.get(), 2);
        drop(first);
        assert!(open(a).is_some());
    }

    #[test]
    fn a_site_has_the_shares_of_a_few_clients() {
        let count = Arc::new(ConnectionCount::default());
        let ask =
            |n: u32, limits: &Limits| busy(&count, &format!("2001:db8:0:{:x}::1", n << 8), limits);
        let limits = few(99, 2);
        let held: Vec<_> = (0..64).filter_map(|n| ask(n / 4, &limits)).collect();
        assert_eq!(held.len(), 8, "two of each client, of four clients");
        assert!(busy(&count, "2001:db8:1::1", &limits).is_some(), "another site");
        drop(held);
        let limits = few(10, 2);
        let held: Vec<_> = (0..64).filter_map(|n| ask(n / 4, &limits)).collect();
        assert_eq!(held.len(), 5, "half of all");
    }
}
