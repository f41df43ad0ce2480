//! Packs a folder for its way to a node: what `.gitignore`, `.dockerignore` and `.tempsignore` leave of it.
//!
//! [`list`] decides what is packed, [`pack`] writes it. The same folder gives the same archive, octet by octet.

use std::fs::{self, File};
use std::io::{self, Seek};
use std::path::{Component, Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;
use ignore::{DirEntry, WalkBuilder};
use tar::{EntryType, Header};

use crate::docker_ignore::DockerIgnore;
use crate::error::CliError;

/// The most files of a folder.
pub const PACK_FILES_MAX: usize = 100_000;
/// The most octets of its files together, before compression.
pub const PACK_BYTES_MAX: u64 = 2 << 30;

/// Never packed, at any depth: what tools fetch or make again.
const NEVER: [&str; 17] = [
    ".git",
    ".hg",
    ".svn",
    ".temps",
    "node_modules",
    "__pycache__",
    ".venv",
    ".next",
    ".nuxt",
    ".svelte-kit",
    ".turbo",
    ".parcel-cache",
    ".pytest_cache",
    ".mypy_cache",
    ".gradle",
    ".terraform",
    ".DS_Store",
];
/// Not packed when one of the files lies beside it: names that can be sources elsewhere.
const NEVER_BESIDE: [(&str, &[&str]); 3] = [
    ("target", &["Cargo.toml", "pom.xml"]),
    ("venv", &["requirements.txt", "pyproject.toml", "setup.py", "manage.py"]),
    (".angular", &["angular.json"]),
];

/// A folder's archive in a file that goes away by itself.
pub struct Packed {
    /// The archive, a `tar.gz`, at its start.
    pub file: File,
    /// Its octets.
    pub bytes: u64,
    /// How many files are in it.
    pub files: usize,
}

/// What would be packed of a folder: relative paths in order; symbolic links that lead out of it are left out.
pub fn list(root: &Path) -> Result<Vec<PathBuf>, CliError> {
    let text = fs::read_to_string(root.join(".dockerignore")).unwrap_or_default();
    let docker = DockerIgnore::parse(&text);
    let mut found = Vec::new();
    for entry in walk(root) {
        let entry = entry.map_err(|error| unreadable(root, error))?;
        let Ok(path) = entry.path().strip_prefix(root) else { continue };
        if is_packed(&entry, path, root) && !kept_out(&docker, path) {
            found.push(path.to_path_buf());
        }
        if found.len() > PACK_FILES_MAX {
            return Err(too_much(root, format!("it has more than {PACK_FILES_MAX} files")));
        }
    }
    found.sort();
    Ok(found)
}

fn walk(root: &Path) -> ignore::Walk {
    // Ignore files above the folder count as far up as its Git work tree reaches, which the walk finds only when Git is
    // required; a folder outside of any has its own.
    let in_work_tree = root.ancestors().any(|folder| folder.join(".git").exists());
    WalkBuilder::new(root)
        .parents(in_work_tree)
        .hidden(false)
        .ignore(false)
        .git_global(false)
        .require_git(in_work_tree)
        .add_custom_ignore_filename(".tempsignore")
        .filter_entry(|entry| entry.depth() == 0 || !is_never(entry))
        .build()
}

fn is_never(entry: &DirEntry) -> bool {
    let name = entry.file_name().to_string_lossy();
    let folder = entry.path().parent().unwrap_or(Path::new(""));
    let beside = |files: &[&str]| files.iter().any(|file| folder.join(file).exists());
    NEVER.contains(&&*name)
        || NEVER_BESIDE.iter().any(|(never, files)| *never == name && beside(files))
}

fn is_packed(entry: &DirEntry, path: &Path, root: &Path) -> bool {
    let Some(kind) = entry.file_type() else { return false };
    if kind.is_symlink() {
        return fs::read_link(root.join(path)).is_ok_and(|target| stays_inside(path, &target));
    }
    kind.is_file()
}

/// Docker sends the files that say how to build even when `.dockerignore` names them; so do we.
fn kept_out(docker: &DockerIgnore, path: &Path) -> bool {
    const ALWAYS: [&str; 4] = [".dockerignore", "temps.json", ".temps.yaml", "Dockerfile"];
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let always = ALWAYS.contains(&&*name) || name.starts_with("Dockerfile.");
    !always && docker.excludes(&path.to_string_lossy(), false)
}

/// Whether a link at `path` that says `target` leads to a place under the root.
fn stays_inside(path: &Path, target: &Path) -> bool {
    let mut depth = path.components().count() - 1;
    for component in target.components() {
        match component {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir if depth > 0 => depth -= 1,
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return false,
        }
    }
    true
}

/// Writes a folder's archive.
pub fn pack(root: &Path) -> Result<Packed, CliError> {
    let paths = list(root)?;
    if paths.is_empty() {
        return Err(CliError::blocked(
            format!("there is nothing to deploy in {}", root.display()),
            "it is empty, or every file in it is ignored",
            "write `!**` into a .tempsignore there to deploy ignored files",
        ));
    }
    let (file, bytes) = write(root, &paths)?;
    Ok(Packed { file, bytes, files: paths.len() })
}

fn write(root: &Path, paths: &[PathBuf]) -> Result<(File, u64), CliError> {
    let scratch = tempfile::tempfile().map_err(CliError::file("write", std::env::temp_dir()))?;
    let mut archive = tar::Builder::new(GzEncoder::new(scratch, Compression::fast()));
    let mut total = 0;
    for path in paths {
        total +=
            append(&mut archive, root, path).map_err(CliError::file("pack", root.join(path)))?;
        if total > PACK_BYTES_MAX {
            return Err(too_much(root, format!("it holds more than {} MiB", PACK_BYTES_MAX >> 20)));
        }
    }
    let finish = || -> io::Result<(File, u64)> {
        let mut file = archive.into_inner()?.finish()?;
        let bytes = file.stream_position()?;
        file.rewind()?;
        Ok((file, bytes))
    };
    finish().map_err(CliError::file("write", std::env::temp_dir()))
}

/// Appends one file and tells its octets. Owners, and modes but the executable bit, stay behind: they are this machine's.
fn append<W: io::Write>(
    archive: &mut tar::Builder<W>,
    root: &Path,
    path: &Path,
) -> io::Result<u64> {
    let whole = root.join(path);
    let about = fs::symlink_metadata(&whole)?;
    let mut header = Header::new_gnu();
    header.set_metadata_in_mode(&about, tar::HeaderMode::Complete);
    header.set_uid(0);
    header.set_gid(0);
    if about.is_symlink() {
        header.set_entry_type(EntryType::Symlink);
        header.set_size(0);
        archive.append_link(&mut header, path, fs::read_link(&whole)?)?;
        return Ok(0);
    }
    let executable = header.mode()? & 0o111 != 0;
    header.set_mode(if executable { 0o755 } else { 0o644 });
    let bytes = about.len();
    header.set_size(bytes);
    // A file that grows meanwhile is cut where it ended when we looked, as its header says.
    archive.append_data(&mut header, path, io::Read::take(File::open(&whole)?, bytes))?;
    Ok(bytes)
}

fn too_much(root: &Path, why: String) -> CliError {
    CliError::blocked(
        format!("{} is too large to deploy", root.display()),
        why,
        "name what the app does not need in a .tempsignore file",
    )
}

fn unreadable(root: &Path, error: ignore::Error) -> CliError {
    CliError::blocked(
        format!("cannot read all of {}", root.display()),
        error.to_string(),
        "make it readable, or name it in a .tempsignore file",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    fn listed(root: &Path) -> Vec<String> {
        list(root).unwrap().iter().map(|path| path.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn every_ignore_file_is_honoured() {
        let root = folder(&[
            (".gitignore", "*.log\n/dist\n"),
            (".dockerignore", "docs\nDockerfile\n"),
            (".tempsignore", "big.bin\n!keep.log\n"),
            ("Dockerfile", "FROM x"),
            ("a.log", ""),
            ("keep.log", ""),
            ("big.bin", ""),
            ("dist/x", ""),
            ("docs/x", ""),
            ("src/.gitignore", "made.rs\n"),
            ("src/main.rs", ""),
            ("src/made.rs", ""),
            ("src/docs/x", ""),
            (".env.example", ""),
        ]);
        assert_eq!(
            listed(root.path()),
            [
                ".dockerignore",
                ".env.example",
                ".gitignore",
                ".tempsignore",
                "Dockerfile",
                "keep.log",
                "src/.gitignore",
                "src/docs/x",
                "src/main.rs"
            ]
        );
    }

    #[test]
    fn what_tools_make_again_is_never_packed() {
        let root = folder(&[
            (".git/config", ""),
            (".temps/project.json", "{}"),
            ("node_modules/a/index.js", ""),
            ("web/node_modules/a/index.js", ""),
            ("Cargo.toml", ""),
            ("target/debug/app", ""),
            ("public/target/index.html", ""),
            ("app.js", ""),
        ]);
        assert_eq!(listed(root.path()), ["Cargo.toml", "app.js", "public/target/index.html"]);
    }

    #[test]
    fn links_are_packed_unless_they_lead_out() {
        let root = folder(&[("a/file", "x")]);
        symlink("file", root.path().join("a/near")).unwrap();
        symlink("../a/file", root.path().join("a/around")).unwrap();
        symlink("../../etc/passwd", root.path().join("a/out")).unwrap();
        symlink("/etc/passwd", root.path().join("absolute")).unwrap();
        assert_eq!(listed(root.path()), ["a/around", "a/file", "a/near"]);
    }

    #[test]
    fn ignore_files_above_the_folder_count_within_its_work_tree() {
        let root = folder(&[
            (".gitignore", "*\n"),
            ("repo/.gitignore", ".env\n"),
            ("repo/.git/config", ""),
            ("repo/app/.env", "S=1"),
            ("repo/app/a.js", ""),
            ("plain/.env", "S=1"),
        ]);
        assert_eq!(listed(&root.path().join("repo/app")), ["a.js"]);
        assert_eq!(listed(&root.path().join("plain")), [".env"]);
    }

    #[test]
    fn an_archive_holds_the_files_and_is_the_same_twice() {
        let long = format!("{}/{}.txt", "d".repeat(90), "f".repeat(90));
        let root = folder(&[("run.sh", "#!/bin/sh\n"), (&long, "text")]);
        let read = |mut packed: Packed| {
            let mut bytes = Vec::new();
            io::Read::read_to_end(&mut packed.file, &mut bytes).unwrap();
            assert_eq!(packed.bytes, bytes.len() as u64);
            bytes
        };
        let first = read(pack(root.path()).unwrap());
        assert_eq!(first, read(pack(root.path()).unwrap()));
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(first.as_slice()));
        let names: Vec<String> = archive
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().to_string_lossy().into_owned())
            .collect();
        assert_eq!(names, [long.as_str(), "run.sh"]);
    }

    #[test]
    fn an_empty_folder_is_refused() {
        assert!(pack(tempfile::tempdir().unwrap().path()).is_err());
    }
}
