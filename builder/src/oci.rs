//! Image manifests, as far as Temps looks into them: the OCI image format 1.1 and Docker's schema 2.

use serde::Deserialize;

use crate::BlobDigest;

/// The most octets a manifest has.
pub const MANIFEST_BYTES_MAX: u64 = 4 << 20;
/// The most blobs or manifests a manifest names.
pub const MANIFEST_ENTRIES_MAX: usize = 1_000;
/// What a manifest of one image is called when it does not say itself.
const IMAGE: &str = "application/vnd.oci.image.manifest.v1+json";
/// What a list of manifests is called when it does not say itself.
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A blob or manifest that a manifest names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// Its digest.
    pub digest: BlobDigest,
    /// How many octets it has.
    pub bytes: u64,
}

/// What a manifest says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageManifest {
    /// What kind of manifest it is.
    pub media_type: String,
    /// The image's configuration; a list of manifests has none.
    pub config: Option<Descriptor>,
    /// The layers that are in the registry.
    pub layers: Vec<Descriptor>,
    /// The manifests that a list names.
    pub manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawManifest {
    schema_version: u32,
    media_type: Option<String>,
    config: Option<RawDescriptor>,
    #[serde(default)]
    layers: Vec<RawDescriptor>,
    #[serde(default)]
    manifests: Vec<RawDescriptor>,
}

#[derive(Deserialize)]
struct RawDescriptor {
    digest: String,
    size: u64,
    /// Where a layer is that no registry may hand out.
    #[serde(default)]
    urls: Vec<String>,
}

impl ImageManifest {
    /// Reads a manifest; `None` when it is none.
    pub fn read(octets: &[u8]) -> Option<Self> {
        let raw: RawManifest = serde_json::from_slice(octets).ok()?;
        let entries = raw.layers.len() + raw.manifests.len();
        let is_one = raw.config.is_some() == raw.manifests.is_empty();
        if raw.schema_version != 2 || entries > MANIFEST_ENTRIES_MAX || !is_one {
            return None;
        }
        let kind = if raw.config.is_some() { IMAGE } else { INDEX };
        let config = match raw.config {
            Some(config) => Some(descriptor(config)?),
            None => None,
        };
        Some(Self {
            config,
            media_type: raw.media_type.unwrap_or_else(|| kind.into()),
            layers: descriptors(raw.layers.into_iter().filter(|layer| layer.urls.is_empty()))?,
            manifests: descriptors(raw.manifests.into_iter())?,
        })
    }

    /// The blobs of the image.
    pub fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        self.config.iter().chain(&self.layers)
    }

    /// Whether this is the manifest of the image with that id: engines call an image by the digest of its
    /// configuration, or by that of its manifest.
    pub(crate) fn is_of(octets: &[u8], image: &BlobDigest) -> bool {
        let config = Self::read(octets).and_then(|manifest| manifest.config);
        config.is_some_and(|config| config.digest == *image) || BlobDigest::of(octets) == *image
    }
}

fn descriptors(raw: impl Iterator<Item = RawDescriptor>) -> Option<Vec<Descriptor>> {
    raw.map(descriptor).collect()
}

fn descriptor(raw: RawDescriptor) -> Option<Descriptor> {
    Some(Descriptor { digest: BlobDigest::read(&raw.digest)?, bytes: raw.size })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn images_and_lists_are_read_and_nothing_else() {
        let (config, layer) = (BlobDigest::of(b"config"), BlobDigest::of(b"layer"));
        let of = |digest: &BlobDigest| json!({"digest": digest.to_string(), "size": 7});
        let image = json!({
            "schemaVersion": 2, "config": of(&config),
            "layers": [of(&layer), {"digest": layer.to_string(), "size": 1, "urls": ["https://x"]}],
        });
        let octets = image.to_string().into_bytes();
        let read = ImageManifest::read(&octets).unwrap();
        assert_eq!((read.media_type.as_str(), read.blobs().count()), (IMAGE, 2));
        assert!(ImageManifest::is_of(&octets, &config));
        assert!(ImageManifest::is_of(&octets, &BlobDigest::of(&octets)));
        assert!(!ImageManifest::is_of(&octets, &layer));
        let list = json!({"schemaVersion": 2, "manifests": [of(&config)]}).to_string();
        assert_eq!(ImageManifest::read(list.as_bytes()).unwrap().media_type, INDEX);
        for bad in [
            json!({"schemaVersion": 1}),
            json!({"schemaVersion": 2, "layers": [of(&layer)]}),
            json!({"schemaVersion": 2, "config": {"digest": "sha256:..", "size": 1}}),
            json!("text"),
        ] {
            assert_eq!(ImageManifest::read(bad.to_string().as_bytes()), None, "{bad}");
        }
    }
}
