//! The cluster's account with an authority. Its key is in the state before the authority hears of it, so that whoever goes on
//! after a death in between gets the same account (RFC 8555 §7.3) and not another.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use instant_acme::{Account, AccountBuilder, AccountCredentials, Key};
use jiff::Timestamp;
use rustls::pki_types::PrivateKeyDer;
use serde::{Deserialize, Serialize};
use temps_raft::Cluster;
use temps_state::{AcmeAccount, AcmeSettings, eab_key_octets};
use tracing::warn;

use super::authority::Authority;
use super::binding::Binding;
use super::error::{AcmeError, of_authority};

/// The accounts of a cluster with the authority of its settings.
pub(super) struct Accounts<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) settings: &'a AcmeSettings,
    pub(super) authority: &'a Authority,
}

/// What is kept of an account, as the library writes it, too.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// The account at the authority; empty until that has told it.
    id: String,
    /// The key in Base64.
    key_pkcs8: String,
    directory: String,
    /// The e-mail address that the authority was told last; none in what earlier versions kept.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    email: String,
}

impl Accounts<'_> {
    /// The account that was opened, if one was.
    pub(super) async fn opened(&self) -> Result<Option<Account>, AcmeError> {
        match self.kept()?.filter(|kept| !kept.id.is_empty()) {
            Some(kept) => self.restore(&kept).await.map(Some),
            None => Ok(None),
        }
    }

    /// What the authority calls the account that was opened, if one was.
    pub(super) fn id(&self) -> Result<Option<String>, AcmeError> {
        Ok(self.kept()?.map(|kept| kept.id).filter(|id| !id.is_empty()))
    }

    /// The account, opened if none was yet. The authority knows the settings' e-mail address then.
    pub(super) async fn get(&self) -> Result<Account, AcmeError> {
        match self.kept()? {
            Some(kept) if kept.id.is_empty() => self.open(kept).await,
            Some(kept) => {
                let account = self.restore(&kept).await?;
                self.tell_email(&account, kept).await?;
                Ok(account)
            }
            None => self.replace().await,
        }
    }

    /// Opens an account with a key of its own, in the place of any before.
    pub(super) async fn replace(&self) -> Result<Account, AcmeError> {
        let (_, key) = self.asked(Key::generate_pkcs8())?;
        let kept = Kept {
            id: String::new(),
            key_pkcs8: URL_SAFE_NO_PAD.encode(key.secret_pkcs8_der()),
            directory: self.settings.directory.clone(),
            email: String::new(),
        };
        self.keep(&kept).await?;
        self.open(kept).await
    }

    /// Opens the account of a key, or finds the one that was opened for it.
    async fn open(&self, kept: Kept) -> Result<Account, AcmeError> {
        let der = kept.credentials()?.private_key().clone_key();
        if let Some(binding) = self.binding()? {
            let directory = &self.settings.directory;
            let opened = binding.open(self.authority, directory, der.secret_pkcs8_der()).await;
            let kept = Kept { id: self.asked(opened)?, ..kept };
            return self.begin(self.restore(&kept).await?, kept).await;
        }
        let key = self.asked(Key::from_pkcs8_der(der.clone_key()))?;
        let key = (key, PrivateKeyDer::Pkcs8(der));
        let opened = self.builder().create_from_key(key, kept.directory.clone()).await;
        let (account, credentials) = self.asked(opened)?;
        let opened = serde_json::to_value(credentials).and_then(serde_json::from_value);
        self.begin(account, opened.map_err(unreadable)?).await
    }

    /// What binds an account to one that somebody has with the authority, where the settings have that.
    fn binding(&self) -> Result<Option<Binding>, AcmeError> {
        let AcmeSettings { eab_key_id: id, eab_key: Some(key), .. } = self.settings else {
            return Ok(None);
        };
        let text = self.cluster.open(AcmeSettings::EAB_KEY_PLACE, key)?;
        let key = eab_key_octets(&text);
        let key = key.ok_or_else(|| AcmeError::Kept("acme.eab_key is no Base64".into()))?;
        Ok(Some(Binding { id: id.clone(), key }))
    }

    /// Keeps an account that was opened.
    async fn begin(&self, account: Account, kept: Kept) -> Result<Account, AcmeError> {
        self.keep(&kept).await?;
        self.tell_email(&account, kept).await?;
        Ok(account)
    }

    /// Tells the authority the settings' e-mail address, where it knows another. What it refuses keeps no certificate back.
    async fn tell_email(&self, account: &Account, kept: Kept) -> Result<(), AcmeError> {
        let email = &self.settings.email;
        if kept.email == *email {
            return Ok(());
        }
        let contact = format!("mailto:{email}");
        let contacts = if email.is_empty() { &[][..] } else { &[contact.as_str()] };
        match self.asked(account.update_contacts(contacts).await) {
            Err(AcmeError::Refused(problem)) => {
                warn!(%problem, "the certificate authority does not take acme.email");
                Ok(())
            }
            told => {
                told?;
                self.keep(&Kept { email: email.clone(), ..kept }).await
            }
        }
    }

    async fn restore(&self, kept: &Kept) -> Result<Account, AcmeError> {
        self.asked(self.builder().from_credentials(kept.credentials()?).await)
    }

    fn kept(&self) -> Result<Option<Kept>, AcmeError> {
        let directory = &self.settings.directory;
        let state = self.cluster.state();
        let Some(kept) = state.acme_accounts.get(directory) else { return Ok(None) };
        let text = self.cluster.open(&AcmeAccount::place(directory), &kept.credentials)?;
        serde_json::from_str(&text).map(Some).map_err(unreadable)
    }

    async fn keep(&self, credentials: &Kept) -> Result<(), AcmeError> {
        let directory = self.settings.directory.clone();
        let text = serde_json::to_string(credentials).map_err(unreadable)?;
        let credentials = self.cluster.seal(&AcmeAccount::place(&directory), &text)?;
        let account = AcmeAccount { directory, credentials, created_at: Timestamp::now() };
        self.cluster.propose_own(temps_state::Command::KeepAccount { account }).await?;
        Ok(())
    }

    fn builder(&self) -> AccountBuilder {
        Account::builder_with_http(Box::new(self.authority.clone()))
    }

    fn asked<T>(&self, answer: Result<T, instant_acme::Error>) -> Result<T, AcmeError> {
        let of = |error| of_authority(error, &self.settings.directory, self.authority.take_wait());
        answer.map_err(of)
    }
}

impl Kept {
    fn credentials(&self) -> Result<AccountCredentials, AcmeError> {
        let same = serde_json::to_value(self).and_then(serde_json::from_value);
        same.map_err(unreadable)
    }
}

fn unreadable(error: serde_json::Error) -> AcmeError {
    AcmeError::Kept(error.to_string())
}
