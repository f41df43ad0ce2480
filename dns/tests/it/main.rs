//! The authority and the resolvers, over real sockets.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop there")]

mod authority;
mod containers;
mod resolver;
