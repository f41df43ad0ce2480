//! The authority and the resolvers, over real sockets.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop there")]

mod authority;
mod containers;
mod delegation;
#[path = "../../../providers/tests/it/held_port.rs"]
mod held_port;
#[path = "../../../providers/tests/it/knot_config.rs"]
mod knot_config;
mod resolver;
