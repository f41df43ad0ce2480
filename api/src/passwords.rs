//! Passwords: argon2id, off the async threads, and one at a time, since each takes much memory.

use std::sync::{Arc, LazyLock};

use argon2::password_hash::{Error, PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, PasswordHash, Version};
use tokio::sync::Semaphore;

use crate::ApiError;

/// How many passwords a node hashes at once.
pub const HASHES_AT_ONCE: usize = 1;
/// The memory of a hash, in KiB, with one pass over it: OWASP's first recommendation for argon2id. It is above what the
/// allocator ever keeps for itself (32 MiB), so that a node has it back after every login.
const HASH_KIB: u32 = 46 << 10;
/// The longest password, in octets.
pub const PASSWORD_BYTES_MAX: usize = 256;
/// The shortest password, in characters.
pub const PASSWORD_CHARS_MIN: usize = 8;

/// What a login without an account is checked against, so that it takes as long as any other.
static DECOY: LazyLock<Option<String>> = LazyLock::new(|| phc("decoy").ok());

/// Hashes and checks passwords.
#[derive(Debug)]
pub(crate) struct Passwords {
    slots: Arc<Semaphore>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self { slots: Arc::new(Semaphore::new(HASHES_AT_ONCE)) }
    }
}

impl Passwords {
    /// The PHC string of a password.
    pub async fn hash(&self, password: String) -> Result<String, ApiError> {
        self.run(move || phc(&password)).await?.map_err(ApiError::Password)
    }

    /// Whether `password` is the one that `hash` was made from. Takes as long without a hash as with one.
    pub async fn verify(&self, password: String, hash: Option<String>) -> Result<bool, ApiError> {
        self.run(move || {
            let known = hash.is_some();
            let hash = hash.or_else(|| DECOY.clone()).unwrap_or_default();
            matches(&password, &hash) && known
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        // The slot moves into the task: a client that goes away must not free it early.
        let slot = Arc::clone(&self.slots).acquire_owned().await;
        let task = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(slot);
            done
        });
        Ok(task.await?)
    }
}

/// Refuses passwords that are too short or too long.
pub(crate) fn check(password: &str) -> Result<(), ApiError> {
    if password.len() > PASSWORD_BYTES_MAX {
        let why = format!("a password has {PASSWORD_BYTES_MAX} bytes at most");
        return Err(ApiError::invalid("password", why));
    }
    if password.chars().count() < PASSWORD_CHARS_MIN {
        let why = format!("a password has {PASSWORD_CHARS_MIN} characters at least");
        return Err(ApiError::invalid("password", why));
    }
    Ok(())
}

fn phc(password: &str) -> Result<String, Error> {
    let params = Params::new(HASH_KIB, 1, 1, None)?;
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hash: PasswordHash = argon.hash_password(password.as_bytes())?;
    Ok(hash.to_string())
}

fn matches(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash)
        .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_of_a_known_account_passes() {
        let passwords = Passwords::default();
        let hash = passwords.hash("correct horse".into()).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=47104,t=1,p=1$"), "{hash}");
        assert!(passwords.verify("correct horse".into(), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify("wrong horse".into(), Some(hash)).await.unwrap());
        assert!(!passwords.verify("decoy".into(), None).await.unwrap());
    }
}
