//! How many files this process may have open, of which its connections are some.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::warn;

/// What is kept for everything but clients of the edge: files, peers, the API, the engine.
const KEPT_BACK: u64 = 256;
/// What a client of the edge takes: its connection, and one to an app for its request, which has two descriptors, as has
/// one that is kept for the next.
const OF_A_CLIENT: u64 = 5;
/// Fewer than these are worth telling.
const FEW: u64 = 20_000;

/// Takes as many as the system allows, and gives how many connections of clients there can be.
pub fn claim() -> Option<usize> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let allowed = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum?,
        Err(_) => limit.current?,
    };
    let most = connections(allowed);
    if most < FEW {
        warn!(
            files = allowed,
            connections = most,
            "few files may be open: the edge takes no more connections than this; raise the hard limit (ulimit -Hn) for more"
        );
    }
    usize::try_from(most).ok()
}

/// How many connections of clients there can be with so many open files.
fn connections(files: u64) -> u64 {
    files.saturating_sub(KEPT_BACK).max(files / 4) / OF_A_CLIENT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_files_are_kept_back() {
        for (files, most) in [(1_024, 153), (256, 12), (1_048_576, 209_664)] {
            assert_eq!(connections(files), most, "{files}");
        }
    }
}
