//! What faults need that not every machine has: looked at before anything is made.

use std::env;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use super::ChaosError;
use crate::history::{FaultKind, Need};

/// Refuses faults that this machine cannot make, with what it lacks.
pub(super) fn refuse(faults: &[FaultKind]) -> Result<(), ChaosError> {
    refuse_without(faults, is_there)
}

fn refuse_without(faults: &[FaultKind], has: fn(Need) -> bool) -> Result<(), ChaosError> {
    let lacking = |kind: &&FaultKind| kind.need().is_some_and(|need| !has(need));
    let faults: Vec<FaultKind> = faults.iter().filter(lacking).copied().collect();
    let mut lacks: Vec<Need> = faults.iter().filter_map(|kind| kind.need()).collect();
    lacks.sort_unstable();
    lacks.dedup();
    let lacks = lacks.into_iter().map(name).collect::<Vec<_>>().join(", ");
    if faults.is_empty() { Ok(()) } else { Err(ChaosError::Lacks { lacks, faults }) }
}

const fn name(need: Need) -> &'static str {
    match need {
        Need::Disks => "/dev/fuse",
        Need::Tunnels => "/dev/net/tun",
        Need::Clocks => "libfaketime, and apt-get to install it by",
    }
}

fn is_there(need: Need) -> bool {
    let opens = |path: &str| OpenOptions::new().read(true).write(true).open(path).is_ok();
    match need {
        Need::Disks => opens("/dev/fuse"),
        Need::Tunnels => opens("/dev/net/tun"),
        Need::Clocks => library().exists() || is_program("apt-get"),
    }
}

/// Where Debian's package has it, as in deploy/cluster.sh.
fn library() -> PathBuf {
    let folder = format!("/usr/lib/{}-linux-gnu/faketime", env::consts::ARCH);
    Path::new(&folder).join("libfaketimeMT.so.1")
}

fn is_program(name: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_made_is_refused_with_what_to_leave_out() {
        let faults = [FaultKind::KillOne, FaultKind::Loss, FaultKind::Delay, FaultKind::DiskFull];
        let refused = refuse_without(&faults, |need| need != Need::Tunnels).unwrap_err();
        let said = refused.to_string();
        assert!(said.contains("lacks /dev/net/tun;"), "{said}");
        assert!(said.ends_with("--without loss,delay"), "{said}");
        assert!(refuse_without(&faults, |_| true).is_ok());
    }
}
