//! The node's own resolver, which answers its containers, and its part in the DNS of the world.
//!
//! The resolver: names of apps, `<project>-<environment>.temps.internal`, lead to the node's own address on the containers' network,
//! where its edge takes them on. All else goes to the machine's own resolvers, octet for octet, and so do the answers
//! back. Nobody but the node's containers is answered.
//!
//! The [`Authority`]: zones that are delegated to the cluster lead to its living edges. It answers whoever asks, for
//! these zones alone, from the state.
#![forbid(unsafe_code)]

mod answer;
mod authority;
mod crowd;
mod delegation;
mod delegations;
mod desk;
mod dns;
mod limits;
mod lookup;
mod question;
mod rate;
mod referral;
mod resolv_conf;
mod tcp;
mod udp;
mod upstream;
mod verdict;
mod zone;
mod zones;

pub use authority::{Authority, AuthoritySockets};
pub use delegations::Delegations;
pub use dns::{DNS_PORT, Dns, DnsConfig, Nameservers};
pub use lookup::Lookup;
