//! The manifest of a static site: what a build writes down and the edge serves from.
//!
//! On disk a site is one folder, `static/<digest>/`, with `manifest.json` and one file per content, named by its
//! SHA-256 in hex: `<sha256>`, and beside it `<sha256>.gz`, `.br` and `.zst` where compression pays. A request path is
//! looked up in the manifest and never joined to a folder, so no path can lead outside.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The name of the manifest in a site's folder.
pub const MANIFEST: &str = "manifest.json";

/// What a static site holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// When it was built; the `Last-Modified` of all its files.
    pub built_at: Timestamp,
    /// Files by absolute path, such as `/assets/app.3f2a.js`.
    pub files: BTreeMap<String, StaticFile>,
}

/// One file of a static site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaticFile {
    /// SHA-256 of its content, in hex: its name on disk and its strong `ETag`.
    pub sha256: String,
    /// Octets of its content.
    pub bytes: u64,
    /// The encodings kept beside it.
    pub encodings: Vec<Encoding>,
}

/// A content coding of HTTP (RFC 9110 §8.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encoding {
    /// zstd, RFC 8878.
    Zstd,
    /// Brotli, RFC 7932.
    Brotli,
    /// gzip, RFC 1952.
    Gzip,
}

impl Encoding {
    /// Its token in `Accept-Encoding` and `Content-Encoding`.
    pub fn token(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }

    /// The extension of an encoded file's name on disk.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Zstd => "zst",
            Self::Brotli => "br",
            Self::Gzip => "gz",
        }
    }
}
