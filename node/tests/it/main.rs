//! The binary, as people use it.

#![allow(clippy::unwrap_used, reason = "a helper of a test may panic as the test may")]

mod command_line;
mod dns;
mod domains;
mod guards;
mod node;
mod nodes;
mod reaching;
mod support;
mod upgrade;
