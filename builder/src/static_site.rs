//! Writes a folder of files down as a static site: content-addressed, compressed once, all or nothing.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use temps_state::{Encoding, MANIFEST, Manifest, StaticFile};

use crate::BuildError;

/// The most files a site has.
pub const SITE_FILES_MAX: u64 = 50_000;
/// The most octets a site has, before compression.
pub const SITE_BYTES_MAX: u64 = 4 << 30;
/// Smaller files are not compressed: their headers outweigh what is saved.
const COMPRESSED_BYTES_MIN: u64 = 1 << 10;
/// Larger files are not compressed: it would take longer than the build.
const COMPRESSED_BYTES_MAX: u64 = 16 << 20;
/// Brotli's quality, of 11: the last steps take ten times as long for two percent.
const BROTLI_QUALITY: i32 = 9;
/// zstd's level, of 22.
const ZSTD_LEVEL: i32 = 19;
/// The extensions of files that are text inside.
const TEXTUAL: [&str; 24] = [
    "html",
    "htm",
    "css",
    "js",
    "mjs",
    "cjs",
    "json",
    "map",
    "svg",
    "txt",
    "xml",
    "md",
    "csv",
    "webmanifest",
    "wasm",
    "ttf",
    "otf",
    "eot",
    "ico",
    "rss",
    "atom",
    "yaml",
    "yml",
    "bmp",
];
/// The folder below hidden ones that the web knows (RFC 8615).
const WELL_KNOWN: &str = ".well-known";
/// Files of a source that are for Temps and Docker, not for visitors.
const NOT_SERVED: [&str; 3] = ["temps.json", "Dockerfile", "docker-compose.yml"];

/// Which of a folder's files are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Served {
    /// All: a build wrote them to be served.
    All,
    /// Not the hidden ones, such as `.git` and `.env`, nor what is for Temps: it is the source itself.
    Visible,
}

/// Writes the site of a folder into `sites` and gives its digest. The same files always give the same site.
pub(crate) fn publish(folder: &Path, sites: &Path, served: Served) -> Result<String, BuildError> {
    let write = |source| BuildError::Write { what: "the static site", source };
    let files = walk(folder, served)?;
    if files.is_empty() {
        let directory = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        return Err(BuildError::OutputEmpty { directory });
    }
    let draft = tempfile::Builder::new().prefix("draft-").tempdir_in(sites).map_err(write)?;
    let site = Site { folder: draft.path() };
    let files = files.into_iter().map(|(path, file)| Ok((path, site.add(&file)?)));
    let files: BTreeMap<String, StaticFile> = files.collect::<io::Result<_>>().map_err(write)?;
    let digest = site.seal(files).map_err(write)?;
    let target = sites.join(&digest);
    if !target.join(MANIFEST).is_file() {
        place(draft, &target).map_err(write)?;
        crate::disk::sync_folder(sites).map_err(write)?;
    } else {
        // What was there already must look as young as it is: the state may not know yet that it is needed again.
        let folder = fs::File::open(&target).map_err(write)?;
        folder.set_modified(std::time::SystemTime::now()).map_err(write)?;
    }
    Ok(digest)
}

/// Moves the finished draft to its name.
pub(crate) fn place(draft: tempfile::TempDir, target: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(draft.path(), fs::Permissions::from_mode(0o755))?;
    fs::rename(draft.path(), target)?;
    // It is not there any more under the draft's name.
    let _ = draft.keep();
    Ok(())
}

/// A site being written.
struct Site<'a> {
    folder: &'a Path,
}

impl Site<'_> {
    /// Copies a file under its digest, with what compression makes of it.
    fn add(&self, from: &Path) -> io::Result<StaticFile> {
        let (sha256, bytes) = self.copy(from)?;
        let worth = (COMPRESSED_BYTES_MIN..=COMPRESSED_BYTES_MAX).contains(&bytes);
        let encodings = if worth && is_textual(from) { self.encode(&sha256)? } else { Vec::new() };
        Ok(StaticFile { sha256, bytes, encodings })
    }

    fn copy(&self, from: &Path) -> io::Result<(String, u64)> {
        let mut copy = tempfile::NamedTempFile::new_in(self.folder)?;
        let (mut from, mut hash) = (File::open(from)?, Sha256::new());
        let (mut buffer, mut bytes) = (vec![0; 64 << 10], 0);
        loop {
            let read = from.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            hash.update(&buffer[..read]);
            copy.write_all(&buffer[..read])?;
            bytes += read as u64;
        }
        let sha256 = hex::encode(hash.finalize());
        copy.persist(self.folder.join(&sha256))?;
        Ok((sha256, bytes))
    }

    /// Keeps an encoding when it is at least a twentieth smaller.
    fn encode(&self, sha256: &str) -> io::Result<Vec<Encoding>> {
        let content = fs::read(self.folder.join(sha256))?;
        let mut kept = Vec::new();
        for encoding in [Encoding::Zstd, Encoding::Brotli, Encoding::Gzip] {
            let encoded = encoded(&content, encoding)?;
            if encoded.len() * 20 <= content.len() * 19 {
                let name = format!("{sha256}.{}", encoding.extension());
                fs::write(self.folder.join(name), encoded)?;
                kept.push(encoding);
            }
        }
        Ok(kept)
    }

    /// Writes the manifest, makes everything durable, and gives the digest.
    fn seal(&self, files: BTreeMap<String, StaticFile>) -> io::Result<String> {
        let digest = hex::encode(Sha256::digest(serde_json::to_vec(&files)?));
        let now = Timestamp::now().as_second();
        let built_at = Timestamp::from_second(now).map_err(io::Error::other)?;
        let manifest = serde_json::to_vec(&Manifest { built_at, files })?;
        fs::write(self.folder.join(MANIFEST), manifest)?;
        rustix::fs::syncfs(File::open(self.folder)?)?;
        Ok(digest)
    }
}

fn is_textual(path: &Path) -> bool {
    let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    TEXTUAL.iter().any(|known| known.eq_ignore_ascii_case(extension))
}

fn encoded(content: &[u8], encoding: Encoding) -> io::Result<Vec<u8>> {
    match encoding {
        Encoding::Gzip => {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            gzip.write_all(content)?;
            gzip.finish()
        }
        Encoding::Zstd => zstd::encode_all(content, ZSTD_LEVEL),
        Encoding::Brotli => {
            let parameters = brotli::enc::BrotliEncoderParams {
                quality: BROTLI_QUALITY,
                size_hint: content.len(),
                ..Default::default()
            };
            let mut out = Vec::new();
            brotli::BrotliCompress(&mut &*content, &mut out, &parameters)?;
            Ok(out)
        }
    }
}

/// The files to serve, by request path. A link counts as the file it leads to, when that is inside.
fn walk(root: &Path, served: Served) -> Result<Vec<(String, PathBuf)>, BuildError> {
    let read = |source| BuildError::Read { what: "the built files", source };
    let root = root.canonicalize().map_err(read)?;
    let (mut files, mut bytes) = (Vec::new(), 0);
    let mut folders = vec![(root.clone(), String::new())];
    while let Some((folder, path)) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(read)? {
            let entry = entry.map_err(read)?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            if served == Served::Visible && !is_visible(&name) {
                continue;
            }
            let path = format!("{path}/{name}");
            let Ok(target) = entry.path().canonicalize() else { continue };
            let facts = target.metadata().map_err(read)?;
            if entry.file_type().map_err(read)?.is_dir() {
                folders.push((target, path));
            } else if facts.is_file() && target.starts_with(&root) {
                bytes += facts.len();
                files.push((path, target));
                bounded(files.len() as u64, SITE_FILES_MAX, "files")?;
                bounded(bytes, SITE_BYTES_MAX, "octets")?;
            }
        }
    }
    Ok(files)
}

fn bounded(count: u64, max: u64, unit: &'static str) -> Result<(), BuildError> {
    if count > max { Err(BuildError::SiteTooLarge { max, unit }) } else { Ok(()) }
}

fn is_visible(name: &str) -> bool {
    name == WELL_KNOWN || !(name.starts_with('.') || NOT_SERVED.contains(&name))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn write(root: &Path, path: &str, content: &[u8]) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn manifest(sites: &Path, digest: &str) -> Manifest {
        serde_json::from_slice(&fs::read(sites.join(digest).join(MANIFEST)).unwrap()).unwrap()
    }

    #[test]
    fn a_site_is_content_addressed_and_compressed_once() {
        let (root, sites) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let page = "<p>hello</p>".repeat(1_000);
        write(root.path(), "index.html", page.as_bytes());
        write(root.path(), "copy/index.html", page.as_bytes());
        write(root.path(), "small.css", b"a{}");
        write(root.path(), "assets/photo.png", &[7; 4096]);
        let digest = publish(root.path(), sites.path(), Served::All).unwrap();
        let site = manifest(sites.path(), &digest);
        let paths: Vec<_> = site.files.keys().map(String::as_str).collect();
        assert_eq!(paths, ["/assets/photo.png", "/copy/index.html", "/index.html", "/small.css"]);
        let file = &site.files["/index.html"];
        assert_eq!(file.sha256, site.files["/copy/index.html"].sha256);
        assert_eq!(file.encodings, [Encoding::Zstd, Encoding::Brotli, Encoding::Gzip]);
        assert!(site.files["/assets/photo.png"].encodings.is_empty());
        assert!(site.files["/small.css"].encodings.is_empty());
        let read = |name: String| fs::read(sites.path().join(&digest).join(name)).unwrap();
        assert_eq!(read(file.sha256.clone()), page.as_bytes());
        let zst = zstd::decode_all(&read(format!("{}.zst", file.sha256))[..]).unwrap();
        assert_eq!(zst, page.as_bytes());
        let (mut gz, mut br) = (Vec::new(), Vec::new());
        let gzip = read(format!("{}.gz", file.sha256));
        flate2::read::GzDecoder::new(&gzip[..]).read_to_end(&mut gz).unwrap();
        let brotli = read(format!("{}.br", file.sha256));
        brotli::BrotliDecompress(&mut &brotli[..], &mut br).unwrap();
        assert!(gz == page.as_bytes() && br == page.as_bytes());

        let again = publish(root.path(), sites.path(), Served::All).unwrap();
        assert_eq!(again, digest);
        assert_eq!(fs::read_dir(sites.path()).unwrap().count(), 1, "no draft is left");
        write(root.path(), "small.css", b"b{}");
        assert_ne!(publish(root.path(), sites.path(), Served::All).unwrap(), digest);
    }

    #[test]
    fn hidden_files_of_a_source_and_links_that_lead_out_are_not_served() {
        let (root, sites) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for path in [".env", ".git/config", ".well-known/x", "a.txt", "temps.json", "b/.hidden"] {
            write(root.path(), path, b"x");
        }
        symlink("/etc/passwd", root.path().join("passwd")).unwrap();
        symlink("a.txt", root.path().join("link.txt")).unwrap();
        symlink("gone", root.path().join("dangling")).unwrap();
        let paths = |served| {
            let digest = publish(root.path(), sites.path(), served).unwrap();
            manifest(sites.path(), &digest).files.into_keys().collect::<Vec<_>>()
        };
        assert_eq!(paths(Served::Visible), ["/.well-known/x", "/a.txt", "/link.txt"]);
        assert_eq!(paths(Served::All).len(), 7);
    }

    #[test]
    fn an_empty_folder_is_no_site() {
        let (root, sites) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let result = publish(root.path(), sites.path(), Served::All);
        assert!(matches!(result, Err(BuildError::OutputEmpty { .. })));
        assert_eq!(fs::read_dir(sites.path()).unwrap().count(), 0);
    }
}
