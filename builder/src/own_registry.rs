//! The way between the engine and the node's own registry: the engine pushes to it and pulls from it on loopback.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use bollard::Docker;
use bollard::auth::DockerCredentials;
use bollard::errors::Error;
use bollard::query_parameters::{
    CreateImageOptionsBuilder, ListImagesOptions, PushImageOptionsBuilder, TagImageOptionsBuilder,
};
use futures::{Stream, StreamExt};
use tokio::time::timeout;

use crate::error::says_disk_full;
use crate::pull::ReadyImage;
use crate::tags::BUILT;
use crate::{BlobDigest, BuildError, garbage, pull};

/// How long a push or pull may go without a word of progress, in seconds: the registry says nothing while it gets a
/// blob from another node.
pub const EXCHANGE_STALLED_SECONDS_MAX: u64 = 600;
/// The user name that goes with the password.
const USER: &str = "temps";

/// Where the node's own registry listens for the engine, and the password it wants.
#[derive(Clone)]
pub struct OwnRegistry {
    address: SocketAddr,
    password: String,
}

impl fmt::Debug for OwnRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnRegistry").field("address", &self.address).finish_non_exhaustive()
    }
}

impl OwnRegistry {
    /// A registry that listens on a loopback address.
    pub fn new(address: SocketAddr, password: String) -> Self {
        Self { address, password }
    }

    /// What it wants to be told before it answers.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Hands an image of the engine over to the registry. Only layers that it lacks are sent.
    pub(crate) async fn push(
        &self,
        docker: &Docker,
        repository: &str,
        image: &BlobDigest,
    ) -> Result<(), BuildError> {
        let (name, tag) = (self.name(repository), image.hex());
        name_image(docker, image, &name, tag).await?;
        let options = PushImageOptionsBuilder::default().tag(tag).build();
        let pushing = docker.push_image(&name, Some(options), Some(self.credentials()));
        let pushed = finished(pushing, &image.to_string(), "push an image").await;
        keep_named(docker, repository, image, &self.name("")).await?;
        garbage::remove_image(docker, &format!("{name}:{tag}")).await?;
        pushed
    }

    /// The images that have a name for the way to this registry or from it, and the repository of each.
    pub(crate) async fn passing(
        &self,
        docker: &Docker,
    ) -> Result<Vec<(BlobDigest, String)>, BuildError> {
        let images = docker.list_images(None::<ListImagesOptions>).await;
        let images =
            images.map_err(|source| BuildError::Engine { doing: "list images", source })?;
        let passing = images.iter().filter_map(|image| {
            let repository = image.repo_tags.iter().find_map(|name| self.repository_of(name))?;
            Some((BlobDigest::read(&image.id)?, repository.to_owned()))
        });
        Ok(passing.collect())
    }

    /// Takes such names away from an image, which keeps another one.
    pub(crate) async fn drop_passing(
        &self,
        docker: &Docker,
        repository: &str,
        image: &BlobDigest,
    ) -> Result<(), BuildError> {
        let Some(names) = garbage::names_of(docker, &image.to_string()).await? else {
            return Ok(());
        };
        let passing: Vec<&String> =
            names.iter().filter(|name| self.repository_of(name).is_some()).collect();
        if !passing.is_empty() {
            keep_named(docker, repository, image, &self.name("")).await?;
        }
        for name in passing {
            garbage::remove_image(docker, name).await?;
        }
        Ok(())
    }

    /// The repository in a name of this registry's built images.
    fn repository_of<'n>(&self, name: &'n str) -> Option<&'n str> {
        let (repository, _tag) = name.strip_prefix(&self.name(""))?.rsplit_once(':')?;
        repository.starts_with(BUILT).then_some(repository)
    }

    /// Has the engine pull an image, and gives it the name that a build would have given it.
    pub(crate) async fn pull(
        &self,
        docker: &Docker,
        repository: &str,
        image: &BlobDigest,
        tag: &str,
    ) -> Result<(), BuildError> {
        let reference = format!("{}:{}", self.name(repository), image.hex());
        let options = CreateImageOptionsBuilder::default().from_image(&reference).build();
        let pulling = docker.create_image(Some(options), None, Some(self.credentials()));
        finished(pulling, &image.to_string(), "pull an image").await?;
        let found = pull::find(docker, &reference).await?.map(|found| found.id);
        let right = found.as_deref() == Some(&image.to_string());
        if right {
            name_image(docker, image, repository, tag).await?;
        }
        garbage::remove_image(docker, &reference).await?;
        match right {
            true => Ok(()),
            false => Err(BuildError::ImageMissing {
                image: image.to_string(),
                detail: format!("the engine made {} of it", found.unwrap_or_default()),
            }),
        }
    }

    /// Has the engine pull what people pushed, `repository:tag` or `repository@digest`, and gives it the name that a
    /// build of a project would have given it.
    pub(crate) async fn pull_pushed(
        &self,
        docker: &Docker,
        image: &str,
        project: &str,
        tag: &str,
    ) -> Result<ReadyImage, BuildError> {
        let missing = |detail| BuildError::ImageNotFound { reference: image.to_owned(), detail };
        let reference = self.name(image);
        let options = CreateImageOptionsBuilder::default().from_image(&reference).build();
        let pulling = docker.create_image(Some(options), None, Some(self.credentials()));
        let pulled = finished(pulling, image, "pull an image").await;
        pulled.map_err(|error| match error {
            BuildError::ImageMissing { detail, .. } => missing(detail),
            other => other,
        })?;
        let found = pull::find(docker, &reference).await?;
        let found = found.ok_or_else(|| missing("it was pulled and is not there".into()))?;
        if let Some(id) = BlobDigest::read(&found.id) {
            name_image(docker, &id, &repository(project), tag).await?;
        }
        garbage::remove_image(docker, &reference).await?;
        Ok(found)
    }

    fn name(&self, repository: &str) -> String {
        format!("{}/{repository}", self.address)
    }

    fn credentials(&self) -> DockerCredentials {
        DockerCredentials {
            username: Some(USER.into()),
            password: Some(self.password.clone()),
            serveraddress: Some(self.address.to_string()),
            ..DockerCredentials::default()
        }
    }
}

/// An image that loses its last name is gone: gives it one more if all it has begin with `passing`.
async fn keep_named(
    docker: &Docker,
    repository: &str,
    image: &BlobDigest,
    passing: &str,
) -> Result<(), BuildError> {
    let found = docker.inspect_image(&image.to_string()).await;
    let found = found.map_err(|source| BuildError::Engine { doing: "look at an image", source })?;
    let names = found.repo_tags.unwrap_or_default();
    match names.iter().all(|name| name.starts_with(passing)) {
        true => name_image(docker, image, repository, image.hex()).await,
        false => Ok(()),
    }
}

async fn name_image(
    docker: &Docker,
    image: &BlobDigest,
    repository: &str,
    tag: &str,
) -> Result<(), BuildError> {
    let options = TagImageOptionsBuilder::default().repo(repository).tag(tag).build();
    let tagged = docker.tag_image(&image.to_string(), Some(options)).await;
    tagged.map_err(|source| BuildError::Engine { doing: "tag an image", source })
}

/// The repository of a project's images.
pub(crate) fn repository(project: &str) -> String {
    format!("{BUILT}{project}")
}

/// Waits for the end of what the engine tells progress of.
async fn finished<T>(
    progress: impl Stream<Item = Result<T, Error>>,
    image: &str,
    doing: &'static str,
) -> Result<(), BuildError> {
    let mut progress = std::pin::pin!(progress);
    let patience = Duration::from_secs(EXCHANGE_STALLED_SECONDS_MAX);
    loop {
        match timeout(patience, progress.next()).await {
            Ok(None) => return Ok(()),
            Ok(Some(Ok(_))) => {}
            Ok(Some(Err(error))) => return Err(refused(image, doing, error)),
            Err(_) => {
                let (reference, seconds) = (image.into(), EXCHANGE_STALLED_SECONDS_MAX);
                return Err(BuildError::PullStalled { reference, seconds });
            }
        }
    }
}

fn refused(image: &str, doing: &'static str, error: Error) -> BuildError {
    let detail = match &error {
        Error::DockerResponseServerError { message, .. } => message.clone(),
        Error::DockerStreamError { error } => error.clone(),
        _ => return BuildError::Engine { doing, source: error },
    };
    match says_disk_full(&detail) {
        true => BuildError::EngineDiskFull { detail },
        false => BuildError::ImageMissing { image: image.into(), detail },
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::{Builder, Engine};

    /// Runs the engine's own client.
    fn docker(script: &str) -> String {
        let output = Command::new("sh").args(["-c", script]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().into()
    }

    #[tokio::test]
    async fn names_that_a_push_left_behind_go_and_the_image_stays() {
        let id = docker(&format!(
            "tar c --files-from /dev/null | docker import -c 'LABEL passing={}' -",
            std::process::id()
        ));
        let repository = format!("temps/passing-{}", std::process::id());
        let (ours, others) = ("127.0.0.1:1", "127.0.0.1:11");
        let hex = id.strip_prefix("sha256:").unwrap();
        for registry in [ours, others] {
            docker(&format!("docker tag {id} {registry}/{repository}:{hex}"));
        }
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::on_socket("/var/run/docker.sock");
        let registry = OwnRegistry::new(ours.parse().unwrap(), "secret".into());
        let builder = Builder::open(folder.path(), engine).unwrap().with_registry(registry);
        let names = || {
            let format = "{{join .RepoTags \" \"}}";
            docker(&format!("docker inspect -f '{format}' {id}"))
        };
        let foreign = format!("{others}/{repository}:{hex}");

        builder.drop_passing_names().await.unwrap();
        assert_eq!(names(), foreign);
        docker(&format!("docker tag {id} {ours}/{repository}:{hex}; docker rmi {foreign}"));
        builder.drop_passing_names().await.unwrap();
        assert_eq!(names(), format!("{repository}:{hex}"));
        docker(&format!("docker rmi {repository}:{hex}"));
    }
}
