//! How many connections clients hold open, in all and each.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::metrics::gauge::Gauge;

use crate::limits::Limits;

/// The open connections of this node. Locked once when a connection comes and once when it goes, never by a request.
#[derive(Default)]
pub(crate) struct ConnectionCount {
    open: Mutex<Open>,
    gauge: Gauge,
}

#[derive(Default)]
struct Open {
    total: usize,
    by_client: HashMap<IpAddr, usize>,
}

/// One counted connection; it stops counting when dropped.
pub(crate) struct Admission {
    count: Arc<ConnectionCount>,
    client: IpAddr,
}

impl ConnectionCount {
    /// A count that also shows in `gauge`.
    pub(crate) fn new(gauge: Gauge) -> Self {
        Self { open: Mutex::default(), gauge }
    }

    /// Counts a connection, unless there are too many.
    pub(crate) fn admit(self: &Arc<Self>, client: IpAddr, limits: &Limits) -> Option<Admission> {
        let client = network_of(client);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let of_client = open.by_client.get(&client).copied().unwrap_or(0);
        if open.total >= limits.connections_max || of_client >= limits.connections_per_client_max {
            return None;
        }
        open.total += 1;
        open.by_client.insert(client, of_client + 1);
        drop(open);
        self.gauge.inc();
        Some(Admission { count: self.clone(), client })
    }

    fn leave(&self, client: IpAddr) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.total = open.total.saturating_sub(1);
        match open.by_client.get_mut(&client) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                open.by_client.remove(&client);
            }
        }
        drop(open);
        self.gauge.dec();
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.count.leave(self.client);
    }
}

/// What counts as one client: an IPv4 address, or an IPv6 network of 64 bits, of which a host has all addresses.
fn network_of(client: IpAddr) -> IpAddr {
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
        let first = count.admit(a, &limits).unwrap();
        let _second = count.admit(a, &limits).unwrap();
        assert!(count.admit(a, &limits).is_none(), "the client has two");
        let _third = count.admit(b, &limits).unwrap();
        assert!(count.admit(c, &limits).is_none(), "there are three");
        drop(first);
        assert!(count.admit(c, &limits).is_some());
        assert_eq!(count.gauge.get(), 2);
    }

    #[test]
    fn an_ipv6_host_is_one_client() {
        let count = Arc::new(ConnectionCount::default());
        let limits = Limits { connections_per_client_max: 1, ..Limits::default() };
        let _held = count.admit("2001:db8::1".parse().unwrap(), &limits).unwrap();
        assert!(count.admit("2001:db8::ffff".parse().unwrap(), &limits).is_none());
        assert!(count.admit("2001:db8:0:1::1".parse().unwrap(), &limits).is_some());
    }
}
