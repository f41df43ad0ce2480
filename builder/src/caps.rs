//! Holds a build's steps to their share of the node.
//!
//! BuildKit takes no bounds with a build, and engines before version 23 not even a parent cgroup. But each running step is a
//! container with a cgroup of its own, and the bundle it runs from names it. So while a build runs, its steps are looked
//! for there and their cgroups bounded. A step is known by a mark in its environment: a name in `NO_PROXY`, which
//! BuildKit gives to every step, and which is neither part of the cache key nor of the image.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use temps_state::{BuildSettings, DeploymentId};

/// How often new steps are looked for, in milliseconds.
const LOOK_MS: u64 = 20;
/// After how many looks a step that cannot be bounded is told of.
const LOOKS_IN_VAIN_MAX: u32 = 50;
/// The period of the processor's bound, in microseconds: the kernel's default.
const CPU_PERIOD_US: u64 = 100_000;
/// Where the kernel shows its cgroups.
const CGROUPS: &str = "/sys/fs/cgroup";

/// What each running step of a build may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Caps {
    pub(crate) cpu_millis: u64,
    pub(crate) memory_mib: u64,
}

impl Caps {
    /// The settings' bounds, or half of the node.
    pub(crate) fn of(settings: &BuildSettings, processors: u64, memory_bytes: u64) -> Self {
        let or_half = |set, half: u64| if set == 0 { half.max(1) } else { set };
        Self {
            cpu_millis: or_half(settings.cpu_millis, processors * 1_000 / 2),
            memory_mib: or_half(settings.memory_mib, (memory_bytes >> 20) / 2),
        }
    }
}

/// The mark of a build's steps: a host name that does not exist (RFC 6761 §6.4).
pub(crate) fn mark(deployment: DeploymentId) -> String {
    format!("{deployment}.temps.invalid")
}

/// Bounds one build's steps while it lives.
pub(crate) struct Warden {
    bundles: PathBuf,
    mark: String,
    caps: Caps,
    steps: HashMap<String, Step>,
    killed: Arc<AtomicBool>,
    complaint: Option<io::Error>,
}

/// What is known of one bundle.
enum Step {
    /// Of another build.
    Foreign,
    /// Ours, and not yet bounded after so many looks.
    Found(Cgroup, u32),
    /// Ours and bounded.
    Bounded(Cgroup),
}

impl Warden {
    /// A warden for the steps with that mark, below the engine's data folder. Fails when it cannot look there.
    pub(crate) fn new(engine_root: &Path, mark: String, caps: Caps) -> io::Result<Self> {
        let bundles = engine_root.join("buildkit/executor");
        match fs::read_dir(&bundles) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            // The engine makes it with its first build.
            Ok(_) | Err(_) => fs::metadata(engine_root).map(drop)?,
        }
        let (steps, killed) = (HashMap::new(), Arc::default());
        Ok(Self { bundles, mark, caps, steps, killed, complaint: None })
    }

    /// Turns true when a step was ended over its memory.
    pub(crate) fn killed(&self) -> Arc<AtomicBool> {
        self.killed.clone()
    }

    /// Looks and bounds until it is dropped, and tells of a step that it cannot bound.
    pub(crate) async fn watch(mut self, tell: impl Fn(io::Error)) {
        let mut tick = tokio::time::interval(Duration::from_millis(LOOK_MS));
        loop {
            tick.tick().await;
            self.look();
            if let Some(error) = self.complaint.take() {
                tell(error);
            }
        }
    }

    fn look(&mut self) {
        let Ok(entries) = fs::read_dir(&self.bundles) else { return };
        let folders = entries.flatten().filter(|e| e.file_type().is_ok_and(|kind| kind.is_dir()));
        let present: Vec<String> =
            folders.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        self.steps.retain(|id, _| present.contains(id));
        for id in present {
            if let Some(step) = self.steps.remove(&id).or_else(|| self.recognise(&id)) {
                let step = self.tend(step);
                self.steps.insert(id, step);
            }
        }
    }

    /// Reads a bundle; `None` while it is not written yet.
    fn recognise(&self, id: &str) -> Option<Step> {
        let text = fs::read_to_string(self.bundles.join(id).join("config.json")).ok()?;
        let bundle: serde_json::Value = serde_json::from_str(&text).ok()?;
        let environment = bundle.pointer("/process/env")?.as_array()?;
        let entries = environment.iter().filter_map(|entry| entry.as_str());
        let mut names =
            entries.filter_map(|e| e.strip_prefix("NO_PROXY=")).flat_map(|e| e.split(','));
        if !names.any(|name| name == self.mark) {
            return Some(Step::Foreign);
        }
        let path = bundle.pointer("/linux/cgroupsPath")?.as_str()?;
        // The root itself is no step's.
        let named = !path.trim_matches('/').is_empty();
        named.then(|| Step::Found(Cgroup::new(Path::new(CGROUPS), path), 0))
    }

    fn tend(&mut self, step: Step) -> Step {
        match step {
            Step::Foreign => Step::Foreign,
            Step::Found(cgroup, looks) => match cgroup.bound(self.caps) {
                Ok(()) => Step::Bounded(cgroup),
                Err(error) => {
                    self.was_not_bounded(&cgroup, looks, error);
                    Step::Found(cgroup, looks.saturating_add(1))
                }
            },
            Step::Bounded(cgroup) => {
                if cgroup.was_out_of_memory() {
                    self.killed.store(true, Ordering::Relaxed);
                }
                Step::Bounded(cgroup)
            }
        }
    }

    fn was_not_bounded(&mut self, cgroup: &Cgroup, looks: u32, error: io::Error) {
        if error.kind() == io::ErrorKind::ResourceBusy {
            // It uses more already than it may, and the kernel could take nothing back.
            self.killed.store(true, Ordering::Relaxed);
            cgroup.kill();
        } else if looks == LOOKS_IN_VAIN_MAX {
            self.complaint = Some(error);
        }
    }
}

/// A step's cgroup, in either version of the kernel's interface.
enum Cgroup {
    /// One hierarchy for each resource.
    V1 { memory: PathBuf, cpu: PathBuf },
    /// One for all; its name depends on who made it.
    V2 { candidates: Vec<PathBuf> },
}

impl Cgroup {
    /// From the path that a bundle names: `/docker/…`, or `slice:prefix:name` for systemd.
    fn new(root: &Path, path: &str) -> Self {
        let plain = path.trim_start_matches('/');
        if root.join("memory").is_dir() {
            let (memory, cpu) = (root.join("memory").join(plain), root.join("cpu").join(plain));
            return Self::V1 { memory, cpu };
        }
        let mut candidates = vec![root.join(plain)];
        if let [slice, prefix, name] = path.split(':').collect::<Vec<_>>()[..] {
            candidates.push(root.join(slice).join(format!("{prefix}-{name}.scope")));
        }
        Self::V2 { candidates }
    }

    fn bound(&self, caps: Caps) -> io::Result<()> {
        let bytes = (caps.memory_mib << 20).to_string();
        let quota = caps.cpu_millis * CPU_PERIOD_US / 1_000;
        match self {
            Self::V1 { memory, cpu } => {
                fs::write(cpu.join("cpu.cfs_period_us"), CPU_PERIOD_US.to_string())?;
                fs::write(cpu.join("cpu.cfs_quota_us"), quota.to_string())?;
                fs::write(memory.join("memory.limit_in_bytes"), &bytes)?;
                // Only kernels with swap accounting have this one.
                let _ = fs::write(memory.join("memory.memsw.limit_in_bytes"), &bytes);
                Ok(())
            }
            Self::V2 { .. } => {
                let folder = self.folder().ok_or(io::ErrorKind::NotFound)?;
                fs::write(folder.join("cpu.max"), format!("{quota} {CPU_PERIOD_US}"))?;
                let _ = fs::write(folder.join("memory.swap.max"), "0");
                fs::write(folder.join("memory.max"), &bytes)
            }
        }
    }

    /// The folder that lists its processes and tells of its memory.
    fn folder(&self) -> Option<&PathBuf> {
        match self {
            Self::V1 { memory, .. } => Some(memory),
            Self::V2 { candidates } => candidates.iter().find(|path| path.is_dir()),
        }
    }

    fn was_out_of_memory(&self) -> bool {
        let file = match self {
            Self::V1 { .. } => "memory.oom_control",
            Self::V2 { .. } => "memory.events",
        };
        let text = self.folder().and_then(|folder| fs::read_to_string(folder.join(file)).ok());
        text.unwrap_or_default()
            .lines()
            .any(|line| line.strip_prefix("oom_kill ").is_some_and(|count| count.trim() != "0"))
    }

    fn kill(&self) {
        let list = self.folder().and_then(|f| fs::read_to_string(f.join("cgroup.procs")).ok());
        for pid in list.unwrap_or_default().lines().filter_map(|pid| pid.parse().ok()) {
            if let Some(pid) = Pid::from_raw(pid) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unset_bounds_are_half_of_the_node() {
        let settings = BuildSettings::default();
        let caps = Caps::of(&settings, 4, 8 << 30);
        assert_eq!(caps, Caps { cpu_millis: 2_000, memory_mib: 4_096 });
        let settings = BuildSettings { cpu_millis: 500, memory_mib: 64, ..settings };
        let caps = Caps::of(&settings, 4, 8 << 30);
        assert_eq!(caps, Caps { cpu_millis: 500, memory_mib: 64 });
    }

    #[test]
    fn both_versions_of_cgroups_are_bounded() {
        let root = tempfile::tempdir().unwrap();
        let caps = Caps { cpu_millis: 1_500, memory_mib: 64 };
        let read = |path: &str| fs::read_to_string(root.path().join(path)).unwrap();

        let scope = root.path().join("system.slice/docker-abc.scope");
        fs::create_dir_all(&scope).unwrap();
        let v2 = Cgroup::new(root.path(), "system.slice:docker:abc");
        v2.bound(caps).unwrap();
        assert_eq!(read("system.slice/docker-abc.scope/cpu.max"), "150000 100000");
        assert_eq!(read("system.slice/docker-abc.scope/memory.max"), "67108864");
        assert!(!v2.was_out_of_memory());
        fs::write(scope.join("memory.events"), "low 0\noom 2\noom_kill 1\n").unwrap();
        assert!(v2.was_out_of_memory());

        for kind in ["memory", "cpu"] {
            fs::create_dir_all(root.path().join(kind).join("docker/buildkit/abc")).unwrap();
        }
        let v1 = Cgroup::new(root.path(), "/docker/buildkit/abc");
        v1.bound(caps).unwrap();
        assert_eq!(read("cpu/docker/buildkit/abc/cpu.cfs_quota_us"), "150000");
        assert_eq!(read("memory/docker/buildkit/abc/memory.limit_in_bytes"), "67108864");
        assert!(Cgroup::new(root.path(), "/gone").bound(caps).is_err());
    }

    #[test]
    fn only_marked_steps_are_ours() {
        let root = tempfile::tempdir().unwrap();
        let bundle = |id: &str, text: &str| {
            let folder = root.path().join("buildkit/executor").join(id);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("config.json"), text).unwrap();
        };
        let text = |env: &str| {
            format!(
                r#"{{"process":{{"env":["A=b","{env}"]}},"linux":{{"cgroupsPath":"/no/such"}}}}"#
            )
        };
        bundle("ours", &text("NO_PROXY=intranet,mine.temps.invalid"));
        bundle("theirs", &text("NO_PROXY=other.temps.invalid"));
        bundle("unwritten", "{");
        let caps = Caps { cpu_millis: 1, memory_mib: 1 };
        let mut warden = Warden::new(root.path(), "mine.temps.invalid".into(), caps).unwrap();
        warden.look();
        assert!(matches!(warden.steps["ours"], Step::Found(..)));
        for _ in 0..=LOOKS_IN_VAIN_MAX {
            warden.look();
        }
        assert!(warden.complaint.is_some(), "its cgroup is not there");
        assert!(matches!(warden.steps["theirs"], Step::Foreign));
        assert!(!warden.steps.contains_key("unwritten"));
        assert!(Warden::new(Path::new("/no/such/folder"), "m".into(), caps).is_err());
    }
}
