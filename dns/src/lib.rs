//! The node's own resolver: answers its containers.
//!
//! Names of apps, `<project>-<environment>.temps.internal`, lead to the node's own address on the containers' network,
//! where its edge takes them on. All else goes to the machine's own resolvers, octet for octet, and so do the answers
//! back. Nobody but the node's containers is answered.
#![forbid(unsafe_code)]

mod crowd;
mod desk;
mod dns;
mod limits;
mod lookup;
mod question;
mod resolv_conf;
mod tcp;
mod udp;
mod upstream;
mod verdict;

pub use dns::{DNS_PORT, Dns, DnsConfig, Nameservers};
pub use lookup::Lookup;
