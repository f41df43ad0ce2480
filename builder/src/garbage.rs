//! Removes what no deployment needs any more: images, static sites, blobs and logs.

mod blobs;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bollard::Docker;
use bollard::errors::Error;
use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListImagesOptionsBuilder, RemoveContainerOptionsBuilder,
    RemoveImageOptionsBuilder,
};
use temps_state::{Artifact, Deployment, EnvironmentId, Phase, Source, State};

use crate::{BuildError, label};

pub(crate) use self::blobs::Garbage;

/// Of each environment, how many deployments that are out of service keep their artifact, for later rollbacks.
pub const RETIRED_KEPT: usize = 5;
/// What is younger stays in any case: the state may not know of it yet. In seconds.
pub const GRACE_SECONDS: u64 = 3_600;

/// What must stay.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Needed {
    /// Images by id.
    pub images: BTreeSet<String>,
    /// Static sites by digest.
    pub sites: BTreeSet<String>,
    /// Uploads by digest.
    pub uploads: BTreeSet<String>,
    /// Logs by the name of their file.
    pub logs: BTreeSet<String>,
}

impl Needed {
    /// What the deployments of a state need.
    pub fn of(state: &State) -> Self {
        let mut needed = Self::default();
        let mut out_of_service: BTreeMap<EnvironmentId, usize> = BTreeMap::new();
        for deployment in state.deployments.values().rev() {
            needed.logs.insert(format!("{}.jsonl", deployment.id));
            if let (Source::Upload { digest }, true) =
                (&deployment.source, deployment.phase.is_under_way())
            {
                needed.uploads.insert(digest.clone());
            }
            if let Some(artifact) = &deployment.artifact {
                let seen = out_of_service.entry(deployment.environment).or_default();
                if is_needed(deployment, seen) {
                    needed.insert(artifact);
                }
            }
        }
        needed
    }

    fn insert(&mut self, artifact: &Artifact) {
        match artifact {
            Artifact::Image { id } => self.images.insert(id.clone()),
            Artifact::Static { digest, .. } => self.sites.insert(digest.clone()),
        };
    }
}

/// Newest first; `seen` counts an environment's deployments that are out of service.
fn is_needed(deployment: &Deployment, seen: &mut usize) -> bool {
    if deployment.phase.is_under_way() || deployment.phase.holds_replicas() {
        return true;
    }
    if deployment.phase != Phase::Retired {
        return false;
    }
    *seen += 1;
    *seen <= RETIRED_KEPT
}

/// Removes the entries of a folder that are neither needed nor young.
pub(crate) fn sweep(folder: &Path, needed: &BTreeSet<String>, grace: Duration) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let is_needed = entry.file_name().to_str().is_some_and(|name| needed.contains(name));
        if is_needed || !is_old(&entry, grace) {
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

fn is_old(entry: &std::fs::DirEntry, grace: Duration) -> bool {
    let modified = entry.metadata().and_then(|facts| facts.modified());
    modified.is_ok_and(|at| at.elapsed().is_ok_and(|age| age >= grace))
}

/// Removes the containers that this data folder's node left behind when it was ended in the middle of an export.
pub(crate) async fn sweep_exports(
    docker: &Docker,
    data_dir: &str,
    grace: Duration,
) -> Result<(), BuildError> {
    let options = ListContainersOptionsBuilder::default()
        .all(true)
        .filters(&ours(label::EXPORTS, data_dir))
        .build();
    let containers = docker.list_containers(Some(options)).await;
    let containers =
        containers.map_err(|source| BuildError::Engine { doing: "list containers", source })?;
    for container in containers {
        if age(container.created.unwrap_or_default()) >= grace {
            let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
            let id = container.id.unwrap_or_default();
            // Gone already, or somebody else removes it.
            let _ = docker.remove_container(&id, Some(options)).await;
        }
    }
    Ok(())
}

/// Removes the images that this data folder's node built and no deployment needs.
pub(crate) async fn sweep_images(
    docker: &Docker,
    data_dir: &str,
    needed: &BTreeSet<String>,
    grace: Duration,
) -> Result<(), BuildError> {
    let options =
        ListImagesOptionsBuilder::default().all(false).filters(&ours("true", data_dir)).build();
    let images = docker.list_images(Some(options)).await;
    let images = images.map_err(|source| BuildError::Engine { doing: "list images", source })?;
    for image in images {
        if !needed.contains(&image.id) && age(image.created) >= grace {
            remove_image(docker, &image.id).await?;
        }
    }
    Ok(())
}

/// Removes the images that came from other nodes and no deployment needs; `folder` has a file for each.
pub(crate) async fn sweep_pulled(
    docker: &Docker,
    folder: &Path,
    needed: &BTreeSet<String>,
    grace: Duration,
) -> Result<(), BuildError> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(()) };
    for entry in entries.flatten().filter(|entry| is_old(entry, grace)) {
        let id = format!("sha256:{}", entry.file_name().to_string_lossy());
        if !needed.contains(&id) {
            remove_image(docker, &id).await?;
            let removed = std::fs::remove_file(entry.path());
            removed
                .map_err(|source| BuildError::Write { what: "which images were pulled", source })?;
        }
    }
    Ok(())
}

/// A filter for what this data folder's node labelled.
fn ours(managed: &str, data_dir: &str) -> HashMap<&'static str, Vec<String>> {
    let labels =
        vec![format!("{}={managed}", label::MANAGED), format!("{}={data_dir}", label::DATA_DIR)];
    HashMap::from([("label", labels)])
}

/// How long ago a second of the epoch was.
fn age(created: i64) -> Duration {
    let made = Duration::from_secs(u64::try_from(created).unwrap_or_default());
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(made)
}

/// Removes an image unless a container uses it.
pub(crate) async fn remove_image(docker: &Docker, id: &str) -> Result<(), BuildError> {
    let options = RemoveImageOptionsBuilder::default().force(false).build();
    match docker.remove_image(id, Some(options), None).await {
        Ok(_) | Err(Error::DockerResponseServerError { status_code: 404 | 409, .. }) => Ok(()),
        Err(source) => Err(BuildError::Engine { doing: "remove an image", source }),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use jiff::Timestamp;
    use temps_state::{Actor, DeploymentId, Id, NodeId, ProjectId};

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
        }
    }

    pub(crate) fn image(n: u64) -> Option<Artifact> {
        Some(Artifact::Image { id: format!("sha256:{n}") })
    }

    fn upload(n: u64) -> Source {
        Source::Upload { digest: format!("{n}") }
    }

    #[test]
    fn what_serves_may_serve_or_is_on_its_way_is_needed() {
        let mut state = State::default();
        let cancelled = || Phase::Cancelled { reason: String::new() };
        for n in 1..=8 {
            let retired = deployment(n, Phase::Retired, upload(n), image(n));
            state.deployments.insert(retired.id, retired);
        }
        let site = Artifact::Static { digest: "site".into(), single_page: false };
        for other in [
            deployment(20, cancelled(), upload(20), image(20)),
            deployment(21, Phase::Kept, upload(21), Some(site)),
            deployment(22, Phase::Live, upload(22), image(22)),
            deployment(23, Phase::Starting, upload(23), image(23)),
            deployment(24, Phase::Queued, upload(24), None),
        ] {
            state.deployments.insert(other.id, other);
        }
        let needed = Needed::of(&state);
        let images: Vec<_> = needed.images.iter().map(String::as_str).collect();
        let expected =
            ["sha256:22", "sha256:23", "sha256:4", "sha256:5", "sha256:6", "sha256:7", "sha256:8"];
        assert_eq!(images, expected);
        assert_eq!(needed.sites, BTreeSet::from(["site".into()]));
        assert_eq!(needed.uploads, BTreeSet::from(["23".into(), "24".into()]));
        assert_eq!(needed.logs.len(), 13);
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
        sweep(folder.path(), &needed, Duration::from_secs(60));
        assert_eq!(names(), ["file", "folder", "needed"]);
        sweep(folder.path(), &needed, Duration::ZERO);
        assert_eq!(names(), ["needed"]);
    }

    /// Runs the engine's own client.
    fn docker(script: &str) -> String {
        let output = std::process::Command::new("sh").args(["-c", script]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().into()
    }

    #[tokio::test]
    async fn only_this_nodes_images_and_exports_that_nobody_needs_are_removed() {
        let engine = crate::Engine::on_socket("/var/run/docker.sock");
        let client = engine.docker().await.unwrap();
        let data_dir = format!("/no/such/garbage-{}", std::process::id());
        let import = |data_dir: &str, number: u8| {
            let change = format!(
                "-c 'LABEL sh.temps.managed=true' -c 'LABEL sh.temps.data-dir={data_dir}' \
                 -c 'LABEL number={number}'"
            );
            docker(&format!("tar c --files-from /dev/null | docker import {change} -"))
        };
        let (needed, unneeded) = (import(&data_dir, 1), import(&data_dir, 2));
        let foreign = import(&format!("{data_dir}-other"), 3);
        let export =
            docker(&format!("docker create --label sh.temps.managed=export {needed} never"));
        let there = |id: &str| docker(&format!("docker inspect -f '{{{{.Id}}}}' {id}")) == id;
        let keep = BTreeSet::from([needed.clone()]);

        sweep_images(&client, &data_dir, &keep, Duration::from_secs(60)).await.unwrap();
        sweep_exports(&client, &data_dir, Duration::from_secs(60)).await.unwrap();
        assert!(there(&unneeded) && there(&export), "they are young");
        sweep_images(&client, &data_dir, &keep, Duration::ZERO).await.unwrap();
        assert!(there(&needed) && there(&foreign) && !there(&unneeded) && there(&export));
        sweep_exports(&client, &data_dir, Duration::ZERO).await.unwrap();
        assert!(!there(&export));
        docker(&format!("docker image rm {needed} {foreign}"));
    }
}
