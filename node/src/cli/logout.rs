//! `temps logout`: deletes the API key of a login, there and here.

use serde_json::json;

use super::context::{Context, logins};
use crate::client::{Client, path};
use crate::error::CliError;

pub async fn run(context: &Context) -> Result<(), CliError> {
    let (file, mut config) = logins()?;
    let addresses = context.addresses(&config)?;
    let Some((url, login)) = config.login(&addresses).map(|(url, l)| (url.clone(), l.clone()))
    else {
        return Err(CliError::blocked(
            format!("you are not logged in to {}", addresses.all().join(", ")),
            "there is no API key to delete",
            format!("temps login {}", addresses.all().join(" ")),
        ));
    };
    config.contexts.remove(&url);
    let client = Client::with_key(addresses, login.key).telling(context.output);
    let deleted = client.delete(&path(&["api-keys", &login.key_id])).await;
    if config.current.as_ref() == Some(&url) {
        config.current = config.contexts.keys().next().cloned();
    }
    config.save(&file)?;
    if let Err(error) = &deleted {
        let why = error.advice().why;
        context.output.warn(&format!("the key is forgotten here but not deleted there: {why}"));
    }
    context.output.note(&format!("Logged out of {url}."));
    if context.output.json {
        let value = json!({"url": url, "key_deleted": deleted.is_ok()});
        return context.output.data(&format!("{value:#}"));
    }
    Ok(())
}
