//! What a request to the registry is about. Pure; repositories have slashes in their names, so paths are read here.

use axum::http::Method;
use temps_builder::BlobDigest;
use temps_state::{is_repository, is_tag};

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// Whether this is a registry, and who asks.
    Check,
    /// A blob of a repository.
    Blob(String, BlobDigest),
    /// The uploads of a repository: to begin one.
    Uploads(String),
    /// An upload under way.
    Upload(String, String),
    /// A manifest.
    Manifest(String, Reference),
    /// The tags of a repository.
    Tags(String),
}

/// What a manifest is asked for by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reference {
    Tag(String),
    Digest(BlobDigest),
}

impl Route {
    /// Reads what follows `/v2/`.
    pub fn read(path: &str) -> Option<Self> {
        if path.is_empty() {
            return Some(Self::Check);
        }
        let (route, repository) = Self::split(path)?;
        is_repository(repository).then_some(route)
    }

    fn split(path: &str) -> Option<(Self, &str)> {
        if let Some(repository) = path.strip_suffix("/tags/list") {
            return Some((Self::Tags(repository.into()), repository));
        }
        if let Some(repository) =
            path.strip_suffix("/blobs/uploads/").or_else(|| path.strip_suffix("/blobs/uploads"))
        {
            return Some((Self::Uploads(repository.into()), repository));
        }
        let (rest, last) = path.rsplit_once('/')?;
        if let Some(repository) = rest.strip_suffix("/blobs/uploads") {
            return Some((Self::Upload(repository.into(), last.into()), repository));
        }
        if let Some(repository) = rest.strip_suffix("/blobs") {
            return Some((Self::Blob(repository.into(), digest(last)?), repository));
        }
        let repository = rest.strip_suffix("/manifests")?;
        let reference = match digest(last) {
            Some(digest) => Reference::Digest(digest),
            None => is_tag(last).then(|| Reference::Tag(last.into()))?,
        };
        Some((Self::Manifest(repository.into(), reference), repository))
    }

    /// The repository, unless none is meant.
    pub fn repository(&self) -> Option<&str> {
        match self {
            Self::Check => None,
            Self::Blob(repository, _)
            | Self::Uploads(repository)
            | Self::Upload(repository, _)
            | Self::Manifest(repository, _)
            | Self::Tags(repository) => Some(repository),
        }
    }

    /// Whether a method of it changes something.
    pub fn changes(&self, method: &Method) -> bool {
        !method.is_safe() || matches!(self, Self::Upload(..))
    }
}

/// A digest with its algorithm, without which it is a tag.
pub(super) fn digest(text: &str) -> Option<BlobDigest> {
    text.starts_with("sha256:").then(|| BlobDigest::read(text)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_of_the_specification_is_read() {
        let digest = BlobDigest::of(b"x");
        let (name, text) = ("a/b".to_owned(), digest.to_string());
        let tag = Reference::Tag("1.0".into());
        for (path, route) in [
            (String::new(), Route::Check),
            (format!("a/b/blobs/{text}"), Route::Blob(name.clone(), digest.clone())),
            ("a/b/blobs/uploads/".into(), Route::Uploads(name.clone())),
            ("a/b/blobs/uploads/abc".into(), Route::Upload(name.clone(), "abc".into())),
            ("a/b/manifests/1.0".into(), Route::Manifest(name.clone(), tag)),
            (
                format!("a/b/manifests/{text}"),
                Route::Manifest(name.clone(), Reference::Digest(digest.clone())),
            ),
            (
                format!("a/b/manifests/{}", digest.hex()),
                Route::Manifest(name.clone(), Reference::Tag(digest.hex().into())),
            ),
            ("a/b/tags/list".into(), Route::Tags(name)),
        ] {
            assert_eq!(Route::read(&path), Some(route), "{path}");
        }
        for bad in [
            "/",
            "a",
            "a/blobs/x",
            "../blobs/uploads/",
            "A/tags/list",
            "a/manifests/..",
            "/tags/list",
            "a/manifests/sha256:12",
        ] {
            assert_eq!(Route::read(bad), None, "{bad}");
        }
    }
}
