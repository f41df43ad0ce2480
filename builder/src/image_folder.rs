//! Copies a folder out of an image, through a container that is never started.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{
    ContainerArchiveInfoOptionsBuilder, CreateContainerOptionsBuilder,
    DownloadFromContainerOptionsBuilder, RemoveContainerOptionsBuilder,
};
use futures::TryStreamExt;
use temps_state::DeploymentId;
use tokio_util::io::{StreamReader, SyncIoBridge};

use crate::archive::{self, Bounds};
use crate::{BuildError, label};

/// Where builds usually write; looked for when the configured folder is not there.
const USUAL: [&str; 8] =
    ["dist", "build", "out", "public", "_site", "www", ".output/public", "target"];

/// A folder inside an image.
pub(crate) struct ImageFolder<'a> {
    pub(crate) docker: &'a Docker,
    pub(crate) image: &'a str,
    pub(crate) deployment: DeploymentId,
    /// Its absolute path.
    pub(crate) directory: &'a str,
}

impl ImageFolder<'_> {
    /// Copies it into an existing folder and gives the path of the copy.
    pub(crate) async fn copy(&self, into: &Path) -> Result<PathBuf, BuildError> {
        let container = Container::create(self).await?;
        let copy = self.copy_from(&container, into).await;
        container.remove().await;
        copy
    }

    async fn copy_from(&self, container: &Container, into: &Path) -> Result<PathBuf, BuildError> {
        if !container.has(self.directory).await {
            return Err(self.missing(container).await);
        }
        let options = DownloadFromContainerOptionsBuilder::default().path(self.directory).build();
        let octets = self.docker.download_from_container(&container.id, Some(options));
        let reader = StreamReader::new(Box::pin(octets.map_err(io::Error::other)));
        let (mut reader, target) = (SyncIoBridge::new(reader), into.to_path_buf());
        let unpack = tokio::task::spawn_blocking(move || {
            let bounds = Bounds { lenient: true, ..Bounds::default() };
            archive::unpack(&mut reader, &target, bounds)
        });
        unpack.await.map_err(|panic| BuildError::Write {
            what: "the built files",
            source: io::Error::other(panic),
        })??;
        let copy = into.join(Path::new(self.directory).file_name().unwrap_or_default());
        if copy.is_dir() { Ok(copy) } else { Err(self.missing(container).await) }
    }

    async fn missing(&self, container: &Container) -> BuildError {
        let parent = Path::new(self.directory).parent().unwrap_or(Path::new("/"));
        let mut found = Vec::new();
        for name in USUAL {
            let path = parent.join(name).display().to_string();
            if path != self.directory && container.has(&path).await {
                found.push(path);
            }
        }
        BuildError::OutputMissing { directory: self.directory.into(), found }
    }
}

/// The container; removed at the latest when this is dropped.
struct Container {
    docker: Docker,
    id: String,
}

impl Container {
    async fn create(folder: &ImageFolder<'_>) -> Result<Self, BuildError> {
        let name = format!("temps-export-{}", folder.deployment);
        let options = CreateContainerOptionsBuilder::default().name(&name).build();
        // The image's own labels would make the container look like a replica.
        let labels = HashMap::from([(label::MANAGED.to_owned(), label::EXPORTS.to_owned())]);
        let body = ContainerCreateBody {
            image: Some(folder.image.into()),
            cmd: Some(vec!["never-started".into()]),
            labels: Some(labels),
            ..ContainerCreateBody::default()
        };
        let failed = |source| BuildError::Engine { doing: "open the built image", source };
        let created =
            match folder.docker.create_container(Some(options.clone()), body.clone()).await {
                // Left over by a node that was ended in the middle of an export.
                Err(Error::DockerResponseServerError { status_code: 409, .. }) => {
                    remove(folder.docker, &name).await;
                    folder.docker.create_container(Some(options), body).await
                }
                created => created,
            };
        Ok(Self { docker: folder.docker.clone(), id: created.map_err(failed)?.id })
    }

    /// Removes it now, so that its image is free.
    async fn remove(mut self) {
        remove(&self.docker, &std::mem::take(&mut self.id)).await;
    }

    async fn has(&self, path: &str) -> bool {
        let options = ContainerArchiveInfoOptionsBuilder::default().path(path).build();
        self.docker.get_container_archive_info(&self.id, Some(options)).await.is_ok()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let (docker, id) = (self.docker.clone(), std::mem::take(&mut self.id));
        if !id.is_empty() {
            tokio::spawn(async move { remove(&docker, &id).await });
        }
    }
}

async fn remove(docker: &Docker, container: &str) {
    let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
    if let Err(error) = docker.remove_container(container, Some(options)).await {
        tracing::warn!(%container, %error, "container of an export is left behind");
    }
}

#[cfg(test)]
mod tests {
    use temps_state::Id;

    use super::*;
    use crate::Engine;

    async fn copy(
        directory: &str,
        number: u128,
    ) -> (tempfile::TempDir, Result<PathBuf, BuildError>) {
        let docker = Engine::on_socket("/var/run/docker.sock").docker().await.unwrap();
        let random = u128::from(std::process::id()) << 32 | number;
        let deployment = DeploymentId::from_parts(1, random);
        let image = "debian:bookworm-slim";
        let into = tempfile::tempdir().unwrap();
        let folder = ImageFolder { docker: &docker, image, deployment, directory };
        let copy = folder.copy(into.path()).await;
        let name = format!("temps-export-{deployment}");
        assert!(docker.inspect_container(&name, None).await.is_err(), "the container is gone");
        (into, copy)
    }

    #[tokio::test]
    async fn a_folder_is_copied_out_of_an_image() {
        let (_into, copy) = copy("/etc/apt", 1).await;
        assert!(copy.unwrap().join("sources.list.d").is_dir());
    }

    #[tokio::test]
    async fn a_missing_folder_is_an_error() {
        for (number, directory) in [(2, "/no/such/dist"), (3, "/etc/hostname-that-is-not-there")] {
            let (_into, copy) = copy(directory, number).await;
            let message = copy.unwrap_err().to_string();
            assert!(
                message.contains(directory) && message.contains("there is nothing"),
                "{message}"
            );
        }
    }
}
