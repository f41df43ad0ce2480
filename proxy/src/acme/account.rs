//! The cluster's account with an authority.

use instant_acme::{Account, AccountBuilder};
use temps_raft::Cluster;
use temps_state::{AcmeAccount, AcmeSettings};

use super::authority::Authority;
use super::error::{AcmeError, of_authority};

/// The account that is kept; none where none was opened yet.
pub(super) async fn kept(
    cluster: &Cluster,
    settings: &AcmeSettings,
    authority: &Authority,
) -> Result<Option<Account>, AcmeError> {
    let directory = &settings.directory;
    let state = cluster.state();
    let Some(kept) = state.acme_accounts.get(directory) else { return Ok(None) };
    let text = cluster.open(&AcmeAccount::place(directory), &kept.credentials)?;
    let credentials = serde_json::from_str(&text);
    let credentials = credentials.map_err(|error| AcmeError::Kept(error.to_string()))?;
    let account = accounts(authority).from_credentials(credentials).await;
    account.map(Some).map_err(|error| of_authority(error, directory, authority.take_wait()))
}

/// What accounts are opened with.
pub(super) fn accounts(authority: &Authority) -> AccountBuilder {
    Account::builder_with_http(Box::new(authority.clone()))
}
