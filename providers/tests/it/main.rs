//! Providers over real sockets: web APIs against stand-ins written from what each provider publishes, RFC 2136 against a
//! real server.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop there")]

mod azure;
mod cloudflare;
mod digitalocean;
mod google;
mod held_port;
mod hetzner;
mod keeping;
mod knot;
mod knot_config;
mod rfc2136;
mod route53;
mod stand_in;
mod story;
