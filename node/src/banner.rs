//! What `temps serve` says on standard output once it serves: where, and how to log in.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The port that an `http` URL need not name.
const HTTP_PORT: u16 = 80;

/// What is known before the node serves.
pub struct Banner {
    /// Where a client on this machine reaches the API.
    pub api_url: String,
    data_dir: PathBuf,
    /// The e-mail address and password of the first admin, when the password was made just now.
    first_login: Option<(String, String)>,
}

impl Banner {
    /// A banner; `password` is the one that was made for the first admin, if one was.
    pub fn new(api: SocketAddr, data_dir: &Path, email: &str, password: Option<String>) -> Self {
        Self {
            api_url: format!("http://{}", reachable(api)),
            data_dir: data_dir.into(),
            first_login: password.map(|password| (email.into(), password)),
        }
    }

    /// Prints it. Nobody may be there to read it, which is no failure.
    pub fn print(&self, domain: &str, http_port: u16, took: Duration) {
        let _ = io::stdout().write_all(self.text(domain, http_port, took).as_bytes());
    }

    fn text(&self, domain: &str, http_port: u16, took: Duration) -> String {
        let port = if http_port == HTTP_PORT { String::new() } else { format!(":{http_port}") };
        let mut text = format!(
            "Temps {} serves after {:.1} s.\n  api       {}\n  apps      http://<project>-<environment>.{domain}{port}\n  data      {}\n",
            env!("CARGO_PKG_VERSION"),
            took.as_secs_f64(),
            self.api_url,
            self.data_dir.display(),
        );
        if let Some((email, password)) = &self.first_login {
            // Writing to a String cannot fail.
            let _ = write!(
                text,
                "  admin     {email}\n  password  {password}\n            (shown this once)\n"
            );
        }
        text + &format!("  log in    temps login {}\n", self.api_url)
    }
}

/// The address as a client on this machine uses it: a listener on every address is reached on loopback.
pub fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn banner(api: &str, password: Option<&str>) -> Banner {
        let password = password.map(String::from);
        Banner::new(api.parse().unwrap(), Path::new("/data"), "admin@localhost", password)
    }

    #[test]
    fn it_names_addresses_that_can_be_used() {
        let text = banner("0.0.0.0:3000", None).text("localho.st", 8080, Duration::ZERO);
        assert!(text.contains("http://127.0.0.1:3000"));
        assert!(text.contains("http://<project>-<environment>.localho.st:8080"));
        assert!(!text.contains("password"));
        assert_eq!(banner("[::]:1", None).api_url, "http://[::1]:1");
    }

    #[test]
    fn a_made_password_is_shown() {
        let text = banner("127.0.0.1:3000", Some("s3cret")).text("d", 80, Duration::ZERO);
        assert!(text.contains("admin     admin@localhost\n  password  s3cret\n"));
    }
}
