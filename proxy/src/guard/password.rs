//! Environments with a password: the page that asks for it, and the check.

use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::PasswordVerifier;
use argon2::{Argon2, PasswordHash};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::page::{Template, escaped, nonce};
use crate::error_page::{Fault, Page};

/// Where passwords are sent, beside the page that asks: whatever paths a domain leads elsewhere, the same checks hold there.
pub(crate) const DOOR: &str = "?_temps=password";
/// How many passwords a node checks at once: each takes some 46 MiB for the while.
const CHECKS_AT_ONCE: usize = 1;
/// How long a check waits for its turn.
const TURN_WAIT_MAX: Duration = Duration::from_secs(5);
/// The longest password, in octets.
const PASSWORD_BYTES_MAX: usize = 256;

static PAGE: Template = Template(include_str!("password.html"));

/// Checks passwords, off the threads that serve requests.
pub(crate) struct Passwords {
    turns: Arc<Semaphore>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self { turns: Arc::new(Semaphore::new(CHECKS_AT_ONCE)) }
    }
}

impl Passwords {
    /// Whether `password` is the one that `hash` was made from; nothing where the node has too many to check.
    pub(crate) async fn check(&self, password: String, hash: Arc<str>) -> Option<bool> {
        if password.len() > PASSWORD_BYTES_MAX {
            return Some(false);
        }
        let turn = timeout(TURN_WAIT_MAX, self.turns.clone().acquire_owned()).await.ok()?.ok()?;
        // The turn moves along: a client that goes away must not end it early.
        let check = tokio::task::spawn_blocking(move || {
            let is_right = is_of(&password, &hash);
            drop(turn);
            is_right
        });
        check.await.ok()
    }
}

fn is_of(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash)
        .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

/// The page that asks for the password, and says why it does so again; `next` is what is shown afterwards.
pub(crate) fn page(fault: &Fault, next: &str, request_id: &str) -> Page {
    let nonce = nonce();
    let alert = match fault {
        Fault::PasswordRequired => "",
        Fault::TooManyPasswords(_) => {
            "<p role=\"alert\">There were too many tries. Wait a minute, then try again.</p>\n"
        }
        _ => "<p role=\"alert\">That is not the password.</p>\n",
    };
    let status = fault.status().to_string();
    let body = PAGE.fill(&[
        ("nonce", &nonce),
        ("alert", alert),
        ("path", DOOR),
        ("next", &escaped(local(next))),
        ("status", &status),
        ("request", request_id),
    ]);
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; form-action 'self'; \
         frame-ancestors 'none'"
    );
    Page::special(fault, body, policy)
}

/// A path on the same host; the root where it is none.
pub(crate) fn local(target: &str) -> &str {
    let is_local = target.starts_with('/')
        && !target.starts_with("//")
        && target.bytes().all(|octet| octet.is_ascii_graphic() && octet != b'\\');
    if is_local { target } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_sent_elsewhere() {
        for (target, to) in [
            ("/a?b=c", "/a?b=c"),
            ("/", "/"),
            ("", "/"),
            ("//evil.example/", "/"),
            ("/\\evil.example/", "/"),
            ("https://evil.example/", "/"),
            ("/a\r\nSet-Cookie: b=c", "/"),
            ("/a b", "/"),
            ("*", "/"),
        ] {
            assert_eq!(local(target), to, "{target:?}");
        }
    }

    #[test]
    fn the_page_says_what_was_wrong_and_escapes_what_it_repeats() {
        let said = |fault, next| page(&fault, next, "01H").body;
        let first = said(Fault::PasswordRequired, "/a?b=\"><script>");
        assert!(!first.contains("<script") && !first.contains("alert\">"), "{first}");
        assert!(first.contains("value=\"/a?b=&quot;&gt;&lt;script&gt;\""), "{first}");
        assert!(said(Fault::WrongPassword, "/").contains("not the password"));
        assert!(said(Fault::TooManyPasswords(6), "/").contains("too many tries"));
    }

    #[tokio::test]
    async fn only_the_password_passes() {
        use argon2::password_hash::PasswordHasher;
        let hash: PasswordHash = Argon2::default().hash_password(b"correct horse").unwrap();
        let hash: Arc<str> = hash.to_string().into();
        let passwords = Passwords::default();
        let check = |password: &str| passwords.check(password.to_owned(), hash.clone());
        assert_eq!(check("correct horse").await, Some(true));
        assert_eq!(check("wrong horse").await, Some(false));
        assert_eq!(check(&"x".repeat(257)).await, Some(false));
        assert_eq!(passwords.check("x".into(), "no hash".into()).await, Some(false));
    }
}
