//! What the builder accepts as a Git URL, and how it is shown without its credentials.

use crate::BuildError;

/// The longest Git URL.
const URL_BYTES_MAX: usize = 2_048;
/// The protocols git may speak. `ext::` and its like would run commands.
const SCHEMES: [&str; 5] = ["https", "http", "ssh", "git", "file"];

/// A Git URL that may be given to git.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct GitUrl {
    text: String,
    scheme: &'static str,
}

impl GitUrl {
    /// Reads a URL, or the short form `user@host:path` of ssh.
    pub(crate) fn read(text: &str) -> Result<Self, BuildError> {
        let refuse = |why| BuildError::UrlRefused { url: redacted(text), why };
        if text.len() > URL_BYTES_MAX {
            return Err(refuse("it is too long"));
        }
        if text.is_empty() || text.starts_with('-') || text.chars().any(|c| c.is_ascii_control()) {
            return Err(refuse("it is empty, or has characters that no URL has"));
        }
        let scheme = match text.split_once("://") {
            Some((scheme, _)) => SCHEMES
                .into_iter()
                .find(|known| scheme.eq_ignore_ascii_case(known))
                .ok_or_else(|| refuse("its protocol is not https, http, ssh, git or file"))?,
            None if text.starts_with('/') => "file",
            None if is_short_ssh(text) => "ssh",
            None => return Err(refuse("it is neither a URL nor `user@host:path`")),
        };
        Ok(Self { text: text.into(), scheme })
    }

    /// For git's eyes only: it may hold credentials.
    pub(crate) fn with_credentials(&self) -> &str {
        &self.text
    }

    /// For people.
    pub(crate) fn shown(&self) -> String {
        redacted(&self.text)
    }

    /// The password or token in it, when there is one.
    pub(crate) fn password(&self) -> Option<&str> {
        let user = user_info(&self.text)?;
        let password = match user.split_once(':') {
            Some((_, password)) => password,
            // For ssh it is a name; elsewhere it may be a token.
            None if self.scheme == "ssh" => "",
            None => user,
        };
        Some(password).filter(|password| !password.is_empty())
    }

    /// The protocols its submodules may use: those of the network, and files only for a file.
    pub(crate) fn submodule_protocols(&self) -> &'static str {
        if self.scheme == "file" { "https:http:ssh:git:file" } else { "https:http:ssh:git" }
    }
}

/// `user@host:path`: no `::` (git's syntax for helpers), a user or host of plain characters.
fn is_short_ssh(text: &str) -> bool {
    let Some((host, path)) = text.split_once(':') else { return false };
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-_@".contains(c);
    !path.is_empty() && !path.starts_with(':') && host.contains('@') && host.chars().all(plain)
}

/// What stands between `://` and `@` of a URL.
fn user_info(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    authority.rsplit_once('@').map(|(user, _)| user)
}

fn redacted(url: &str) -> String {
    let short: String = url.chars().take(200).filter(|c| !c.is_control()).collect();
    match user_info(url) {
        Some(user) if !url.starts_with("ssh://") || user.contains(':') => {
            short.replacen(&format!("{user}@"), "", 1)
        }
        _ => short,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_protocols_of_the_network_and_files_pass() {
        for good in [
            "https://host/a.git",
            "http://user:pw@host/a",
            "ssh://git@host:22/a.git",
            "git@host:team/a.git",
            "git://host/a",
            "file:///srv/a.git",
            "/srv/a.git",
        ] {
            assert!(GitUrl::read(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "-u/x",
            "--upload-pack=touch /tmp/x",
            "ext::sh -c id",
            "fd::3",
            "foo::bar@host:x",
            "ftp://host/a",
            "a b",
            "host:path",
            "git@host:a\n",
            "a;b@host:x",
        ] {
            assert!(GitUrl::read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn credentials_are_not_shown() {
        let shown = |text| GitUrl::read(text).unwrap().shown();
        assert_eq!(shown("https://me:tok3n@host/a.git"), "https://host/a.git");
        assert_eq!(shown("https://tok3n@host/a@b.git"), "https://host/a@b.git");
        assert_eq!(shown("ssh://git@host/a.git"), "ssh://git@host/a.git");
        assert_eq!(shown("git@host:a.git"), "git@host:a.git");
        let password = |text| GitUrl::read(text).unwrap().password().map(String::from);
        assert_eq!(password("https://me:tok3n@host/a"), Some("tok3n".into()));
        assert_eq!(password("https://tok3n@host/a"), Some("tok3n".into()));
        assert_eq!(password("https://host/a@b"), None);
        assert_eq!(password("ssh://git@host/a"), None);
        let refused = GitUrl::read("ftp://me:tok3n@host/a").err().unwrap();
        assert!(!refused.to_string().contains("tok3n"));
    }
}
