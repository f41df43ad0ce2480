//! How many connections clients hold open, in all and each.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::metrics::gauge::Gauge;

use crate::limits::Limits;

/// Where there can be few connections, one client has no more than one part in so many of them.
const ONE_CLIENTS_PART: usize = 4;

/// The open connections of this node. Locked once when a connection comes and once when it goes, never by a request.
#[derive(Default)]
pub(crate) struct ConnectionCount {
    open: Mutex<Open>,
    gauge: Gauge,
    /// How many there may be whatever the settings say.
    most: Option<usize>,
}

#[derive(Default)]
struct Open {
    total: usize,
    by_client: HashMap<IpAddr, usize>,
}

/// One counted connection; it stops counting when dropped.
pub(crate) struct Admission {
    count: Arc<ConnectionCount>,
    client: Option<IpAddr>,
}

impl ConnectionCount {
    /// A count that also shows in `gauge`, of `most` connections whatever the settings say.
    pub(crate) fn new(gauge: Gauge, most: Option<usize>) -> Self {
        Self { open: Mutex::default(), gauge, most }
    }

    /// Counts a connection, unless there are too many. A proxy's has no client of its own, and may be one of many.
    pub(crate) fn admit(
        self: &Arc<Self>,
        client: Option<IpAddr>,
        limits: &Limits,
    ) -> Option<Admission> {
        let client = client.map(network_of);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.total >= self.bounded(limits.connections_max, 1) {
            return None;
        }
        if let Some(client) = client {
            open.take(client, self.per_client_max(limits))?;
        }
        open.total += 1;
        drop(open);
        self.gauge.inc();
        Some(Admission { count: self.clone(), client })
    }

    fn per_client_max(&self, limits: &Limits) -> usize {
        self.bounded(limits.connections_per_client_max, ONE_CLIENTS_PART)
    }

    /// What the settings allow, and no more than a part of what there can be.
    fn bounded(&self, allowed: usize, part: usize) -> usize {
        self.most.map_or(allowed, |most| allowed.min(most / part))
    }

    fn leave(&self, client: Option<IpAddr>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.total = open.total.saturating_sub(1);
        if let Some(client) = client {
            open.give_back(client);
        }
        drop(open);
        self.gauge.dec();
    }
}

impl Open {
    /// Counts one more of a client, unless it has too many.
    fn take(&mut self, client: IpAddr, most: usize) -> Option<()> {
        let count = self.by_client.get(&client).copied().unwrap_or(0);
        (count < most).then(|| {
            self.by_client.insert(client, count + 1);
        })
    }

    fn give_back(&mut self, client: IpAddr) {
        match self.by_client.get_mut(&client) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(self.by_client.remove(&client)),
        }
    }
}

impl Admission {
    /// Counts the connection of a proxy for the client that it speaks for, unless that has too many.
    pub(crate) fn on_behalf_of(mut self, client: IpAddr, limits: &Limits) -> Option<Self> {
        let client = network_of(client);
        let mut open = self.count.open.lock().unwrap_or_else(PoisonError::into_inner);
        let counted = open.take(client, self.count.per_client_max(limits));
        drop(open);
        counted?;
        self.client = Some(client);
        Some(self)
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.count.leave(self.client);
    }
}

/// What counts as one client: an IPv4 address, or an IPv6 network of 64 bits, of which a host has all addresses.
pub(crate) fn network_of(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_bounded_in_all_and_per_client() {
        let count = Arc::new(ConnectionCount::default());
        let limits =
            Limits { connections_max: 3, connections_per_client_max: 2, ..Limits::default() };
        let [a, b, c]: [IpAddr; 3] =
            ["192.0.2.1", "2001:db8::1", "2001:db8::2"].map(|a| a.parse().unwrap());
        let first = count.admit(Some(a), &limits).unwrap();
        let _second = count.admit(Some(a), &limits).unwrap();
        assert!(count.admit(Some(a), &limits).is_none(), "the client has two");
        let _third = count.admit(Some(b), &limits).unwrap();
        assert!(count.admit(Some(c), &limits).is_none(), "there are three");
        drop(first);
        assert!(count.admit(Some(c), &limits).is_some());
        assert_eq!(count.gauge.get(), 2);
    }

    #[test]
    fn there_are_no_more_than_there_can_be_and_a_client_has_a_part_of_them() {
        let count = Arc::new(ConnectionCount::new(Gauge::default(), Some(8)));
        let client = |n: u8| Some(IpAddr::from([192, 0, 2, n]));
        let ask = |n| count.admit(client(n), &Limits::default());
        let held: Vec<_> = (0..9).filter_map(|_| ask(1)).collect();
        assert_eq!(held.len(), 2);
        let others: Vec<_> = (2..99).filter_map(ask).collect();
        assert_eq!(held.len() + others.len(), 8);
    }

    #[test]
    fn a_proxy_has_many_clients_which_are_bounded_each() {
        let count = Arc::new(ConnectionCount::default());
        let limits = Limits { connections_per_client_max: 1, ..Limits::default() };
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
    fn an_ipv6_host_is_one_client() {
        let count = Arc::new(ConnectionCount::default());
        let limits = Limits { connections_per_client_max: 1, ..Limits::default() };
        let _held = count.admit("2001:db8::1".parse().ok(), &limits).unwrap();
        assert!(count.admit("2001:db8::ffff".parse().ok(), &limits).is_none());
        assert!(count.admit("2001:db8:0:1::1".parse().ok(), &limits).is_some());
    }
}
