//! Base images that cannot be pulled, on machines that reach no registry: made by a program of the operator's.

use std::path::PathBuf;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::masked_log::MaskedLog;
use crate::step;

/// How many base images are looked for before one build.
pub const BASE_IMAGES_MAX: usize = 8;

/// The name under which the engine looks for official images.
const OFFICIAL: &str = "docker.io/library/";

/// What makes base images, if anything does.
#[derive(Debug, Clone, Default)]
pub struct BaseImages {
    program: Option<PathBuf>,
}

impl BaseImages {
    /// Base images are made by `program NAME`, which pulls what can be pulled, makes the rest, tags it with that name and
    /// exits with 0.
    pub fn by(program: Option<PathBuf>) -> Self {
        Self { program }
    }

    /// Whether there is something that makes them.
    pub(crate) fn are_made(&self) -> bool {
        self.program.is_some()
    }

    /// Makes one image, telling the log what the program prints; `false` when it is not to be had.
    pub(crate) async fn make(&self, image: &str, log: &MaskedLog) -> bool {
        let Some(program) = &self.program else { return false };
        let name = image.strip_prefix(OFFICIAL).unwrap_or(image);
        log.write(step::BUILD, &format!("{name} is not here: {} gets it", program.display()));
        let child = Command::new(program)
            .arg(name)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn();
        let failed = |error| log.write(step::BUILD, &format!("{}: {error}", program.display()));
        let mut child = match child {
            Ok(child) => child,
            Err(error) => {
                failed(error);
                return false;
            }
        };
        if let Some(output) = child.stdout.take() {
            let mut lines = BufReader::new(output).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                log.write(step::BUILD, line.trim());
            }
        }
        child.wait().await.is_ok_and(|status| status.success())
    }
}
