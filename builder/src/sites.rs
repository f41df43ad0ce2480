//! Static sites between nodes.

use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::Stream;
use temps_state::{MANIFEST, NodeId};

use crate::blobs::{blocking, write_error};
use crate::obtain::{Accept, Asked, Download};
use crate::peers::PeerPath;
use crate::{BlobDigest, BuildError, Builder, site_archive};

impl Builder {
    /// Makes sure that a static site's files are here, from the first candidate that has them. The site's digest
    /// vouches for them.
    pub async fn provide_site(
        &self,
        digest: &str,
        candidates: &[NodeId],
    ) -> Result<(), BuildError> {
        let missing = |asked: Asked| BuildError::BlobMissing {
            digest: digest.to_string(),
            asked: asked.to_string(),
        };
        let Some(site) = BlobDigest::read(digest) else { return Err(missing(Asked::default())) };
        let _alone = self.blobs().flights().lock(&format!("site {site}")).await;
        if self.site(&site).is_some() {
            return Ok(());
        }
        let Some(peers) = self.peers() else { return Err(missing(Asked::default())) };
        let part = self.blobs().parts().join(format!("site-{}", site.hex()));
        let download = Download { peers, path: PeerPath::Site(site.clone()), part };
        let unpacked = Unpacked { sites: self.folder("static"), site };
        download.run(candidates, &unpacked).await?.map_err(missing)
    }

    /// The archive of a static site for another node, from an offset on; `None` when the site is not here.
    pub fn lend_site(
        &self,
        digest: &BlobDigest,
        from: u64,
    ) -> Option<impl Stream<Item = io::Result<Bytes>> + Send + use<>> {
        Some(site_archive::read(&self.site(digest)?, from))
    }

    fn site(&self, digest: &BlobDigest) -> Option<PathBuf> {
        let folder = self.folder("static").join(digest.hex());
        folder.join(MANIFEST).is_file().then_some(folder)
    }
}

/// A site that was asked for.
struct Unpacked {
    sites: PathBuf,
    site: BlobDigest,
}

impl Accept for Unpacked {
    async fn accept(&self, part: &Path) -> Result<bool, BuildError> {
        let (part, sites, site) = (part.to_path_buf(), self.sites.clone(), self.site.clone());
        let unpacking = blocking(move || {
            let right = site_archive::unpack(&part, &sites, &site)?;
            std::fs::remove_file(&part)?;
            Ok(right)
        });
        unpacking.await.map_err(write_error)
    }
}
