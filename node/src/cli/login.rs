//! `temps login`: a password once, an API key from then on.

use serde_json::json;

use super::context::{Context, logins};
use crate::addresses::Addresses;
use crate::client::{Client, path};
use crate::config_file::Login;
use crate::error::CliError;
use crate::machine;
use crate::terminal;
use crate::view::{self, ApiKey};

/// How long the key of a login is good for.
const KEY_DAYS: u32 = 365;

const HELP: &str = "\
Nodes of one cluster take each other's logins. With the addresses of several, every command goes on with the next one
where a node does not answer:
  temps login http://10.0.0.1:3000 http://10.0.0.2:3000 http://10.0.0.3:3000";

#[derive(clap::Args)]
#[command(after_help = HELP)]
pub struct Args {
    /// The address of any node's API, such as http://127.0.0.1:3000; more of them for when that one does not answer.
    #[arg(value_name = "URL")]
    urls: Vec<String>,
    /// Who logs in; asked for when not given.
    #[arg(long)]
    email: Option<String>,
    /// Read the password from standard input instead of asking for it.
    #[arg(long, requires = "email")]
    password_stdin: bool,
}

pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
    let (file, mut config) = logins()?;
    let addresses = match args.urls.as_slice() {
        [] => context.addresses(&config)?,
        urls => Addresses::read(&urls.join(","))?,
    };
    let (email, password) = credentials(&args, &addresses)?;
    let client = Client::anonymous(addresses.clone()).telling(context.output);
    let session = client.log_in(&email, &password).await?;
    let (value, login) = make_key(&session, email).await?;
    let url = addresses.first().asked().to_string();
    let login = Login { others: addresses.others().to_vec(), ..login };
    let before = config.contexts.insert(url.clone(), login);
    config.current = Some(url);
    config.save(&file)?;
    forget(&session, before).await;
    context.output.note(&format!("Logged in to {}.", addresses.all().join(", ")));
    if context.output.json {
        return context.output.data(&format!("{value:#}"));
    }
    Ok(())
}

fn credentials(args: &Args, addresses: &Addresses) -> Result<(String, String), CliError> {
    if !args.password_stdin && !terminal::is_interactive() {
        return Err(CliError::usage(
            "nobody can be asked for a password",
            "this is not a terminal",
            format!("temps login {} --email E --password-stdin < file", addresses.all().join(" ")),
        ));
    }
    let email = match &args.email {
        Some(email) => email.clone(),
        None => terminal::ask("E-mail")?,
    };
    let password = match args.password_stdin {
        true => terminal::read_stdin()?,
        false => terminal::ask_hidden("Password")?,
    };
    Ok((email, password))
}

/// A key for everything the user may do, now and later. What is printed of it leaves the key itself out.
async fn make_key(session: &Client, email: String) -> Result<(serde_json::Value, Login), CliError> {
    let body = json!({
        "name": format!("temps login on {}", machine::host_name()),
        "expires_in_days": KEY_DAYS,
    });
    let mut value = session.post(&path(&["api-keys"]), &body).await?.value;
    let made: ApiKey = view::read(&value)?;
    let Some(key) = made.key else {
        return Err(CliError::Unreadable {
            url: session.url().into(),
            why: "the answer that makes an API key has none in it".into(),
        });
    };
    if let Some(fields) = value.as_object_mut() {
        fields.remove("key");
    }
    Ok((value, Login { email, key, key_id: made.id, others: Vec::new() }))
}

/// Deletes the key of the login before and closes the session; both would end by themselves.
async fn forget(session: &Client, before: Option<Login>) {
    if let Some(before) = before {
        let _ = session.delete(&path(&["api-keys", &before.key_id])).await;
    }
    let _ = session.post(&path(&["logout"]), &json!({})).await;
}
