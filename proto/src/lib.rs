//! What goes over the wire between nodes. Generated from `proto/*.proto`; nothing else lives here.

#![forbid(unsafe_code)]

/// Between members of one cluster.
pub mod peer {
    tonic::include_proto!("temps.peer");
}

/// Between a member and a machine that wants to become one.
pub mod join {
    tonic::include_proto!("temps.join");
}
