//! What single flags say: each is read, and refused with why and what would do.

use std::net::SocketAddr;
use std::path::PathBuf;

use temps_api::{ApiError, check_admin};
use temps_dns::DNS_PORT;

use super::{Admin, ConfigError};

pub(super) fn default_data_dir(root: bool, home: Option<PathBuf>) -> Option<PathBuf> {
    match root {
        true => Some("/var/lib/temps".into()),
        false => home.map(|home| home.join(".local/share/temps")),
    }
}

pub(super) fn address(
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
pub(super) fn dns(text: &str) -> Result<Option<SocketAddr>, ConfigError> {
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
pub(super) fn folder(path: PathBuf) -> Result<PathBuf, ConfigError> {
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
pub(super) fn admin(admin: Admin) -> Result<Admin, ConfigError> {
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
pub(super) fn program(path: Option<PathBuf>) -> Result<Option<PathBuf>, ConfigError> {
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
pub(super) fn countries(path: Option<PathBuf>) -> Result<Option<PathBuf>, ConfigError> {
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
pub(super) fn advertised(text: Option<&str>) -> Result<Option<SocketAddr>, ConfigError> {
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

pub(super) fn word<T: std::str::FromStr<Err = &'static str>>(
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
pub(super) fn socket(text: &str) -> Result<String, ConfigError> {
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

pub(super) fn node_name(name: String) -> Result<String, ConfigError> {
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
