//! Removes what no deployment needs any more: images, static sites, blobs and logs.

mod blobs;
mod engine;
mod needed;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

pub(crate) use self::blobs::Garbage;
pub(crate) use self::engine::{names_of, remove_image, sweep_exports, sweep_images, sweep_pulled};
pub use self::needed::{Needed, RETIRED_KEPT};

/// What is younger stays in any case: the state may not know of it yet. In seconds.
pub const GRACE_SECONDS: u64 = 3_600;
/// What is known to be forgotten stays for as long, in seconds: it may just be made again. Longer than any proposal takes.
pub const GONE_GRACE_SECONDS: u64 = 60;

/// Up to which age things stay that are not needed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grace {
    /// Those that the state may not know of yet.
    pub(crate) unknown: Duration,
    /// Those that it has forgotten.
    pub(crate) gone: Duration,
}

impl Default for Grace {
    fn default() -> Self {
        let [unknown, gone] = [GRACE_SECONDS, GONE_GRACE_SECONDS].map(Duration::from_secs);
        Self { unknown, gone }
    }
}

/// Which things of one kind stay.
#[derive(Clone, Copy)]
pub(crate) struct Kept<'a> {
    /// Those that are needed.
    pub(crate) needed: &'a BTreeSet<String>,
    /// Those that are known to be forgotten.
    pub(crate) gone: &'a BTreeSet<String>,
    /// All others, until then.
    pub(crate) grace: Grace,
}

impl Kept<'_> {
    fn keeps(&self, name: &str, age: Option<Duration>) -> bool {
        let Grace { unknown, gone } = self.grace;
        let grace = if self.gone.contains(name) { gone } else { unknown };
        self.needed.contains(name) || age.is_none_or(|age| age < grace)
    }
}

/// Removes the files of what came in part only and is not young any more.
pub(crate) fn sweep_parts(folder: &Path, grace: Duration) {
    let none = BTreeSet::new();
    let grace = Grace { unknown: grace, gone: grace };
    sweep(folder, &Kept { needed: &none, gone: &none, grace });
}

/// Removes the entries of a folder that do not stay.
pub(crate) fn sweep(folder: &Path, kept: &Kept) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if kept.keeps(&entry.file_name().to_string_lossy(), age_of(&entry)) {
            continue;
        }
        let removed = match entry.file_type() {
            Ok(kind) if kind.is_dir() => std::fs::remove_dir_all(entry.path()),
            _ => std::fs::remove_file(entry.path()),
        };
        if let Err(error) = removed {
            tracing::warn!(path = %entry.path().display(), %error, "cannot remove what is not needed");
        }
    }
}

/// How long ago an entry of a folder was written; `None` when that is not known.
fn age_of(entry: &std::fs::DirEntry) -> Option<Duration> {
    entry.metadata().and_then(|facts| facts.modified()).ok()?.elapsed().ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use jiff::Timestamp;
    use temps_state::{
        Actor, Artifact, Deployment, DeploymentId, EnvironmentId, Id, NodeId, Phase, ProjectId,
        Source,
    };

    use super::*;

    pub(crate) fn deployment(
        n: u64,
        phase: Phase,
        source: Source,
        artifact: Option<Artifact>,
    ) -> Deployment {
        Deployment {
            id: DeploymentId::from_parts(n, 0),
            number: n,
            project: ProjectId::from_parts(1, 1),
            environment: EnvironmentId::from_parts(1, 1),
            source,
            revision: None,
            created_by: Actor::Node { id: NodeId(1) },
            created_at: Timestamp::UNIX_EPOCH,
            phase,
            history: Vec::new(),
            config: None,
            artifact,
            variables: BTreeMap::new(),
            built_on: None,
            architecture: None,
            holders: Default::default(),
            returned: vec![],
        }
    }

    pub(crate) fn image(n: u64) -> Option<Artifact> {
        Some(Artifact::Image { id: format!("sha256:{n}") })
    }

    #[test]
    fn the_sweep_leaves_what_is_needed_or_young() {
        let folder = tempfile::tempdir().unwrap();
        let make = || {
            std::fs::write(folder.path().join("needed"), "x").unwrap();
            std::fs::write(folder.path().join("file"), "x").unwrap();
            std::fs::create_dir_all(folder.path().join("folder/inner")).unwrap();
        };
        let names = || {
            let entries = std::fs::read_dir(folder.path()).unwrap().flatten();
            let mut names: Vec<_> = entries.map(|e| e.file_name()).collect();
            names.sort();
            names
        };
        make();
        let needed = BTreeSet::from(["needed".to_owned()]);
        let gone = BTreeSet::from(["needed".to_owned(), "file".to_owned()]);
        let (zero, minute) = (Duration::ZERO, Duration::from_secs(60));
        let sweep = |gone: &BTreeSet<String>, unknown| {
            let grace = Grace { unknown, gone: zero };
            sweep(folder.path(), &Kept { needed: &needed, gone, grace });
        };
        sweep(&BTreeSet::new(), minute);
        assert_eq!(names(), ["file", "folder", "needed"]);
        sweep(&gone, minute);
        assert_eq!(names(), ["folder", "needed"]);
        sweep(&BTreeSet::new(), zero);
        assert_eq!(names(), ["needed"]);
    }
}
