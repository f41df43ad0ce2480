//! The self-signed certificate of the preview domain.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::sign::CertifiedKey;

use crate::EdgeError;
use crate::host::is_under;
use crate::tls::pem::certified_key;

/// The certificate for the names of the preview domain; each node has its own.
#[derive(Debug)]
pub(crate) struct Preview {
    folder: PathBuf,
    held: ArcSwapOption<Held>,
}

#[derive(Debug)]
struct Held {
    domain: String,
    key: Arc<CertifiedKey>,
}

impl Preview {
    /// None yet; those that are made are kept under the data folder.
    pub(crate) fn new(data_dir: &Path) -> Self {
        Self { folder: data_dir.join("tls"), held: ArcSwapOption::empty() }
    }

    /// Uses a self-signed certificate for the preview domain, and makes it where there is none. Blocks on the disk.
    pub(crate) fn follow(&self, domain: &str) -> Result<(), EdgeError> {
        if self.held.load().as_ref().is_some_and(|held| held.domain == domain) {
            return Ok(());
        }
        let path = self.file(domain);
        let key_path = path.with_extension("key");
        let read = |source| EdgeError::KeepCertificate { path: path.clone(), source };
        if !path.try_exists().map_err(read)? {
            let (certificate, key) = make(domain)
                .map_err(|source| EdgeError::MakeCertificate { domain: domain.into(), source })?;
            // The certificate last: where it is, its key is.
            keep(&key_path, &key).and_then(|()| keep(&path, &certificate)).map_err(read)?;
        }
        let certificate = fs::read(&path).map_err(read)?;
        let key = fs::read(&key_path).map_err(read)?;
        let key = certified_key(&certificate, &key)
            .map_err(|source| EdgeError::UseCertificate { path: path.clone(), source })?;
        self.held.store(Some(Arc::new(Held { domain: domain.into(), key: Arc::new(key) })));
        Ok(())
    }

    /// Where the certificate of a preview domain is kept; its key is beside it.
    pub(crate) fn file(&self, domain: &str) -> PathBuf {
        let safe =
            domain.replace(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '-', "_");
        self.folder.join(format!("preview-{safe}.crt"))
    }

    /// The certificate for a name, if that is one of the preview domain.
    pub(crate) fn find(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        let held = self.held.load();
        let held = held.as_ref()?;
        is_under(name, &held.domain).then(|| held.key.clone())
    }
}

/// Makes a self-signed certificate for a domain and the names under it, and its key, both in PEM.
fn make(domain: &str) -> Result<(String, String), rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec![format!("*.{domain}"), domain.to_owned()])?;
    params.distinguished_name.push(DnType::CommonName, format!("*.{domain}"));
    params.distinguished_name.push(DnType::OrganizationName, "Temps self-signed");
    let certificate = params.self_signed(&key)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

/// Writes a secret file, whole or not at all.
fn keep(path: &Path, pem: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let unfinished = path.with_added_extension("new");
    let _ = fs::remove_file(&unfinished);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    file.write_all(pem.as_bytes())?;
    file.sync_all()?;
    fs::rename(unfinished, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_preview_certificate_is_made_once_and_kept_secret() {
        let folder = tempfile::tempdir().unwrap();
        let preview = Preview::new(folder.path());
        assert!(preview.find("a.localho.st").is_none());
        preview.follow("localho.st").unwrap();
        let path = preview.file("localho.st");
        for secret in [&path, &path.with_extension("key")] {
            assert_eq!(fs::metadata(secret).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let first = preview.find("a.localho.st").unwrap();

        let again = Preview::new(folder.path());
        again.follow("localho.st").unwrap();
        assert_eq!(again.find("b.localho.st").unwrap().cert, first.cert);
        assert!(again.find("example.com").is_none());
        assert!(again.find("").is_none());

        again.follow("example.com").unwrap();
        assert!(again.find("a.localho.st").is_none());
        assert!(again.find("a.example.com").is_some());
    }

    #[test]
    fn a_broken_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let preview = Preview::new(folder.path());
        let path = preview.file("localho.st");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "nonsense").unwrap();
        fs::write(path.with_extension("key"), "nonsense").unwrap();
        let error = preview.follow("localho.st").unwrap_err().to_string();
        assert!(error.contains("preview-localho.st.crt"), "{error}");
    }
}
