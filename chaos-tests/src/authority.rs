//! A real certificate authority, Debian's `pebble`, and the DNS that it and the nodes ask, on the host's side of a ground.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use reqwest::Certificate;
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
        self.logged("Issued certificate")
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

fn at(address: Ipv4Addr, port: u16) -> String {
    SocketAddr::from((address, port)).to_string()
}
