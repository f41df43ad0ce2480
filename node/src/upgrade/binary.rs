//! A temps binary on this machine: put in place, tried out, and made the one that the node is started from.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use serde::Deserialize;
use tempfile::NamedTempFile;
use temps_builder::BlobDigest;
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use super::error::UpgradeError;

/// How long a binary may take to tell its version.
const VERSION_WITHIN: Duration = Duration::from_secs(10);
/// How often a file is tried that another thread's new process holds open for writing for a moment, and the pause.
const BUSY_TRIES: u32 = 20;
const BUSY_PAUSE: Duration = Duration::from_millis(50);

/// What a binary tells of itself: the answer of `temps version --json`.
#[derive(Debug, Deserialize)]
pub struct Facts {
    /// The newest format of the state that it knows.
    pub format: u32,
}

/// What a binary's file is called, and so its processes.
const NAME: &str = "temps";
/// What the names of files begin with that are not whole yet, or not in their place; the id of their process follows.
const DRAFT: &str = ".temps-upgrade-";

/// Copies a blob to where it can be run.
pub fn put(blob: &Path, folder: &Path, digest: &BlobDigest) -> io::Result<PathBuf> {
    let folder = folder.join(digest.hex());
    fs::create_dir_all(&folder)?;
    let path = folder.join(NAME);
    replace(blob, &path)?;
    Ok(path)
}

/// Has a binary tell what it is.
pub async fn try_out(path: &Path) -> Result<Facts, UpgradeError> {
    let unusable = |why: String| UpgradeError::Unusable { why };
    let output = run(path).await.map_err(|error| unusable(error.to_string()))?;
    if !output.status.success() {
        return Err(unusable(format!("`version --json` ended with {}", output.status)));
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|_| unusable("it does not answer `version --json` as temps does".into()))
}

async fn run(path: &Path) -> io::Result<Output> {
    let mut tries = 0;
    loop {
        let mut command = Command::new(path);
        command.args(["version", "--json"]).env_clear().kill_on_drop(true);
        let ran = timeout(VERSION_WITHIN, command.output()).await;
        match ran.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Err(error)
                if error.kind() == io::ErrorKind::ExecutableFileBusy && tries < BUSY_TRIES =>
            {
                tries += 1;
                sleep(BUSY_PAUSE).await;
            }
            ran => return ran,
        }
    }
}

/// Whether the program that the node was started from could be replaced.
pub fn check_replaceable(installed: &Path) -> Result<(), UpgradeError> {
    let check = || {
        // A program that runs cannot be opened for writing, which says that it is not locked otherwise.
        match File::options().append(true).open(installed) {
            Err(error) if error.kind() != io::ErrorKind::ExecutableFileBusy => return Err(error),
            _ => {}
        }
        draft_in(folder(installed)).map(drop)
    };
    check().map_err(|source| UpgradeError::Fixed { path: installed.into(), source })
}

/// Writes `program` down beside the one that it is to replace, so that there is room for it; the file's path.
pub fn write_beside(program: &Path, installed: &Path) -> io::Result<PathBuf> {
    let (_, path) = copied(program, folder(installed))?.keep().map_err(|error| error.error)?;
    Ok(path)
}

/// Makes a file that was written beside it the program that the node is started from the next time, in one step.
pub fn install(beside: &Path, installed: &Path) -> io::Result<()> {
    fs::rename(beside, installed)?;
    File::open(folder(installed))?.sync_all()
}

/// Removes what processes left beside the program, and among the binaries, when they were killed.
pub fn remove_drafts(installed: &Path, binaries: &Path) {
    let all = fs::read_dir(binaries).into_iter().flatten().flatten().map(|entry| entry.path());
    let folders = [folder(installed).to_path_buf(), binaries.to_path_buf()];
    for folder in folders.into_iter().chain(all) {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        for entry in entries.filter(|entry| entry.file_name().to_str().is_some_and(is_left)) {
            // One that stays takes room, and does no harm.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Whether that is the name of a draft, and nobody works on it: its process is gone. This one asks before it makes any.
fn is_left(name: &str) -> bool {
    let process = name.strip_prefix(DRAFT).and_then(|rest| rest.split_once('-'));
    let process = process.and_then(|(process, _)| process.parse::<u32>().ok());
    process.is_some_and(|id| id == std::process::id() || !is_alive(id))
}

/// One that has ended and that nobody has asked about yet has no command line any more.
fn is_alive(process: u32) -> bool {
    fs::read(format!("/proc/{process}/cmdline")).is_ok_and(|line| !line.is_empty())
}

/// Removes every binary of the folder but one.
pub fn keep_only(folder: &Path, digest: &BlobDigest) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let is_binary = |name: &str| BlobDigest::read(name).is_some() && name != digest.hex();
    for entry in entries.filter(|entry| entry.file_name().to_str().is_some_and(is_binary)) {
        // One that stays takes room, and does no harm; the next upgrade tries again.
        let _ = fs::remove_dir_all(entry.path());
    }
}

fn replace(from: &Path, to: &Path) -> io::Result<()> {
    copied(from, folder(to))?.persist(to)?;
    Ok(())
}

fn copied(from: &Path, folder: &Path) -> io::Result<NamedTempFile> {
    let mut draft = draft_in(folder)?;
    io::copy(&mut File::open(from)?, &mut draft)?;
    draft.as_file().set_permissions(Permissions::from_mode(0o755))?;
    draft.as_file().sync_all()?;
    Ok(draft)
}

/// A file that is not whole yet.
pub fn draft_in(folder: &Path) -> io::Result<NamedTempFile> {
    let prefix = format!("{DRAFT}{}-", std::process::id());
    tempfile::Builder::new().prefix(&prefix).tempfile_in(folder)
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let blob = folder.path().join("blob");
        fs::write(&blob, text).unwrap();
        let path = put(&blob, &folder.path().join("bin"), &BlobDigest::of(text.as_bytes()));
        (folder, path.unwrap())
    }

    #[tokio::test]
    async fn a_binary_tells_what_it_is() {
        let (_folder, path) = script("#!/bin/sh\necho '{\"version\":\"9.1.0\",\"format\":7}'\n");
        let facts = try_out(&path).await.unwrap();
        assert_eq!(facts.format, 7);
    }

    #[tokio::test]
    async fn what_is_no_binary_of_ours_is_refused_with_the_reason() {
        for (text, reason) in [
            ("just text", "Exec format error"),
            ("#!/bin/sh\nexit 3\n", "exit status: 3"),
            ("#!/bin/sh\necho hello\n", "does not answer"),
        ] {
            let (_folder, path) = script(text);
            let refused = try_out(&path).await.unwrap_err().to_string();
            assert!(refused.contains(reason), "{text}: {refused}");
        }
    }

    #[test]
    fn a_program_is_replaced_whole_and_others_are_removed() {
        let (folder, path) = script("new");
        let installed = folder.path().join("temps");
        assert!(matches!(check_replaceable(&installed), Err(UpgradeError::Fixed { .. })));
        fs::write(&installed, "old").unwrap();
        check_replaceable(&installed).unwrap();
        let beside = write_beside(&path, &installed).unwrap();
        assert_eq!(fs::read(&installed).unwrap(), b"old");
        install(&beside, &installed).unwrap();
        assert!(!beside.exists());
        assert_eq!(fs::read(&installed).unwrap(), b"new");
        assert_eq!(fs::metadata(&installed).unwrap().permissions().mode() & 0o777, 0o755);
        let bin = folder.path().join("bin");
        fs::write(bin.join("last.json"), "{}").unwrap();
        keep_only(&bin, &BlobDigest::of(b"new"));
        assert!(path.exists() && bin.join("last.json").exists());
        keep_only(&bin, &BlobDigest::of(b"other"));
        assert!(!path.exists() && bin.join("last.json").exists());
    }

    #[test]
    fn drafts_of_processes_that_are_gone_are_removed_and_nothing_else() {
        let (folder, path) = script("new");
        let (installed, bin) = (folder.path().join("temps"), folder.path().join("bin"));
        fs::write(&installed, "old").unwrap();
        let left = [
            write_beside(&path, &installed).unwrap(),
            folder.path().join(".temps-upgrade-4194999-abc"),
            bin.join(".temps-upgrade-4194999-abc"),
            path.with_file_name(".temps-upgrade-4194999-abc"),
        ];
        let others = [
            folder.path().join(".temps-upgrade-1-abc"),
            folder.path().join(".temps-upgrade-notes"),
            folder.path().join(".tmpabc"),
        ];
        left.iter().chain(&others).for_each(|path| fs::write(path, "x").unwrap());
        remove_drafts(&installed, &bin);
        assert!(left.iter().all(|path| !path.exists()));
        assert!(others.iter().chain([&installed, &path]).all(|path| path.exists()));
    }
}
