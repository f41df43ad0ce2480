//! Whose share a client uses up, and how large it is: what one customer of a provider gets counts as one client.

use std::net::{IpAddr, Ipv6Addr};

use crate::limits::Limits;

/// Bits of an IPv6 address that tell clients apart. Providers give a customer a network of 56 to 64 bits (RIPE-690).
const CLIENT_BITS: u32 = 56;
/// Bits of one that tell sites apart: the largest network that is given to one customer.
const SITE_BITS: u32 = 48;
/// How many clients' shares those of one site have in all. A site may be one customer, or many of a small provider.
pub(crate) const SITE_SHARES: u32 = 4;
/// Where there can be few connections, one client has no more than one part in so many of them.
const ONE_CLIENTS_PART: usize = 4;
/// One site has no more than one part in so many of all, unless one client may have more.
const ONE_SITES_PART: usize = 2;

/// How many there may be at once: of connections, and of requests that apps have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// In all.
    pub(crate) all: usize,
    /// Of one client.
    pub(crate) per_client: usize,
    /// Of all clients of one site.
    pub(crate) per_site: usize,
}

impl Bounds {
    /// What the settings allow, where there can be no more than `most`.
    pub(crate) fn of(limits: &Limits, most: Option<usize>) -> Self {
        let bounded = |allowed: usize, part| most.map_or(allowed, |most| allowed.min(most / part));
        let all = bounded(limits.connections_max, 1);
        let per_client = bounded(limits.connections_per_client_max, ONE_CLIENTS_PART);
        Self { all, per_client, per_site: all }.per_client_at_most(per_client)
    }

    /// The same, where one client may have no more than this.
    pub(crate) fn per_client_at_most(self, most: usize) -> Self {
        let per_client = self.per_client.min(most);
        let of_some = per_client.saturating_mul(SITE_SHARES as usize);
        let per_site = of_some.min(self.all / ONE_SITES_PART).max(per_client);
        Self { per_client, per_site, ..self }
    }
}

/// What counts as one client: an IPv4 address, or the IPv6 network that a household has.
pub(crate) fn network_of(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => first_bits(address, CLIENT_BITS),
    }
}

/// The site that a client is at, which has but a few shares; IPv4 has none.
pub(crate) fn site_of(client: IpAddr) -> Option<IpAddr> {
    match client.to_canonical() {
        IpAddr::V4(_) => None,
        IpAddr::V6(address) => Some(first_bits(address, SITE_BITS)),
    }
}

fn first_bits(address: Ipv6Addr, bits: u32) -> IpAddr {
    Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << (128 - bits))).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_count_as_the_network_of_a_customer() {
        for (client, network, site) in [
            ("192.0.2.7", "192.0.2.7", None),
            ("::ffff:192.0.2.7", "192.0.2.7", None),
            ("2001:db8:1:2ff:4::5", "2001:db8:1:200::", Some("2001:db8:1::")),
            ("2001:db8:1:3ff:4::5", "2001:db8:1:300::", Some("2001:db8:1::")),
            ("2001:db8:2::1", "2001:db8:2::", Some("2001:db8:2::")),
        ] {
            let client = client.parse().unwrap();
            assert_eq!(network_of(client).to_string(), network);
            assert_eq!(site_of(client).map(|site| site.to_string()).as_deref(), site);
        }
    }
}
