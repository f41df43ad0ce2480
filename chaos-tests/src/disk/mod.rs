//! A disk that fails on command: a file system over a folder, by FUSE, that a node has its data on. What is written goes
//! through to the folder, but is remembered until it is synced, so that it can be taken back as a loss of power would.
//!
//! ```no_run
//! # fn story() -> std::io::Result<()> {
//! use std::path::Path;
//! use temps_chaos_tests::disk::{Order, mount, tell};
//!
//! // In a process of its own, which ends once nobody has it mounted:
//! mount(Path::new("disk"), Path::new("data"), Path::new("disk.sock"))?;
//! // And in another one:
//! tell(Path::new("disk.sock"), Order::Full)?;
//! # Ok(())
//! # }
//! ```

mod doomed;
mod files;
mod inodes;
mod journal;
mod kernel;
mod order;
mod serve;

pub use order::{Order, tell};
pub use serve::mount;

use inodes::Inode;
use journal::Journal;
