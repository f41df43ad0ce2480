//! Programs that serve a whole ground, on the host's side of it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::{Ground, GroundError};

/// A running program that ends with its owner, and when this process ends in any way.
#[derive(Debug)]
pub(crate) struct Program(Child);

impl Program {
    pub(crate) fn start(
        folder: &Path,
        program: &'static str,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Result<Self, GroundError> {
        // The kernel ends it with this process, should that be killed.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--", program]).args(arguments);
        command.envs(environment.iter().copied()).current_dir(folder);
        let started = File::create(folder.join(format!("{program}.log"))).and_then(|log| {
            command.stdin(Stdio::null()).stderr(log.try_clone()?).stdout(log).spawn()
        });
        started.map(Self).map_err(|source| GroundError::Program { program, source })
    }

    /// Sends its process this signal.
    pub(crate) fn signal(&self, name: &str) -> Result<(), GroundError> {
        let failed = |source| GroundError::Program { program: "kill", source };
        let told = Command::new("kill").args(["-s", name, "--", &self.0.id().to_string()]).status();
        if told.map_err(failed)?.success() {
            return Ok(());
        }
        Err(failed(std::io::Error::other("the process has ended")))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // One that has ended already is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A folder of this name for a program's files.
pub(crate) fn folder_for(ground: &Ground, name: &str) -> Result<PathBuf, GroundError> {
    let path = ground.folder().join(name);
    match fs::create_dir_all(&path) {
        Ok(()) => Ok(path),
        Err(source) => Err(GroundError::Folder { path, source }),
    }
}
