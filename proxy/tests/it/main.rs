//! The edge, over real connections.

#![allow(clippy::unwrap_used, reason = "a helper of a test may panic as the test may")]

mod abuse;
mod access_log;
mod acme;
mod browser;
mod certificates;
mod cutting;
mod domains;
mod grpc;
mod guards;
mod handover;
mod http2;
mod http3;
mod http3_abuse;
mod inner;
mod lifetime;
mod malformed;
mod proxying;
mod reach;
mod resumption;
mod static_site;
#[path = "../support/mod.rs"]
mod support;
mod switching;
mod tls;
