//! What a node is told when it starts: flags and environment, read and checked before anything is opened. Pure.

mod args;
mod error;
mod values;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

pub use args::ServeArgs;
pub use error::ConfigError;
use values::{
    address, admin, advertised, countries, default_data_dir, dns, folder, node_name, program,
    socket, word,
};

use crate::logging::{LogFormat, LogLevel};

/// Who may log in first when nobody says.
pub const ADMIN_EMAIL_DEFAULT: &str = "admin@localhost";

/// What the flags do not say.
pub struct Surroundings {
    /// Whether root runs the node.
    pub root: bool,
    /// The user's home folder.
    pub home: Option<PathBuf>,
    /// The machine's host name.
    pub host_name: String,
    /// Who shall be the first admin.
    pub admin: Admin,
}

/// The first admin.
#[derive(Clone, PartialEq, Eq)]
pub struct Admin {
    /// Their e-mail address.
    pub email: String,
    /// Their password; one is made when there is none.
    pub password: Option<String>,
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Admin {{ {} }}", self.email)
    }
}

/// A checked configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeConfig {
    /// Where the node keeps its data.
    pub data_dir: PathBuf,
    /// Where the edge takes HTTP.
    pub http: SocketAddr,
    /// Where the edge takes HTTPS.
    pub https: Option<SocketAddr>,
    /// Where the API listens.
    pub api: SocketAddr,
    /// Where other nodes are listened to.
    pub peer: SocketAddr,
    /// Where it answers for the cluster's zones.
    pub dns: Option<SocketAddr>,
    /// Where other nodes reach this one, when that is another address.
    pub advertise: Option<SocketAddr>,
    /// How log lines look.
    pub log_format: LogFormat,
    /// What is logged.
    pub log_level: LogLevel,
    /// The container engine's socket.
    pub docker_socket: String,
    /// What makes base images that cannot be pulled.
    pub base_images: Option<PathBuf>,
    /// What says in which country an address is.
    pub geoip: Option<PathBuf>,
    /// What people call the node.
    pub name: String,
    /// Whether it builds images.
    pub builds: bool,
    /// The first admin.
    pub admin: Admin,
}

impl NodeConfig {
    /// Reads and checks every flag.
    pub fn read(args: ServeArgs, around: Surroundings) -> Result<Self, ConfigError> {
        let data_dir = args.data_dir.clone().filter(|path| !path.as_os_str().is_empty());
        let data_dir = data_dir.or_else(|| default_data_dir(around.root, around.home));
        let name = args.name.unwrap_or(around.host_name);
        let config = Self {
            data_dir: folder(data_dir.ok_or(ConfigError::NoDataDir)?)?,
            http: address("http", &args.http, "0.0.0.0:80")?,
            https: match args.https.as_str() {
                "off" => None,
                text => Some(address("https", text, "0.0.0.0:443")?),
            },
            api: address("api", &args.api, "127.0.0.1:3000")?,
            peer: address("peer", &args.peer, "0.0.0.0:3001")?,
            dns: dns(&args.dns)?,
            advertise: advertised(args.advertise.as_deref())?,
            log_format: word("log-format", &args.log_format, "log format", "text")?,
            log_level: word("log-level", &args.log_level, "log level", "info")?,
            docker_socket: socket(&args.docker_socket)?,
            base_images: program(args.base_images)?,
            geoip: countries(args.geoip)?,
            name: node_name(name)?,
            builds: !args.no_build,
            admin: admin(around.admin)?,
        };
        config.check_ports()?;
        Ok(config)
    }

    /// Every address that is listened on, with its flag.
    fn listeners(&self) -> impl Iterator<Item = (&'static str, SocketAddr)> {
        let https = self.https.map(|address| ("https", address));
        let dns = self.dns.map(|address| ("dns", address));
        [("http", self.http)].into_iter().chain(https).chain([("api", self.api)]).chain(dns)
    }

    fn check_ports(&self) -> Result<(), ConfigError> {
        let all: Vec<_> = self.listeners().chain([("peer", self.peer)]).collect();
        for (index, (second, b)) in all.iter().enumerate() {
            if let Some((first, a)) = all[..index].iter().find(|(_, a)| overlap(*a, *b)) {
                return Err(ConfigError::PortTwice { first, second, port: a.port() });
            }
        }
        Ok(())
    }
}

/// Whether two listeners would fight for one port. Port 0 is whatever is free.
fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    let any = a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() != 0 && a.port() == b.port() && (any || a.ip() == b.ip())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: ServeArgs,
    }

    fn around(root: bool) -> Surroundings {
        let admin =
            Admin { email: ADMIN_EMAIL_DEFAULT.into(), password: Some("hunter2hunter2".into()) };
        let home = Some("/home/u".into());
        Surroundings { root, home, host_name: "host".into(), admin }
    }

    fn read(line: &[&str]) -> Result<NodeConfig, ConfigError> {
        let line = Line::parse_from([&["temps"], line].concat());
        NodeConfig::read(line.args, around(true))
    }

    #[test]
    fn every_flag_has_a_sane_default() {
        let config = read(&[]).unwrap();
        assert_eq!(config.data_dir, PathBuf::from("/var/lib/temps"));
        let ports: Vec<u16> = config.listeners().map(|(_, address)| address.port()).collect();
        assert_eq!(ports, [80, 443, 3000]);
        assert_eq!((config.name.as_str(), config.builds), ("host", true));
        assert!(!format!("{config:?}").contains("hunter2"));
        let home = NodeConfig::read(Line::parse_from(["temps"]).args, around(false)).unwrap();
        assert_eq!(home.data_dir, PathBuf::from("/home/u/.local/share/temps"));
    }

    #[test]
    fn the_dns_is_answered_where_somebody_says() {
        assert_eq!(read(&[]).unwrap().dns, None);
        for at in ["203.0.113.7:53", "[2001:db8::1]:53", "0.0.0.0:5353"] {
            assert_eq!(read(&["--dns", at]).unwrap().dns, at.parse().ok());
        }
    }

    #[test]
    fn https_can_be_off() {
        assert_eq!(read(&["--https", "off"]).unwrap().https, None);
    }

    #[test]
    fn wrong_values_are_refused_with_why_and_what_next() {
        for (flag, value, why) in [
            ("http", "80", "no port"),
            ("http", "localhost:80", "no IP address"),
            ("https", "0.0.0.0:https", "no number"),
            ("https", "on", "no port"),
            ("api", "127.0.0.1:99999", "no number"),
            ("peer", "", "no port"),
            ("dns", "0.0.0.0:53", "port 53 of their own network"),
            ("dns", "ns1:53", "no IP address"),
            ("advertise", "0.0.0.0:3001", "cannot connect"),
            ("advertise", "n1:3001", "no IP address"),
            ("log-format", "xml", "`text` or `json`"),
            ("log-level", "loud", "`debug`"),
            ("docker-socket", "tcp://host:2375", "no absolute path"),
            ("name", "a b", "without blanks"),
            ("base-images", "/nonexistent/program", "No such file"),
            ("data-dir", "/dev/null", "it is a file"),
            ("geoip", "/nonexistent/countries.mmdb", "no such file"),
        ] {
            let error = read(&[&format!("--{flag}"), value]).unwrap_err();
            let (reason, next) = error.advice();
            assert!(error.to_string().contains(&format!("--{flag} {value} is no ")), "{error}");
            assert!(reason.contains(why), "{flag} {value}: {reason}");
            assert!(next.contains(&format!("--{flag}")), "{next}");
        }
    }

    #[test]
    fn the_first_admin_is_checked_before_anything_is_opened() {
        let refused = |email: &str, password: &str| {
            let admin = Admin { email: email.into(), password: Some(password.into()) };
            let around = Surroundings { admin, ..around(true) };
            let error = NodeConfig::read(Line::parse_from(["temps"]).args, around).unwrap_err();
            (error.to_string(), error.advice())
        };
        let (what, (why, next)) = refused("nobody", "a-long-password");
        assert!(what.contains("TEMPS_ADMIN_EMAIL") && why.contains("no e-mail address"), "{why}");
        assert!(next.contains("unset"), "{next}");
        let (what, (why, _)) = refused("a@b", "hunter2");
        assert!(what.contains("TEMPS_ADMIN_PASSWORD") && why.contains("8 characters"), "{why}");
        assert!(!format!("{what}{why}").contains("hunter2"));
    }

    #[test]
    fn one_port_cannot_be_used_twice() {
        let twice = |line: &[&str]| matches!(read(line), Err(ConfigError::PortTwice { .. }));
        assert!(twice(&["--http", "0.0.0.0:3000"]));
        assert!(twice(&["--http", "127.0.0.1:3000"]));
        assert!(twice(&["--peer", "127.0.0.1:443"]));
        assert!(twice(&["--https", "[::]:80"]));
        assert!(twice(&["--dns", "127.0.0.1:3000"]));
        assert!(!twice(&["--http", "127.0.0.2:3000"]));
        assert!(!twice(&["--http", "127.0.0.1:0", "--https", "127.0.0.1:0"]));
    }
}
