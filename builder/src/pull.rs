//! Gets a ready image: the one that is there, or else the registry's.

use std::time::Duration;

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::{CreateImageInfo, ImageInspect};
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures::StreamExt;
use tokio::time::timeout;

use crate::error::says_disk_full;
use crate::masked_log::MaskedLog;
use crate::{BuildError, step};

/// How long a pull may go without a word of progress, in seconds.
pub const PULL_STALLED_SECONDS_MAX: u64 = 60;

/// What replicas need to know of an image.
pub(crate) struct ReadyImage {
    /// `sha256:…`.
    pub(crate) id: String,
    /// The lowest TCP port it exposes.
    pub(crate) port: Option<u16>,
}

/// Gives the image `reference`, pulled when it is not on the node.
pub(crate) async fn ready_image(
    docker: &Docker,
    reference: &str,
    log: &MaskedLog,
) -> Result<ReadyImage, BuildError> {
    if let Some(image) = find(docker, reference).await? {
        log.write(step::BUILD, &format!("{reference} is on this node already"));
        return Ok(image);
    }
    pull(docker, reference, log).await?;
    find(docker, reference).await?.ok_or_else(|| BuildError::ImageNotFound {
        reference: reference.into(),
        detail: "it was pulled and is not there".into(),
    })
}

/// Looks at an image on the node.
pub(crate) async fn find(
    docker: &Docker,
    reference: &str,
) -> Result<Option<ReadyImage>, BuildError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
    if reference.is_empty() || reference.starts_with(['-', '/']) || !reference.chars().all(plain) {
        return Err(BuildError::ReferenceInvalid { reference: reference.into() });
    }
    match docker.inspect_image(reference).await {
        Ok(found) => Ok(Some(ReadyImage {
            port: exposed(&found),
            id: found.id.unwrap_or_else(|| reference.into()),
        })),
        Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
        Err(Error::DockerResponseServerError { status_code: 400, .. }) => {
            Err(BuildError::ReferenceInvalid { reference: reference.into() })
        }
        Err(source) => Err(BuildError::Engine { doing: "look at an image", source }),
    }
}

fn exposed(image: &ImageInspect) -> Option<u16> {
    let ports = image.config.as_ref()?.exposed_ports.as_ref()?;
    let tcp = ports.iter().filter_map(|port| {
        port.strip_suffix("/tcp").or_else(|| (!port.contains('/')).then_some(port))
    });
    tcp.filter_map(|port| port.parse().ok()).min()
}

async fn pull(docker: &Docker, reference: &str, log: &MaskedLog) -> Result<(), BuildError> {
    let options = CreateImageOptionsBuilder::default().from_image(&with_tag(reference)).build();
    let mut progress = std::pin::pin!(docker.create_image(Some(options), None, None));
    let patience = Duration::from_secs(PULL_STALLED_SECONDS_MAX);
    loop {
        match timeout(patience, progress.next()).await {
            Ok(None) => return Ok(()),
            Ok(Some(Ok(info))) => {
                if let Some(line) = line(&info) {
                    log.write(step::BUILD, &line);
                }
            }
            Ok(Some(Err(error))) => return Err(refused(reference, error)),
            Err(_) => {
                let (reference, seconds) = (reference.into(), PULL_STALLED_SECONDS_MAX);
                return Err(BuildError::PullStalled { reference, seconds });
            }
        }
    }
}

/// Without a tag the engine would pull all of them.
fn with_tag(reference: &str) -> String {
    let name = reference.rsplit_once('/').map_or(reference, |(_, name)| name);
    if name.contains([':', '@']) { reference.into() } else { format!("{reference}:latest") }
}

/// What is worth a line: the layers' beginnings and ends, not their progress bars.
fn line(info: &CreateImageInfo) -> Option<String> {
    let status = info.status.as_deref()?;
    let noise = ["Downloading", "Extracting", "Waiting", "Verifying Checksum", "Pulling fs layer"];
    if noise.contains(&status) {
        return None;
    }
    Some(match &info.id {
        Some(id) => format!("{id}: {status}"),
        None => status.into(),
    })
}

fn refused(reference: &str, error: Error) -> BuildError {
    let detail = match &error {
        Error::DockerResponseServerError { message, .. } => message.clone(),
        Error::DockerStreamError { error } => error.clone(),
        _ => return BuildError::Engine { doing: "pull an image", source: error },
    };
    if says_disk_full(&detail) {
        return BuildError::EngineDiskFull { detail };
    }
    BuildError::ImageNotFound { reference: reference.into(), detail }
}

#[cfg(test)]
mod tests {
    use bollard::models::ImageConfig;

    use super::*;

    #[test]
    fn a_reference_without_a_tag_means_the_latest() {
        assert_eq!(with_tag("nginx"), "nginx:latest");
        assert_eq!(with_tag("host:5000/team/app"), "host:5000/team/app:latest");
        assert_eq!(with_tag("host:5000/app:1"), "host:5000/app:1");
        assert_eq!(with_tag("app@sha256:00"), "app@sha256:00");
    }

    #[test]
    fn the_lowest_tcp_port_is_taken() {
        let image = |ports: &[&str]| {
            let exposed_ports = Some(ports.iter().map(|p| (*p).into()).collect());
            let config = Some(ImageConfig { exposed_ports, ..ImageConfig::default() });
            ImageInspect { config, ..ImageInspect::default() }
        };
        assert_eq!(exposed(&image(&["443/tcp", "80/tcp", "53/udp"])), Some(80));
        assert_eq!(exposed(&image(&["53/udp"])), None);
        assert_eq!(exposed(&ImageInspect::default()), None);
    }
}
