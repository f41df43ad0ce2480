//! Many networks, made ready to be looked through for an address. Pure.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use temps_state::Network;

/// Networks as ranges that neither meet nor overlap, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Networks {
    v4: Vec<(u32, u32)>,
    v6: Vec<(u128, u128)>,
}

impl Networks {
    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// Whether an address is in one of them.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => is_within(&self.v4, address.to_bits()),
            IpAddr::V6(address) => is_within(&self.v6, address.to_bits()),
        }
    }
}

impl<'a> FromIterator<&'a Network> for Networks {
    fn from_iter<I: IntoIterator<Item = &'a Network>>(networks: I) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in networks {
            match network.net() {
                IpNet::V4(net) => v4.push(net),
                IpNet::V6(net) => v6.push(net),
            }
        }
        let range4 = |net: Ipv4Net| (net.network().to_bits(), net.broadcast().to_bits());
        let range6 = |net: Ipv6Net| (net.network().to_bits(), net.broadcast().to_bits());
        let mut v4: Vec<_> = Ipv4Net::aggregate(&v4).into_iter().map(range4).collect();
        let mut v6: Vec<_> = Ipv6Net::aggregate(&v6).into_iter().map(range6).collect();
        v4.sort_unstable();
        v6.sort_unstable();
        Self { v4, v6 }
    }
}

fn is_within<T: Ord + Copy>(ranges: &[(T, T)], bits: T) -> bool {
    let after = ranges.partition_point(|(first, _)| *first <= bits);
    after > 0 && bits <= ranges[after - 1].1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(super) fn networks(texts: &[&str]) -> Networks {
        let networks: Vec<Network> = texts.iter().map(|text| text.parse().unwrap()).collect();
        networks.iter().collect()
    }

    #[test]
    fn addresses_are_found_in_their_networks() {
        let all = networks(&["10.0.0.0/8", "10.1.0.0/16", "192.0.2.7", "2001:db8::/32", "::1"]);
        for (address, inside) in [
            ("10.255.255.255", true),
            ("::ffff:10.1.2.3", true),
            ("11.0.0.0", false),
            ("9.255.255.255", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("2001:db8:ffff::1", true),
            ("2001:db9::", false),
            ("::1", true),
            ("::2", false),
        ] {
            assert_eq!(all.contains(address.parse().unwrap()), inside, "{address}");
        }
        assert!(networks(&[]).is_empty() && !networks(&[]).contains("::1".parse().unwrap()));
        assert!(networks(&["0.0.0.0/0"]).contains("255.255.255.255".parse().unwrap()));
    }

    proptest! {
        #[test]
        fn it_is_as_if_each_network_were_asked(
            nets in prop::collection::vec((any::<u32>(), 0..=32_u8), 0..20), bits in any::<u32>(),
        ) {
            let text = |(bits, prefix): &(u32, u8)| {
                format!("{}/{prefix}", std::net::Ipv4Addr::from_bits(*bits))
            };
            let each: Vec<Network> = nets.iter().map(|net| text(net).parse().unwrap()).collect();
            let address = IpAddr::from(std::net::Ipv4Addr::from_bits(bits));
            let all: Networks = each.iter().collect();
            prop_assert_eq!(all.contains(address), each.iter().any(|net| net.contains(address)));
        }
    }
}
