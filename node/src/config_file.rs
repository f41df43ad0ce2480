//! Which nodes this user is logged in to: `~/.config/temps/config.json`, readable by nobody else.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::addresses::Addresses;
use crate::error::CliError;

/// Everything that `temps login` remembers.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConfigFile {
    /// The address that verbs use when none is named: the last login's.
    pub current: Option<String>,
    /// What is known of each address.
    pub contexts: BTreeMap<String, Login>,
}

/// One login.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// Whose key it is.
    pub email: String,
    /// The API key.
    pub key: String,
    /// The key's id, to delete it with.
    pub key_id: String,
    /// Where other nodes of the cluster answer, for when the one that the login is known by does not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<String>,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Login {{ {}, {} }}", self.email, self.key_id)
    }
}

impl ConfigFile {
    /// Where the file is: under `XDG_CONFIG_HOME`, or `~/.config`.
    pub fn path() -> Result<PathBuf, CliError> {
        let base = match (std::env::var_os("XDG_CONFIG_HOME"), std::env::home_dir()) {
            (Some(base), _) if !base.is_empty() => PathBuf::from(base),
            (_, Some(home)) => home.join(".config"),
            _ => {
                return Err(CliError::blocked(
                    "there is no place for logins",
                    "neither XDG_CONFIG_HOME nor HOME is set",
                    "set TEMPS_API_URL and TEMPS_API_TOKEN instead of logging in",
                ));
            }
        };
        Ok(base.join("temps").join("config.json"))
    }

    /// Reads the file; one that is not there is empty.
    pub fn load(path: &Path) -> Result<Self, CliError> {
        match fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                CliError::blocked(
                    format!("cannot read {}", path.display()),
                    error.to_string(),
                    format!("rm {}, then temps login <url>", path.display()),
                )
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(CliError::file("read", path)(error)),
        }
    }

    /// The address that the login of any of these addresses is known by, and the login.
    pub fn login(&self, addresses: &Addresses) -> Option<(&String, &Login)> {
        let of = |url: &String| {
            self.contexts
                .get_key_value(url)
                .or_else(|| self.contexts.iter().find(|(_, login)| login.others.contains(url)))
        };
        addresses.all().iter().find_map(of)
    }

    /// The addresses of the last login, if there is one.
    pub fn addresses(&self) -> Result<Option<Addresses>, CliError> {
        let Some(current) = &self.current else { return Ok(None) };
        let others = self.contexts.get(current).map(|login| login.others.as_slice());
        let all = std::slice::from_ref(current).iter().chain(others.unwrap_or_default());
        Addresses::read(&all.map(String::as_str).collect::<Vec<_>>().join(",")).map(Some)
    }

    /// Writes the file at once or not at all, for this user's eyes only.
    pub fn save(&self, path: &Path) -> Result<(), CliError> {
        self.write(path).map_err(CliError::file("write", path))
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.as_file().set_permissions(Permissions::from_mode(0o600))?;
        serde_json::to_writer_pretty(&mut file, self)?;
        file.write_all(b"\n")?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    }
}

/// An address as contexts know it: with a scheme, without a slash at its end.
pub fn normal_url(text: &str) -> Result<String, CliError> {
    let bad = |why: String| {
        CliError::usage(
            format!("`{text}` is not the address of an API"),
            why,
            "temps login http://127.0.0.1:3000",
        )
    };
    let text = text.trim();
    let whole = if text.contains("://") { text.into() } else { format!("http://{text}") };
    let url = reqwest::Url::parse(&whole).map_err(|error| bad(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(bad(format!("it begins with {}://, not http:// or https://", url.scheme())));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(bad("it contains a user or password; `temps login` asks for them".into()));
    }
    let path = url.path().trim_end_matches('/').trim_end_matches("/api");
    Ok(format!("{}{path}", url.origin().ascii_serialization()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_are_kept_for_this_user_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("temps").join("config.json");
        assert_eq!(ConfigFile::load(&path).unwrap(), ConfigFile::default());
        let mut config = ConfigFile { current: Some("http://a".into()), ..Default::default() };
        let login = Login {
            email: "a@b".into(),
            key: "tk_1".into(),
            key_id: "key_1".into(),
            others: vec![],
        };
        config.contexts.insert("http://a".into(), login);
        config.save(&path).unwrap();
        assert_eq!(ConfigFile::load(&path).unwrap(), config);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!format!("{config:?}").contains("tk_1"));
    }

    #[test]
    fn a_login_is_good_at_every_address_of_its_cluster() {
        let login = |key_id: &str, others: &[&str]| Login {
            email: "a@b".into(),
            key: "tk_1".into(),
            key_id: key_id.into(),
            others: others.iter().map(ToString::to_string).collect(),
        };
        let contexts = [
            ("http://a".to_string(), login("1", &["http://b", "http://c"])),
            ("http://b".to_string(), login("2", &[])),
        ];
        let config = ConfigFile { current: Some("http://a".into()), contexts: contexts.into() };
        let key_of = |text: &str| {
            let addresses = Addresses::read(text).unwrap();
            config.login(&addresses).map(|(_, login)| login.key_id.as_str())
        };
        assert_eq!(key_of("http://c"), Some("1"));
        assert_eq!(key_of("http://b"), Some("2"), "its own login comes first");
        assert_eq!(key_of("http://x,http://c"), Some("1"));
        assert_eq!(key_of("http://x"), None);
        let all = config.addresses().unwrap().unwrap();
        assert_eq!(all.all(), ["http://a", "http://b", "http://c"]);
    }

    #[test]
    fn a_file_that_makes_no_sense_is_an_error_with_a_way_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        fs::write(&path, "{").unwrap();
        assert!(ConfigFile::load(&path).unwrap_err().advice().next.contains("temps login"));
    }

    #[test]
    fn addresses_are_normal() {
        let table = [
            ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
            ("127.0.0.1:3000", "http://127.0.0.1:3000"),
            ("https://temps.example.com/", "https://temps.example.com"),
            ("https://temps.example.com:443/api/", "https://temps.example.com"),
            ("localhost:3000", "http://localhost:3000"),
            ("[::1]:3000", "http://[::1]:3000"),
        ];
        for (text, url) in table {
            assert_eq!(normal_url(text).unwrap(), url);
        }
        for bad in ["", "ftp://x", "http://", "http://a:b@c", "http://a b"] {
            assert!(normal_url(bad).is_err(), "{bad}");
        }
    }
}
