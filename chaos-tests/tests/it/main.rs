//! Stories on real clusters. As root; each takes a ground of its own, one after the other (.config/nextest.toml).

mod certificates;
mod clients;
mod clocks;
mod common;
mod death;
mod disk;
mod dns;
mod engine;
mod ground;
mod guards;
mod images;
mod internal;
mod membership;
mod partition;
mod requests;
mod runs;
mod speech;
mod tools;
mod upgrade;
