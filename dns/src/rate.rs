//! How much the networks of clients may ask. Addresses of datagrams can be forged: who answers too much at one network
//! helps to flood it.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use crate::limits::{NETWORK_BURST, NETWORK_RATE, NETWORKS_MAX};

/// The share of a second that one query takes of a network's allowance.
const SHARE: Duration = Duration::from_nanos(1_000_000_000 / NETWORK_RATE as u64);
/// How far ahead of its allowance a network may be.
const AHEAD_MAX: Duration = SHARE.saturating_mul(NETWORK_BURST);

/// What becomes of a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It is answered.
    Answer,
    /// It is told to come over TCP, where nobody can speak for another.
    Cut,
    /// It gets nothing.
    Drop,
}

/// What networks have asked, in a place each. Where two share one, which nobody can choose, they share the allowance.
pub(crate) struct Rate {
    key: RandomState,
    /// Until when each has used up its allowance.
    used: Vec<Duration>,
    refused: u64,
}

impl Rate {
    /// Nobody has asked anything yet.
    pub(crate) fn new() -> Self {
        Self { key: RandomState::new(), used: vec![Duration::ZERO; NETWORKS_MAX], refused: 0 }
    }

    /// Counts a query, at a time since whenever. Of those that are too many every other one is cut, so that a network
    /// that is spoken for by somebody else still gets through.
    pub(crate) fn admit(&mut self, client: IpAddr, now: Duration) -> Admission {
        let place = self.key.hash_one(network(client)) as usize % self.used.len();
        let used = self.used[place].max(now);
        if used <= now + AHEAD_MAX {
            self.used[place] = used + SHARE;
            return Admission::Answer;
        }
        self.refused = self.refused.wrapping_add(1);
        if self.refused.is_multiple_of(2) { Admission::Cut } else { Admission::Drop }
    }
}

/// The network that a client counts as: what one customer gets, /24 or /56.
pub(crate) fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(Ipv4Addr::from_bits(v4.to_bits() & (!0 << 8))),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (!0 << 72))),
    }
}

/// The site that a client is at: the largest network that one customer gets, /48. IPv4 has none.
pub(crate) fn site(client: IpAddr) -> Option<IpAddr> {
    match client.to_canonical() {
        IpAddr::V4(_) => None,
        IpAddr::V6(v6) => Some(IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (!0 << 80)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_count_as_their_network() {
        for (client, counted, at) in [
            ("192.0.2.7", "192.0.2.0", None),
            ("::ffff:192.0.2.7", "192.0.2.0", None),
            ("2001:db8:1:2ff:4::5", "2001:db8:1:200::", Some("2001:db8:1::")),
        ] {
            let client = client.parse().unwrap();
            assert_eq!(network(client).to_string(), counted);
            assert_eq!(site(client).map(|site| site.to_string()).as_deref(), at);
        }
    }

    #[test]
    fn a_network_may_ask_much_at_once_and_less_for_long() {
        let mut rate = Rate::new();
        let mut admit = |client: &str, millis| {
            rate.admit(client.parse().unwrap(), Duration::from_millis(millis))
        };
        for _ in 0..=NETWORK_BURST {
            assert_eq!(admit("192.0.2.1", 1_000), Admission::Answer);
        }
        let over = [admit("192.0.2.2", 1_000), admit("192.0.2.3", 1_000)];
        assert_eq!(over, [Admission::Drop, Admission::Cut]);
        // A second later there is a second's allowance.
        let later =
            (0..NETWORK_RATE * 2).filter(|_| admit("192.0.2.1", 2_000) == Admission::Answer);
        assert_eq!(later.count() as u32, NETWORK_RATE);
    }
}
