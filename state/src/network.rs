//! Networks of addresses, and countries: what rules about clients are made of.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Serialize};

/// How many leading bits an IPv6 address that stands for an IPv4 one has before it (RFC 4291 §2.5.5.2).
const MAPPED_BITS: u8 = 96;

/// A network in CIDR notation, such as `203.0.113.0/24` or `2001:db8::/32`; one address is a network, too. Bits that
/// belong to hosts are zero, and IPv4 is never written as IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network(IpNet);

/// A text that is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no network: write an address with the number of its fixed bits, such as \
     203.0.113.0/24 or 2001:db8::/32, or a single address"
)]
pub struct NetworkError(String);

impl Network {
    /// The network.
    pub fn net(&self) -> IpNet {
        self.0
    }

    /// Whether an address is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let net =
            text.parse().or_else(|_| text.parse().map(|address: IpAddr| IpNet::from(address)));
        let net = net.map_err(|_| NetworkError(text.chars().take(64).collect()))?;
        Ok(Self(canonical(net).trunc()))
    }
}

/// The IPv4 network that an IPv6 one stands for.
fn canonical(net: IpNet) -> IpNet {
    let bits = net.prefix_len().checked_sub(MAPPED_BITS);
    match (net.addr().to_canonical(), net, bits) {
        (IpAddr::V4(address), IpNet::V6(_), Some(bits)) => {
            Ipv4Net::new(address, bits).map_or(net, IpNet::V4)
        }
        _ => net,
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.prefix_len() == self.0.max_prefix_len() {
            true => self.0.addr().fmt(f),
            false => self.0.fmt(f),
        }
    }
}

/// A country, by its two letters of ISO 3166-1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country([u8; 2]);

/// A text that is no country.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no country: write its two letters of ISO 3166, such as DE or US")]
pub struct CountryError(String);

impl Country {
    /// Its letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for Country {
    type Err = CountryError;

    fn from_str(text: &str) -> Result<Self, CountryError> {
        let letters: Option<[u8; 2]> = text.to_ascii_uppercase().into_bytes().try_into().ok();
        let letters = letters.filter(|letters| letters.iter().all(u8::is_ascii_uppercase));
        letters.map(Self).ok_or_else(|| CountryError(text.chars().take(16).collect()))
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! written_as_text {
    ($($type:ty),*) => {$(
        impl Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

written_as_text!(Network, Country);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_written_in_one_way_only() {
        for (text, written) in [
            ("203.0.113.0/24", "203.0.113.0/24"),
            ("203.0.113.7/24", "203.0.113.0/24"),
            ("203.0.113.7", "203.0.113.7"),
            ("203.0.113.7/32", "203.0.113.7"),
            ("2001:DB8::/32", "2001:db8::/32"),
            ("2001:db8::1", "2001:db8::1"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("::ffff:203.0.113.0/120", "203.0.113.0/24"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::/0", "::/0"),
        ] {
            let network: Network = text.parse().expect(text);
            assert_eq!(network.to_string(), written);
            assert_eq!(written.parse(), Ok(network));
        }
        for bad in ["", "203.0.113.0/33", "203.0.113", "2001:db8::/129", "example.com", "1.2.3.4/"]
        {
            let refused = bad.parse::<Network>().expect_err(bad).to_string();
            assert!(refused.contains(&format!("`{bad}`")) && refused.contains("203.0.113.0/24"));
        }
    }

    #[test]
    fn an_address_is_in_its_networks_however_it_is_written() {
        let network: Network = "203.0.113.0/24".parse().expect("a network");
        for (address, inside) in [
            ("203.0.113.255", true),
            ("::ffff:203.0.113.1", true),
            ("203.0.114.0", false),
            ("2001:db8::1", false),
        ] {
            assert_eq!(network.contains(address.parse().expect("an address")), inside, "{address}");
        }
    }

    #[test]
    fn countries_have_two_letters() {
        assert_eq!("de".parse::<Country>().expect("a country").to_string(), "DE");
        for bad in ["", "D", "DEU", "D1", "ÄÖ", "Germany"] {
            assert!(bad.parse::<Country>().is_err(), "{bad}");
        }
    }
}
