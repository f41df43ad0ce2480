//! Whose share a client uses up: what one customer of a provider gets counts as one client.

use std::net::{IpAddr, Ipv6Addr};

/// Bits of an IPv6 address that tell clients apart. Providers give a customer a network of 56 to 64 bits (RIPE-690).
const CLIENT_BITS: u32 = 56;
/// Bits of one that tell sites apart: the largest network that is given to one customer.
const SITE_BITS: u32 = 48;
/// How many clients' shares those of one site have in all. A site may be one customer, or many of a small provider.
pub(crate) const SITE_SHARES: u32 = 4;

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
