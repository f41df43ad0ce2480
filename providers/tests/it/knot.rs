//! A real name server, Debian's `knot`, on loopback.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::held_port::HeldPort;
use crate::knot_config::{KEY, config};
use crate::story::{OTHER_ZONE, ZONE};

/// How long anything may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A running server with a zone that a key may transfer and update, and another one that can be taken away.
pub struct Knot {
    pub port: u16,
    _held: HeldPort,
    data: TempDir,
    server: Child,
}

impl Drop for Knot {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Knot {
    pub async fn start(more: &str) -> Self {
        let data = tempfile::tempdir().unwrap();
        let held = HeldPort::take();
        let port = held.number;
        write(data.path(), port, more);
        let config = data.path().join("knot.conf");
        let mut server = Command::new("knotd");
        server.arg("-c").arg(config).stdout(Stdio::null()).stderr(Stdio::null());
        let server = server.spawn().expect("knotd is installed");
        let knot = Self { port, _held: held, data, server };
        knot.until("www", "A", |found| found == ["198.51.100.9"]).await;
        knot
    }

    /// Serves the other zone no more.
    pub fn take_away(&self) {
        write_config(self.data.path(), self.port, "");
        let mut control = Command::new("knotc");
        control.arg("-c").arg(self.data.path().join("knot.conf")).arg("reload");
        assert!(control.output().expect("knotc is installed").status.success());
    }

    pub fn credentials(&self) -> Value {
        let server = format!("127.0.0.1:{}", self.port);
        json!({"server": server, "key": "temps", "algorithm": "hmac-sha256", "secret": KEY})
    }

    /// What the server answers about a name of its zone, or a whole name that ends with a dot.
    pub fn ask(&self, name: &str, kind: &str) -> Vec<String> {
        let mut dig = Command::new("dig");
        dig.args(["+short", "+tries=1", "+timeout=1", "@127.0.0.1", "-p", &self.port.to_string()]);
        let name = match name.strip_suffix('.') {
            Some(whole) => whole.to_owned(),
            None if name.is_empty() => ZONE.into(),
            None => format!("{name}.{ZONE}"),
        };
        let output = dig.args([&name, kind]).output().expect("dig is installed");
        let text = String::from_utf8(output.stdout).unwrap();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }

    /// Waits until the server answers so.
    pub async fn until(&self, name: &str, kind: &str, right: impl Fn(&[String]) -> bool) {
        let until = Instant::now() + PATIENCE;
        loop {
            let found = self.ask(name, kind);
            if right(&found) {
                return;
            }
            assert!(Instant::now() < until, "{name} {kind} is {found:?}");
            sleep(Duration::from_millis(50)).await;
        }
    }
}

fn write(data: &Path, port: u16, more: &str) {
    let other = format!(
        "  - domain: {OTHER_ZONE}\n    storage: {}\n    file: other\n    acl: temps\n    \
         zonefile-load: whole\n",
        data.display()
    );
    write_config(data, port, &other);
    let zone = format!(
        "$ORIGIN {OTHER_ZONE}.\n$TTL 3600\n@ SOA ns hostmaster 1 3600 600 86400 30\n@ NS ns\n\
         ns A 127.0.0.1\n"
    );
    std::fs::write(data.join("other"), zone).unwrap();
    let zone = format!(
        "$ORIGIN {ZONE}.\n$TTL 3600\n@ SOA ns.{ZONE}. hostmaster.{ZONE}. 1 3600 600 86400 30\n@ NS ns\n\
         ns A 127.0.0.1\nwww A 198.51.100.9\nalias CNAME www\n{more}"
    );
    std::fs::write(data.join("zone"), zone).unwrap();
}

fn write_config(data: &Path, port: u16, more: &str) {
    let config = config(data, (Ipv4Addr::LOCALHOST, port).into(), ZONE);
    std::fs::write(data.join("knot.conf"), config + more).unwrap();
}
