//! Removes from the engine what this node put there and nobody needs.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bollard::Docker;
use bollard::errors::Error;
use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListImagesOptionsBuilder, RemoveContainerOptionsBuilder,
    RemoveImageOptionsBuilder,
};

use super::{Kept, age_of};
use crate::tags::BUILT;
use crate::{BuildError, label};

/// What an engine calls an image without a name.
const NO_NAME: &str = "<none>:<none>";

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

/// Removes the images that this data folder's node built and that do not stay.
pub(crate) async fn sweep_images(
    docker: &Docker,
    data_dir: &str,
    kept: &Kept<'_>,
) -> Result<(), BuildError> {
    let options =
        ListImagesOptionsBuilder::default().all(false).filters(&ours("true", data_dir)).build();
    let images = docker.list_images(Some(options)).await;
    let images = images.map_err(|source| BuildError::Engine { doing: "list images", source })?;
    for image in images {
        if !kept.keeps(&image.id, Some(age(image.created))) {
            remove_ours(docker, &image.id, &image.repo_tags).await?;
        }
    }
    Ok(())
}

/// Removes the images that came from other nodes and do not stay; `folder` has a file for each. One that a container
/// uses is tried again in the next round.
pub(crate) async fn sweep_pulled(
    docker: &Docker,
    folder: &Path,
    kept: &Kept<'_>,
) -> Result<(), BuildError> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(()) };
    for entry in entries.flatten() {
        let id = format!("sha256:{}", entry.file_name().to_string_lossy());
        if kept.keeps(&id, age_of(&entry)) {
            continue;
        }
        let names = names_of(docker, &id).await?;
        if remove_ours(docker, &id, &names.unwrap_or_default()).await? {
            let removed = std::fs::remove_file(entry.path());
            removed
                .map_err(|source| BuildError::Write { what: "which images were pulled", source })?;
        }
    }
    Ok(())
}

/// Takes away the names that Temps gave to an image, and with the last name the image; one that has none goes, too.
/// `false` while a container uses it.
async fn remove_ours(docker: &Docker, id: &str, names: &[String]) -> Result<bool, BuildError> {
    let named: Vec<&String> = names.iter().filter(|name| *name != NO_NAME).collect();
    if named.is_empty() {
        return remove_image(docker, id).await;
    }
    let mut removed = true;
    for name in named.into_iter().filter(|name| name.starts_with(BUILT)) {
        removed &= remove_image(docker, name).await?;
    }
    Ok(removed)
}

/// The names of an image; `None` when it is not there.
pub(crate) async fn names_of(docker: &Docker, id: &str) -> Result<Option<Vec<String>>, BuildError> {
    match docker.inspect_image(id).await {
        Ok(image) => Ok(Some(image.repo_tags.unwrap_or_default())),
        Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
        Err(source) => Err(BuildError::Engine { doing: "look at an image", source }),
    }
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

/// Removes a name of an image, or an image that has none or one; `false` while a container uses it.
pub(crate) async fn remove_image(docker: &Docker, id: &str) -> Result<bool, BuildError> {
    let options = RemoveImageOptionsBuilder::default().force(false).build();
    match docker.remove_image(id, Some(options), None).await {
        Ok(_) | Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(true),
        Err(Error::DockerResponseServerError { status_code: 409, .. }) => Ok(false),
        Err(source) => Err(BuildError::Engine { doing: "remove an image", source }),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::Grace;
    use super::*;

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

        let none = BTreeSet::new();
        let young = Kept { needed: &keep, gone: &none, grace: Grace::default() };
        let (unknown, gone) = (Duration::ZERO, Duration::ZERO);
        let old = Kept { grace: Grace { unknown, gone }, ..young };
        // More than one name, and somebody else's.
        let web = format!("temps/garbage-{}", std::process::id());
        docker(&format!("docker tag {unneeded} {web}:a; docker tag {unneeded} {web}:b"));
        docker(&format!("docker tag {unneeded} mine-{}", std::process::id()));
        sweep_images(&client, &data_dir, &young).await.unwrap();
        sweep_exports(&client, &data_dir, Duration::from_secs(60)).await.unwrap();
        assert!(there(&unneeded) && there(&export), "they are young");
        sweep_images(&client, &data_dir, &old).await.unwrap();
        assert!(there(&unneeded), "somebody else named it");
        assert_eq!(docker(&format!("docker images -q {web}")), "");
        docker(&format!("docker tag {unneeded} {web}:a; docker rmi mine-{}", std::process::id()));
        sweep_images(&client, &data_dir, &old).await.unwrap();
        assert!(there(&needed) && there(&foreign) && !there(&unneeded) && there(&export));
        sweep_exports(&client, &data_dir, Duration::ZERO).await.unwrap();
        assert!(!there(&export));
        docker(&format!("docker image rm {needed} {foreign}"));
    }
}
