//! Which certificate a TLS client gets, by the name it asks for.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::{Ticketer, default_provider};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, version};
use tracing::info;

use crate::EdgeError;
use crate::host::is_under;

/// The certificates that this node has. Looked up without waiting, in the middle of a handshake.
#[derive(Debug)]
pub(crate) struct Certificates {
    folder: PathBuf,
    /// For the names of the preview domain.
    preview: ArcSwapOption<Preview>,
}

#[derive(Debug)]
struct Preview {
    domain: String,
    key: Arc<CertifiedKey>,
}

impl Certificates {
    /// No certificates yet; those that are made are kept under the data folder.
    pub(crate) fn new(data_dir: &Path) -> Self {
        Self { folder: data_dir.join("tls"), preview: ArcSwapOption::empty() }
    }

    /// Uses a self-signed certificate for the preview domain, and makes it where there is none. Blocks on the disk.
    pub(crate) fn use_preview(&self, domain: &str) -> Result<(), EdgeError> {
        if self.preview.load().as_ref().is_some_and(|preview| preview.domain == domain) {
            return Ok(());
        }
        let path = self.preview_file(domain);
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
        self.preview.store(Some(Arc::new(Preview { domain: domain.into(), key: Arc::new(key) })));
        Ok(())
    }

    /// Where the preview domain's certificate is kept; its key is beside it.
    pub(crate) fn preview_file(&self, domain: &str) -> PathBuf {
        let safe =
            domain.replace(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '-', "_");
        self.folder.join(format!("preview-{safe}.crt"))
    }

    /// The certificate for a name.
    fn find(&self, name: &str) -> Option<Arc<CertifiedKey>> {
        let preview = self.preview.load();
        let preview = preview.as_ref()?;
        is_under(name, &preview.domain).then(|| preview.key.clone())
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map(str::to_ascii_lowercase).unwrap_or_default();
        let found = self.find(name.strip_suffix('.').unwrap_or(&name));
        if found.is_none() {
            info!(name, "refused a TLS handshake: there is no certificate for the name");
        }
        found
    }
}

/// How the edge speaks TLS: 1.2 and 1.3, HTTP/2 where the client can.
pub(crate) fn server_config(
    certificates: Arc<Certificates>,
) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])?
        .with_no_client_auth()
        .with_cert_resolver(certificates);
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ticketer = Ticketer::new()?;
    Ok(config)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(default_provider())
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

fn certified_key(certificate: &[u8], key: &[u8]) -> Result<CertifiedKey, rustls::Error> {
    let bad = |error: rustls::pki_types::pem::Error| rustls::Error::General(error.to_string());
    let chain =
        CertificateDer::pem_slice_iter(certificate).collect::<Result<_, _>>().map_err(bad)?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(bad)?;
    CertifiedKey::from_der(chain, key, &provider())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_preview_certificate_is_made_once_and_kept_secret() {
        let folder = tempfile::tempdir().unwrap();
        let certificates = Certificates::new(folder.path());
        assert!(certificates.find("a.localho.st").is_none());
        certificates.use_preview("localho.st").unwrap();
        let path = certificates.preview_file("localho.st");
        for secret in [&path, &path.with_extension("key")] {
            assert_eq!(fs::metadata(secret).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let first = certificates.find("a.localho.st").unwrap();

        let again = Certificates::new(folder.path());
        again.use_preview("localho.st").unwrap();
        assert_eq!(again.find("b.localho.st").unwrap().cert, first.cert);
        assert!(again.find("example.com").is_none());
        assert!(again.find("").is_none());

        again.use_preview("example.com").unwrap();
        assert!(again.find("a.localho.st").is_none());
        assert!(again.find("a.example.com").is_some());
    }

    #[test]
    fn a_broken_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let certificates = Certificates::new(folder.path());
        let path = certificates.preview_file("localho.st");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "nonsense").unwrap();
        fs::write(path.with_extension("key"), "nonsense").unwrap();
        let error = certificates.use_preview("localho.st").unwrap_err().to_string();
        assert!(error.contains("preview-localho.st.crt"), "{error}");
    }
}
