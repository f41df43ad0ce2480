//! `deploy/cluster.sh`, called for one ground.

use std::env;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use crate::GroundError;

/// The script, from where this crate was built.
const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/cluster.sh");
/// How long one call may take. Making base images takes longest.
const CALL_LIMIT: Duration = Duration::from_secs(240);

/// How the script is called for one ground.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    /// The ground's folder.
    pub folder: PathBuf,
    binary: PathBuf,
    images: String,
    disks: Option<PathBuf>,
    clocks: bool,
}

impl Script {
    /// For a ground in this folder, with this binary, disks by that one, and clocks that can be set or not.
    pub fn new(
        folder: PathBuf,
        images: &[String],
        binary: PathBuf,
        disks: Option<PathBuf>,
        clocks: bool,
    ) -> Self {
        Self { folder, binary, images: images.join(" "), disks, clocks }
    }

    /// The script with the environment that makes it work on this ground.
    pub fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = std::process::Command::new(PROGRAM);
        command
            .args(arguments)
            .env("TEMPS_CLUSTER_DIR", &self.folder)
            .env("TEMPS_BIN", &self.binary);
        command.env("TEMPS_CLUSTER_IMAGES", &self.images).env("TEMPS_IMAGE_STORE", image_store());
        command.env("TEMPS_CLUSTER_DISKS", self.disks.as_deref().unwrap_or(Path::new("")));
        command.env("TEMPS_CLUSTER_CLOCKS", if self.clocks { "yes" } else { "" });
        command.env("NO_COLOR", "1").env_remove("TEMPS_API_URL").env_remove("TEMPS_API_TOKEN");
        command
    }

    /// Runs it to its end and returns its standard output.
    ///
    /// # Errors
    /// When it cannot be run, fails, or takes too long.
    pub async fn run(&self, arguments: &[&str]) -> Result<String, GroundError> {
        let command = arguments.join(" ");
        let mut child = Command::from(self.command(arguments));
        let running = child.stdin(Stdio::null()).kill_on_drop(true).output();
        let Ok(output) = timeout(CALL_LIMIT, running).await else {
            return Err(GroundError::ScriptSlow { command, within: CALL_LIMIT });
        };
        let output =
            output.map_err(|source| GroundError::Script { command: command.clone(), source })?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(said);
        }
        let output = said + &String::from_utf8_lossy(&output.stderr);
        Err(GroundError::ScriptFailed { command, output })
    }
}

/// Whether the binary under test has this command.
#[must_use]
pub fn binary_has(command: &str) -> bool {
    let Ok(binary) = binary() else { return false };
    let mut asked = std::process::Command::new(binary);
    asked
        .args([command, "--help"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    asked.status().is_ok_and(|status| status.success())
}

/// The binary under test: the one that is named, or as `binary` finds it.
///
/// # Errors
/// [`GroundError::NoBinary`] when there is nothing to test.
pub(crate) fn chosen(named: Option<&Path>) -> Result<PathBuf, GroundError> {
    named.map_or_else(binary, there)
}

/// The binary under test: TEMPS_BIN, or the one that was built beside this program.
fn binary() -> Result<PathBuf, GroundError> {
    let built = || {
        let program = env::current_exe().unwrap_or_default();
        // Tests and examples are one folder further down.
        let beside = program.ancestors().skip(1).take(2).map(|folder| folder.join("temps"));
        let beside: Vec<PathBuf> = beside.collect();
        let found = beside.iter().find(|binary| binary.is_file()).or(beside.last());
        found.cloned().unwrap_or_default()
    };
    there(&env::var_os("TEMPS_BIN").map_or_else(built, PathBuf::from))
}

/// This binary, if it is there.
fn there(binary: &Path) -> Result<PathBuf, GroundError> {
    let found = || GroundError::NoBinary(binary.to_owned());
    if binary.is_file() { Ok(binary.to_owned()) } else { Err(found()) }
}

/// Where images stay laid out from one ground to the next.
fn image_store() -> PathBuf {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".cache");
    cache.unwrap_or_else(home).join("temps/images")
}

/// Writes the same program as another file by its digest, which this mark makes.
///
/// # Errors
/// When it cannot be read or written.
pub fn write_other_binary(program: &Path, at: &Path, mark: &str) -> io::Result<()> {
    // Whoever reads the file that is there goes on reading that one.
    let new = at.with_extension("new");
    // What it says for debuggers, and all names, are most of it, and would have to pass from node to node.
    let mut strip = std::process::Command::new("strip");
    strip.arg("-o").args([new.as_path(), program]);
    if !strip.status().is_ok_and(|status| status.success()) {
        fs::copy(program, &new)?;
    }
    File::options().append(true).open(&new)?.write_all(mark.as_bytes())?;
    fs::rename(&new, at)
}
