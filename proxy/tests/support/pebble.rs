//! A real ACME server for tests: Debian's `pebble`, with its own DNS, on loopback.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tempfile::TempDir;
use temps_state::AcmeSettings;

use super::PATIENCE;
use super::held_port::HeldPort;

/// A running authority. Its processes end with it.
pub struct Pebble {
    folder: TempDir,
    names: Option<Names>,
    /// Where its DNS is asked.
    pub dns: SocketAddr,
    authority: Child,
    command: Command,
    directory: String,
    management: String,
    /// What its own TLS is trusted by, in PEM.
    root: String,
    _ports: [HeldPort; 2],
}

/// Its DNS, and where that is.
struct Names {
    server: Child,
    _ports: [HeldPort; 2],
}

impl Pebble {
    /// An authority that looks for challenges on loopback, at these ports. `habits` are its environment: see its README.
    pub async fn start(http: u16, https: u16, habits: &[(&str, &str)]) -> Self {
        let (names, dns) = Self::names();
        Self::run((http, https), dns, Some(names), habits, unbound()).await
    }

    /// A DNS for it.
    fn names() -> (Names, SocketAddr) {
        let ports = [HeldPort::take(), HeldPort::take()];
        let [dns, dns_management] = ports.each_ref().map(|port| port.number);
        let mut names = Command::new("pebble-challtestsrv");
        names.args(["-dns01", &format!("127.0.0.1:{dns}")]);
        names.args(["-management", &format!("127.0.0.1:{dns_management}")]);
        names.args(["-http01", "", "-https01", "", "-tlsalpn01", "", "-defaultIPv6", ""]);
        names.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let server = names.spawn().expect("deploy/test.sh installs pebble");
        let names = Names { server, _ports: ports };
        (names, SocketAddr::from((Ipv4Addr::LOCALHOST, dns)))
    }

    /// One that wants accounts to be bound by a key of this id, in Base64.
    pub async fn start_bound(http: u16, https: u16, id: &str, key: &str) -> Self {
        let names = Self::names();
        let dns = names.1;
        let bound = serde_json::json!({"externalAccountBindingRequired": true,
            "externalAccountMACKeys": {id: key}});
        let habits = [("PEBBLE_VA_NOSLEEP", "1")];
        Self::run((http, https), dns, Some(names.0), &habits, bound).await
    }

    /// One that looks in this DNS alone.
    pub async fn start_asking(dns: SocketAddr, habits: &[(&str, &str)]) -> Self {
        Self::run((1, 1), dns, None, habits, unbound()).await
    }

    async fn run(
        (http, https): (u16, u16),
        dns: SocketAddr,
        names: Option<Names>,
        habits: &[(&str, &str)],
        bound: serde_json::Value,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let ports = [HeldPort::take(), HeldPort::take()];
        let [acme, management] = ports.each_ref().map(|port| port.number);
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(vec!["localhost".into()]).expect("a certificate");
        let file = |name: &str, text: String| {
            let path = folder.path().join(name);
            fs::write(&path, text).expect("it can be written");
            path
        };
        let certificate = file("cert.pem", cert.pem());
        let key = file("key.pem", signing_key.serialize_pem());
        let mut config = serde_json::json!({"pebble": {
            "listenAddress": format!("127.0.0.1:{acme}"),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": certificate,
            "privateKey": key,
            "httpPort": http,
            "tlsPort": https,
            "ocspResponderURL": "",
        }});
        let more = bound.as_object().expect("an object").clone();
        config["pebble"].as_object_mut().expect("an object").extend(more);
        let config = file("pebble.json", config.to_string());
        let mut authority = Command::new("pebble");
        authority.arg("-config").arg(&config);
        authority.args(["-dnsserver", &dns.to_string(), "-strict"]);
        authority.envs(habits.iter().copied());
        let log = fs::File::create(folder.path().join("pebble.log")).expect("a file");
        authority.stdin(Stdio::null()).stdout(log).stderr(Stdio::null());
        let running = authority.spawn().expect("deploy/test.sh installs pebble");
        let pebble = Self {
            folder,
            names,
            dns,
            authority: running,
            command: authority,
            directory: format!("https://localhost:{acme}/dir"),
            management: format!("https://localhost:{management}"),
            root: cert.pem(),
            _ports: ports,
        };
        pebble.answers().await;
        pebble
    }

    /// Has it forget everything: accounts, orders and the key that it signs with.
    pub async fn forget(&mut self) {
        let _ = self.authority.kill();
        let _ = self.authority.wait();
        self.authority = self.command.spawn().expect("it ran before");
        self.answers().await;
    }

    async fn answers(&self) {
        let begun = Instant::now();
        while self.client().get(&self.directory).send().await.is_err() {
            assert!(begun.elapsed() < PATIENCE, "pebble answers");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }

    /// Its directory.
    pub fn directory(&self) -> &str {
        &self.directory
    }

    /// What trusts it.
    pub fn client(&self) -> reqwest::Client {
        let root = reqwest::Certificate::from_pem(self.root.as_bytes()).expect("a certificate");
        reqwest::Client::builder().tls_certs_only([root]).http1_only().build().expect("a client")
    }

    /// The settings of a cluster that asks it.
    pub fn settings(&self) -> AcmeSettings {
        AcmeSettings {
            directory: self.directory.clone(),
            root: self.root.clone(),
            ..AcmeSettings::default()
        }
    }

    /// What the certificates that it gives are trusted by.
    pub async fn root_of_certificates(&self) -> reqwest::Certificate {
        let asked = self.client().get(format!("{}/roots/0", self.management)).send().await;
        let pem = asked.expect("it answers").bytes().await.expect("all of it");
        reqwest::Certificate::from_pem(&pem).expect("a certificate")
    }

    /// How often its log has a text.
    pub fn logged(&self, text: &str) -> usize {
        let path: PathBuf = self.folder.path().join("pebble.log");
        fs::read_to_string(path).expect("its log").matches(text).count()
    }

    /// How many orders were made.
    pub fn orders(&self) -> usize {
        self.logged("Added order")
    }

    /// How many certificates were given.
    pub fn certificates(&self) -> usize {
        self.logged("Issued certificate")
    }
}

/// Accounts need not be bound.
fn unbound() -> serde_json::Value {
    serde_json::json!({"externalAccountBindingRequired": false})
}

impl Drop for Pebble {
    fn drop(&mut self) {
        let names = self.names.iter_mut().map(|names| &mut names.server);
        for child in names.chain([&mut self.authority]) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
