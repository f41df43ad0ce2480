//! How many files this process may have open, of which its connections are some.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use temps_api::API_CONNECTIONS_MAX;
use tracing::warn;

/// What is kept for everything but clients: files, peers, the engine.
const KEPT_BACK: u64 = 256;
/// What a client of the edge takes: its connection, and one to an app for its request, which has two descriptors, as has
/// one that is kept for the next.
const OF_A_CLIENT: u64 = 5;
/// What a client of the API takes: its connection, and one to the engine.
const OF_AN_API_CLIENT: u64 = 2;
/// Clients of the API take no more than one part in so many of all.
const PART_OF_THE_API: u64 = 8;
/// Fewer than these are worth telling.
const FEW: usize = 20_000;

/// How many connections there can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections {
    /// Of clients of the edge.
    pub edge: usize,
    /// Of clients of the API.
    pub api: usize,
}

/// Takes as many files as the system allows, and gives how many connections there can be.
pub fn claim() -> Option<Connections> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let allowed = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum?,
        Err(_) => limit.current?,
    };
    let most = connections(allowed);
    if most.edge < FEW {
        warn!(
            files = allowed,
            connections = most.edge,
            of_the_api = most.api,
            "few files may be open: the edge and the API take no more connections than these; raise the hard limit (ulimit -Hn) for more"
        );
    }
    Some(most)
}

/// How many connections there can be with so many open files.
fn connections(files: u64) -> Connections {
    let count = |files: u64, each: u64| usize::try_from(files / each).unwrap_or(usize::MAX);
    let api = count(files / PART_OF_THE_API, OF_AN_API_CLIENT).min(API_CONNECTIONS_MAX);
    let left = files.saturating_sub(api as u64 * OF_AN_API_CLIENT + KEPT_BACK);
    Connections { edge: count(left.max(files / 4), OF_A_CLIENT), api }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_files_are_kept_back() {
        for (files, edge, api) in [(1_024, 128, 64), (256, 12, 16), (1_048_576, 208_844, 2_048)] {
            assert_eq!(connections(files), Connections { edge, api }, "{files}");
        }
    }
}
