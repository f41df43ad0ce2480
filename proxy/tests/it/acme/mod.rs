//! Certificates from a real authority, for a real cluster of one with a real edge.

mod deaths;
mod front;
mod full_disk;
mod ground;
mod habits;
mod orders;
