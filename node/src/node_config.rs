//! What a node is told when it starts: flags and environment, read and checked before anything is opened. Pure.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use temps_api::{ApiError, check_admin};
use temps_dns::DNS_PORT;

use crate::logging::{LogFormat, LogLevel};

/// Who may log in first when nobody says.
pub const ADMIN_EMAIL_DEFAULT: &str = "admin@localhost";

/// The flags as they were given; each has a twin in the environment.
#[derive(clap::Args, Debug)]
pub struct ServeArgs {
    /// Where the node keeps its data. [default: /var/lib/temps for root, ~/.local/share/temps otherwise]
    #[arg(long, env = "TEMPS_DATA_DIR", value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
    /// Where apps are served over HTTP.
    #[arg(long, env = "TEMPS_HTTP", default_value = "0.0.0.0:80", value_name = "ADDRESS")]
    http: String,
    /// Where apps are served over HTTPS; `off` for nowhere.
    #[arg(long, env = "TEMPS_HTTPS", default_value = "0.0.0.0:443", value_name = "ADDRESS")]
    https: String,
    /// Where the API is served.
    #[arg(long, env = "TEMPS_API", default_value = "127.0.0.1:3000", value_name = "ADDRESS")]
    api: String,
    /// Where other nodes are listened to, over TCP and UDP; strangers get nothing there.
    #[arg(long, env = "TEMPS_PEER", default_value = "0.0.0.0:3001", value_name = "ADDRESS")]
    peer: String,
    /// Where the node answers for the zones of dns.zones in the settings; `off` for nowhere.
    #[arg(long, env = "TEMPS_DNS", default_value = "off", value_name = "ADDRESS")]
    dns: String,
    /// Where other nodes reach this one, when that is not where it listens: behind a NAT, say.
    #[arg(long, env = "TEMPS_ADVERTISE", value_name = "ADDRESS")]
    advertise: Option<String>,
    /// How log lines look: text or json.
    #[arg(long, env = "TEMPS_LOG_FORMAT", default_value = "text", value_name = "FORMAT")]
    log_format: String,
    /// What is logged: error, warn, info, debug, trace, or directives such as info,temps_proxy=debug.
    #[arg(long, env = "TEMPS_LOG_LEVEL", default_value = "info", value_name = "LEVEL")]
    log_level: String,
    /// The container engine's socket.
    #[arg(long, env = "TEMPS_DOCKER_SOCKET", value_name = "SOCKET")]
    #[arg(default_value = "/var/run/docker.sock")]
    docker_socket: String,
    /// A program that makes a base image that cannot be pulled; it is given the image's name.
    #[arg(long, env = "TEMPS_BASE_IMAGES", value_name = "PROGRAM")]
    base_images: Option<PathBuf>,
    /// A file that says in which country an address is, in MaxMind's format; rules about countries need it.
    #[arg(long, env = "TEMPS_GEOIP", value_name = "FILE")]
    geoip: Option<PathBuf>,
    /// What people call the node. [default: its host name]
    #[arg(long, env = "TEMPS_NAME", value_name = "NAME")]
    name: Option<String>,
    /// Do not build images on this node.
    #[arg(long, env = "TEMPS_NO_BUILD")]
    no_build: bool,
}

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

/// A flag that cannot be followed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A value that makes no sense.
    #[error("--{flag} {value} is no {kind}")]
    Value {
        /// The flag.
        flag: &'static str,
        /// What it was given.
        value: String,
        /// What it takes.
        kind: &'static str,
        /// What is wrong with the value.
        why: String,
        /// A value that would do.
        example: &'static str,
    },
    /// Two listeners on one port.
    #[error("--{first} and --{second} cannot both listen on port {port}")]
    PortTwice {
        /// One flag.
        first: &'static str,
        /// The other flag.
        second: &'static str,
        /// The port.
        port: u16,
    },
    /// The first admin cannot be made of what the environment says.
    #[error("{variable} cannot be used for the first admin")]
    Admin {
        /// The variable.
        variable: &'static str,
        /// What is wrong with it. Passwords are not repeated.
        why: String,
    },
    /// Nobody knows where the data shall be.
    #[error("there is no place for the node's data")]
    NoDataDir,
}

impl ConfigError {
    /// Why, and what to do next.
    pub fn advice(&self) -> (String, String) {
        match self {
            Self::Value { flag, why, example, .. } => {
                let env = flag.replace('-', "_").to_uppercase();
                (why.clone(), format!("temps serve --{flag} {example} (or TEMPS_{env}={example})"))
            }
            Self::PortTwice { second, port, .. } => (
                "their addresses overlap".into(),
                format!("give --{second} another port than {port}"),
            ),
            Self::Admin { variable, why } => {
                (why.clone(), format!("set {variable} to another value, or unset it"))
            }
            Self::NoDataDir => ("HOME is not set".into(), "temps serve --data-dir FOLDER".into()),
        }
    }
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

fn default_data_dir(root: bool, home: Option<PathBuf>) -> Option<PathBuf> {
    match root {
        true => Some("/var/lib/temps".into()),
        false => home.map(|home| home.join(".local/share/temps")),
    }
}

fn address(
    flag: &'static str,
    text: &str,
    example: &'static str,
) -> Result<SocketAddr, ConfigError> {
    text.parse().map_err(|_| {
        let why = match text.rsplit_once(':') {
            None => "it has no port: an address is IP:PORT",
            Some((_, port)) if port.parse::<u16>().is_err() => "its port is no number up to 65535",
            Some(_) => "what is before the port is no IP address; names are not looked up",
        };
        ConfigError::Value { flag, value: text.into(), kind: "address", why: why.into(), example }
    })
}

/// An address that is not every address: at the port of resolvers the node answers its containers, too, at theirs.
fn dns(text: &str) -> Result<Option<SocketAddr>, ConfigError> {
    const EXAMPLE: &str = "203.0.113.7:53";
    if text == "off" {
        return Ok(None);
    }
    let at = address("dns", text, EXAMPLE)?;
    match at.ip().is_unspecified() && at.port() == DNS_PORT {
        false => Ok(Some(at)),
        true => Err(ConfigError::Value {
            flag: "dns",
            value: text.into(),
            kind: "address of one network",
            why: "the node's containers ask for names at port 53 of their own network".into(),
            example: EXAMPLE,
        }),
    }
}

/// A folder, or nothing yet.
fn folder(path: PathBuf) -> Result<PathBuf, ConfigError> {
    match path.exists() && !path.is_dir() {
        false => Ok(path),
        true => Err(ConfigError::Value {
            flag: "data-dir",
            value: path.display().to_string(),
            kind: "folder",
            why: "it is a file, and the node keeps its data in a folder".into(),
            example: "/var/lib/temps",
        }),
    }
}

/// Somebody who could be made the first admin, whether or not there is one already.
fn admin(admin: Admin) -> Result<Admin, ConfigError> {
    let refused = |variable| {
        move |error: ApiError| {
            let why = match error {
                ApiError::Invalid { why, .. } => why,
                error => error.to_string(),
            };
            ConfigError::Admin { variable, why }
        }
    };
    check_admin(&admin.email, None).map_err(refused("TEMPS_ADMIN_EMAIL"))?;
    check_admin(&admin.email, admin.password.as_deref())
        .map_err(refused("TEMPS_ADMIN_PASSWORD"))?;
    Ok(admin)
}

/// A program that is there and may be run.
fn program(path: Option<PathBuf>) -> Result<Option<PathBuf>, ConfigError> {
    let Some(path) = path else { return Ok(None) };
    match rustix::fs::access(&path, rustix::fs::Access::EXEC_OK) {
        Ok(()) if path.is_file() => Ok(Some(path)),
        found => Err(ConfigError::Value {
            flag: "base-images",
            value: path.display().to_string(),
            kind: "program",
            why: found.map_or_else(|error| error.to_string(), |()| "it is no file".into()),
            example: "deploy/base-images.sh",
        }),
    }
}

/// A file that is there; what is in it is seen when it is read.
fn countries(path: Option<PathBuf>) -> Result<Option<PathBuf>, ConfigError> {
    match path.filter(|path| !path.as_os_str().is_empty()) {
        Some(path) if !path.is_file() => Err(ConfigError::Value {
            flag: "geoip",
            value: path.display().to_string(),
            kind: "file",
            why: "there is no such file".into(),
            example: "/var/lib/GeoIP/GeoLite2-Country.mmdb",
        }),
        path => Ok(path),
    }
}

/// An address that other nodes can use: not every address, not any port.
fn advertised(text: Option<&str>) -> Result<Option<SocketAddr>, ConfigError> {
    const EXAMPLE: &str = "203.0.113.7:3001";
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let at = address("advertise", text, EXAMPLE)?;
    match at.ip().is_unspecified() || at.port() == 0 {
        false => Ok(Some(at)),
        true => Err(ConfigError::Value {
            flag: "advertise",
            value: text.into(),
            kind: "address of one node",
            why: "others cannot connect to it".into(),
            example: EXAMPLE,
        }),
    }
}

fn word<T: std::str::FromStr<Err = &'static str>>(
    flag: &'static str,
    text: &str,
    kind: &'static str,
    example: &'static str,
) -> Result<T, ConfigError> {
    text.parse().map_err(|why: &str| ConfigError::Value {
        flag,
        value: text.into(),
        kind,
        why: why.into(),
        example,
    })
}

/// The path of a socket, also when it is written as a URL.
fn socket(text: &str) -> Result<String, ConfigError> {
    let path = text.strip_prefix("unix://").unwrap_or(text);
    if path.starts_with('/') {
        return Ok(path.into());
    }
    Err(ConfigError::Value {
        flag: "docker-socket",
        value: text.into(),
        kind: "socket",
        why: "it is no absolute path".into(),
        example: "/var/run/docker.sock",
    })
}

fn node_name(name: String) -> Result<String, ConfigError> {
    let good = (1..=64).contains(&name.len())
        && !name.contains(|c: char| c.is_control() || c.is_whitespace());
    if good {
        return Ok(name);
    }
    Err(ConfigError::Value {
        flag: "name",
        value: name,
        kind: "name for a node",
        why: "it has 1 to 64 octets without blanks".into(),
        example: "node-1",
    })
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
