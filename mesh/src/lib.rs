//! Encrypted streams between nodes: bytes for a replica or an API on another node go through here.
//!
//! A [`Mesh`] keeps one QUIC connection to each node it talks to, rebuilds it when it breaks, and opens streams in it
//! ([`Mesh::open`]). The node at the other end finds them in its [`Incoming`], and accepts or refuses each before any
//! data flows. Who may talk is decided by [`MeshTls`], which the caller supplies: certificates both ways, and the
//! certificate reached must be that of the node addressed.
//!
//! A node that is replaced by another process of its own hands over without a stream being cut: the old process leaves
//! its port ([`Mesh::step_aside`]) and goes on over connections that it makes from another; the new one takes the port
//! and connects to the peers, who open streams over whichever connection is newest; the old one lets its streams end
//! ([`Mesh::drain`]) and stops ([`Mesh::stop`]). Between the first and the second step, only nodes that were not
//! connected find nobody.
//!
//! The mesh does not know what a replica or an API is, and never decides where a stream should go.
#![forbid(unsafe_code)]

mod backoff;
mod config;
mod core;
mod endpoint;
mod error;
mod header;
mod incoming;
mod limits;
mod link;
mod mesh;
mod peer;
mod port;
mod shield;
mod silence;
mod socket;
mod stream;

#[cfg(test)]
#[path = "../tests/common/mod.rs"]
mod common;
#[cfg(test)]
extern crate self as temps_mesh;

pub use config::{ALPN, MeshConfig, MeshTls};
pub use error::MeshError;
pub use header::Target;
pub use incoming::{Arrival, Incoming, Offer};
pub use limits::{
    ANSWER_WITHIN, LINKS_FOR_STREAMS, REACH_WITHIN, STALLED_STREAMS_MAX, STREAMS_MAX,
};
pub use mesh::Mesh;
pub use stream::MeshStream;
