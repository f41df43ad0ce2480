//! From a source to an artifact.
//!
//! [`Builder::build`] fetches a source, asks `temps-presets` how it is built, has the container engine's BuildKit
//! build it or writes it down as a static site, and tells every step in the deployment's [`BuildLogs`]. What a build
//! uses is bounded, and dropping or cancelling it ends everything it started.

mod archive;
mod base_images;
mod blobs;
mod build_log;
mod build_request;
mod builder;
mod caps;
mod checkout;
mod context;
pub mod copies;
mod disk;
mod dockerfile;
mod dockerignore;
mod engine;
mod error;
mod frontend;
mod garbage;
mod git;
mod git_url;
mod hint;
mod image_build;
mod image_folder;
mod images;
pub mod label;
mod masked_log;
mod obtain;
mod oci;
mod older_words;
mod own_image;
mod own_registry;
mod peers;
mod progress;
mod pull;
mod pushed;
mod pushes;
mod raw_engine;
mod recipe;
mod session;
mod site_archive;
mod sites;
mod source_folder;
mod static_site;
pub mod step;
pub mod tags;
mod uploads;
mod variables_digest;
mod verdict;

pub use archive::{ArchiveError, DEPTH_MAX, ENTRIES_MAX, UNPACKED_BYTES_MAX};
pub use base_images::{BASE_IMAGES_MAX, BaseImages};
pub use blobs::{BLOB_BYTES_MAX, BlobDigest, Blobs, PARTS_MAX, digest_of};
pub use build_log::{BuildLogs, LINE_BYTES_MAX, LINES_MAX, LOGS_OPEN_MAX, LogLine};
pub use build_request::BuildRequest;
pub use builder::{Builder, DETECT_SECONDS_MAX, DetectRequest, Detected};
pub use engine::{ENGINE_GREETING_SECONDS_MAX, ENGINE_TIMEOUT_SECONDS, Engine, EngineUnavailable};
pub use error::BuildError;
pub use frontend::REGISTRY_SECONDS_MAX;
pub use garbage::{GONE_GRACE_SECONDS, GRACE_SECONDS, Needed, RETIRED_KEPT};
pub use git::GIT_SECONDS_MAX;
pub use masked_log::{MASK, MASKED_CHARS_MIN};
pub use obtain::{PEER_ANSWER_SECONDS_MAX, PEER_STALLED_SECONDS_MAX, ROUNDS_MAX};
pub use oci::{Descriptor, ImageManifest, MANIFEST_BYTES_MAX};
pub use own_image::{OWN_REGISTRY, OwnImage};
pub use own_registry::{EXCHANGE_STALLED_SECONDS_MAX, OwnRegistry};
pub use peers::{PeerPath, PeerStream, Peers};
pub use pull::PULL_STALLED_SECONDS_MAX;
pub use pushed::MANIFESTS_MAX;
pub use pushes::{PUSHED_BLOBS_MAX, PUSHES_MAX, Pushes};
pub use static_site::{SITE_BYTES_MAX, SITE_FILES_MAX};
pub use tags::{Tag, Tags};
pub use uploads::{UPLOAD_BYTES_MAX, Upload, Uploads};
