//! A real certificate authority, Debian's `pebble`, and the DNS that it and the nodes ask, on the host's side of a ground.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use reqwest::Certificate;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};

use crate::client::http_builder;
use crate::failing::Failing;
use crate::program::{Program, folder_for};
use crate::wait::{RECOVERY, until};
use crate::{Ground, GroundError};

/// Where names are looked up.
const DNS_PORT: u16 = 53;
/// Where the authority tells what its certificates are trusted by.
const MANAGEMENT_PORT: u16 = 15000;
/// Where the DNS is told its records.
const RECORDS_PORT: u16 = 8055;
/// What its log has before the number of a certificate that it gave.
const GIVEN: &str = "Issued certificate serial ";
/// The files of its own TLS.
const CERTIFICATE: &str = "certificate.pem";
const KEY: &str = "key.pem";

/// A running authority, which looks at names at the ports that the world knows. It ends when this is dropped, and when
/// this process ends in any way.
#[derive(Debug)]
pub struct Authority {
    address: Ipv4Addr,
    log: PathBuf,
    root: String,
    http: reqwest::Client,
    processes: Vec<Program>,
    _failing: Failing,
}

impl Authority {
    /// Where the authority's directory is.
    pub const DIRECTORY_PORT: u16 = 14000;
    /// Where somebody with its certificate answers everything with an error.
    pub const FAILING_PORT: u16 = 14001;

    /// Starts one, and lets all machines of a ground look names up at its DNS, which knows none yet. `habits` are its
    /// environment: see pebble's README.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start(ground: &Ground, habits: &[(&str, &str)]) -> Result<Self, GroundError> {
        let (address, folder) = (ground.host(), folder_for(ground, "authority")?);
        let dns = at(address, DNS_PORT);
        let names = ["-dns01", &dns, "-management", &at(address, RECORDS_PORT)];
        let nothing_else = ["-http01", "-https01", "-tlsalpn01", "-defaultIPv4", "-defaultIPv6"];
        let nothing_else = nothing_else.map(|flag| [flag, ""]);
        let names = [&names, nothing_else.as_flattened()].concat();
        let names = Program::start(&folder, "pebble-challtestsrv", &names, &[])?;
        let mut authority = Self::asking(ground, address, habits).await?;
        authority.processes.push(names);
        for node in ground.nodes() {
            node.look_names_up_at(address)?;
        }
        Ok(authority)
    }

    /// Starts one that looks names up at this address.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn asking(
        ground: &Ground,
        dns: Ipv4Addr,
        habits: &[(&str, &str)],
    ) -> Result<Self, GroundError> {
        let (address, folder) = (ground.host(), folder_for(ground, "authority")?);
        let root = write(&folder, address)
            .map_err(|source| GroundError::Folder { path: folder.clone(), source })?;
        let dns = at(dns, DNS_PORT);
        let authority = ["-config", "pebble.json", "-dnsserver", &dns, "-strict"];
        let processes = vec![Program::start(&folder, "pebble", &authority, habits)?];
        let http = Certificate::from_pem(root.as_bytes())
            .and_then(|root| http_builder().tls_certs_only([root]).build())
            .map_err(GroundError::HttpClient)?;
        let (certificate, key) = (folder.join(CERTIFICATE), folder.join(KEY));
        let failing = Failing::start((address, Self::FAILING_PORT).into(), &certificate, &key);
        let _failing =
            failing.await.map_err(|source| GroundError::Folder { path: folder.clone(), source })?;
        let log = folder.join("pebble.log");
        let authority = Self { address, log, root, http, processes, _failing };
        until("the authority answers", RECOVERY, async || authority.root().await.is_ok()).await?;
        Ok(authority)
    }

    /// The settings of a cluster that asks it.
    #[must_use]
    pub fn settings(&self) -> Value {
        let directory = format!("https://{}/dir", at(self.address, Self::DIRECTORY_PORT));
        json!({ "enabled": true, "directory": directory, "email": "", "root": self.root })
    }

    /// Lets a name lead to these addresses, and to no other.
    ///
    /// # Errors
    /// When the DNS cannot be told.
    pub async fn lead(&self, name: &str, addresses: &[Ipv4Addr]) -> Result<(), GroundError> {
        let url = format!("http://{}", at(self.address, RECORDS_PORT));
        for (path, body) in [
            ("clear-a", json!({ "host": name })),
            ("add-a", json!({ "host": name, "addresses": addresses })),
        ] {
            let told = self.http.post(format!("{url}/{path}")).json(&body).send().await;
            told.and_then(reqwest::Response::error_for_status).map_err(GroundError::Authority)?;
        }
        Ok(())
    }

    /// What the certificates that it gives are trusted by, in PEM.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn root(&self) -> Result<String, GroundError> {
        let url = format!("https://{}/roots/0", at(self.address, MANAGEMENT_PORT));
        let asked = self.http.get(url).send().await.map_err(GroundError::Authority)?;
        asked.text().await.map_err(GroundError::Authority)
    }

    /// Halts it: connections to it are taken, and nothing is answered.
    ///
    /// # Errors
    /// When its process cannot be told.
    pub fn pause(&self) -> Result<(), GroundError> {
        self.processes.first().map_or(Ok(()), |pebble| pebble.signal("STOP"))
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// When its process cannot be told.
    pub fn resume(&self) -> Result<(), GroundError> {
        self.processes.first().map_or(Ok(()), |pebble| pebble.signal("CONT"))
    }

    /// How many orders it was given.
    #[must_use]
    pub fn orders(&self) -> usize {
        self.logged("Added order")
    }

    /// How often it was told that it may look at a name.
    #[must_use]
    pub fn looks(&self) -> usize {
        self.logged("Pulled a task")
    }

    /// How many certificates it gave.
    #[must_use]
    pub fn certificates(&self) -> usize {
        self.logged(GIVEN)
    }

    /// How many certificates it gave for each of these names, as it remembers them.
    ///
    /// # Errors
    /// When it does not answer, or not with a certificate that it has given.
    pub async fn given(&self, names: &[String]) -> Result<BTreeMap<String, usize>, GroundError> {
        let mut given = BTreeMap::new();
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        for serial in serials(&log) {
            let path = format!("cert-status-by-serial/{serial}");
            let url = format!("https://{}/{path}", at(self.address, MANAGEMENT_PORT));
            let asked = self.http.get(url).send().await.map_err(GroundError::Authority)?;
            let text = asked.text().await.map_err(GroundError::Authority)?;
            let said: Value = serde_json::from_str(&text).unwrap_or_default();
            let pem = said["Certificate"].as_str().unwrap_or_default().as_bytes();
            let malformed = || GroundError::Malformed {
                path: path.into(),
                wanted: "a certificate",
                found: text.clone(),
            };
            let certificate = CertificateDer::from_pem_slice(pem).map_err(|_| malformed())?;
            for name in names.iter().filter(|name| has(&certificate, name)) {
                *given.entry(name.clone()).or_default() += 1;
            }
        }
        Ok(given)
    }

    /// How often its log has a text.
    fn logged(&self, text: &str) -> usize {
        fs::read_to_string(&self.log).unwrap_or_default().matches(text).count()
    }
}

/// Writes what the authority is started with, and returns what its own TLS is trusted by.
fn write(folder: &Path, address: Ipv4Addr) -> io::Result<String> {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed([address.to_string()])
        .expect("an address can be the name of a certificate");
    let config = json!({ "pebble": {
        "listenAddress": at(address, Authority::DIRECTORY_PORT),
        "managementListenAddress": at(address, MANAGEMENT_PORT),
        "certificate": CERTIFICATE,
        "privateKey": KEY,
        "httpPort": 80,
        "tlsPort": 443,
        "ocspResponderURL": "",
        "externalAccountBindingRequired": false,
    }});
    fs::write(folder.join(CERTIFICATE), cert.pem())?;
    fs::write(folder.join(KEY), signing_key.serialize_pem())?;
    fs::write(folder.join("pebble.json"), config.to_string())?;
    Ok(cert.pem())
}

/// The numbers of the certificates that were given, as a log tells them.
fn serials(log: &str) -> Vec<&str> {
    let behind = log.split(GIVEN).skip(1);
    behind.filter_map(|rest| rest.split_whitespace().next()).collect()
}

/// Whether a certificate is for a name: as its octets have it, behind their count.
fn has(certificate: &[u8], name: &str) -> bool {
    let length = u8::try_from(name.len()).unwrap_or(u8::MAX);
    let wanted = [&[length], name.as_bytes()].concat();
    certificate.windows(wanted.len()).any(|part| part == wanted)
}

fn at(address: Ipv4Addr, port: u16) -> String {
    SocketAddr::from((address, port)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_says_whose_it_is() {
        let CertifiedKey { cert, .. } =
            generate_simple_self_signed(["c11.example.test".to_owned()]).unwrap();
        assert!(has(cert.der(), "c11.example.test"));
        assert!(!has(cert.der(), "c1.example.test") && !has(cert.der(), "1.example.test"));
    }

    #[test]
    fn the_log_says_which_certificates_were_given() {
        let log = "Pebble 10:00 Issued certificate serial 5a0e for order x1\n10:01 Added order\n\
                   Pebble 10:02 Issued certificate serial 77 for order x2\n";
        assert_eq!(serials(log), ["5a0e", "77"]);
    }
}
