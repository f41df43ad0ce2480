//! `temps users`: who may log in.

use clap::Subcommand;
use serde_json::{Value, json};

use super::context::Context;
use crate::client::{Client, path};
use crate::deletion::Deletion;
use crate::error::CliError;
use crate::table::table;
use crate::terminal;
use crate::view::{self, User};
use crate::when::ago_or_dash;

/// The most users that are listed.
const LIST_MAX: usize = 10_000;
/// How many random octets a password is made of.
const PASSWORD_BYTES: usize = 16;

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    act: Option<Act>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Role {
    /// Sees everything but secrets.
    Reader,
    /// Creates, changes and deploys projects.
    User,
    /// Also manages users, nodes and settings.
    Admin,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::User => "user",
            Self::Admin => "admin",
        }
    }
}

#[derive(Subcommand)]
enum Act {
    /// List the users.
    #[command(visible_alias = "ls")]
    List,
    /// Add a user; without a password one is made and printed once.
    Create {
        /// Their e-mail address.
        email: String,
        /// What they may do.
        #[arg(long, value_enum, default_value = "user")]
        role: Role,
        /// Read their password from standard input.
        #[arg(long)]
        password_stdin: bool,
    },
    /// Change what a user may do.
    Role {
        /// Their e-mail address or id.
        user: String,
        /// What they may do from now on.
        role: Role,
    },
    /// Give a user a new password; one is made and printed once.
    Password {
        /// Their e-mail address or id.
        user: String,
        /// Read the password from standard input instead.
        #[arg(long)]
        password_stdin: bool,
    },
    /// Delete a user with their sessions and API keys.
    #[command(visible_alias = "rm")]
    Delete {
        /// Their e-mail address or id.
        user: String,
        /// Do not ask.
        #[arg(short, long)]
        yes: bool,
    },
}

pub async fn run(context: &Context, args: Args) -> Result<(), CliError> {
    match args.act.unwrap_or(Act::List) {
        Act::List => list(context).await,
        Act::Create { email, role, password_stdin } => {
            create(context, &email, role, password_stdin).await
        }
        Act::Role { user, role } => change_role(context, &user, role).await,
        Act::Password { user, password_stdin } => password(context, &user, password_stdin).await,
        Act::Delete { user, yes } => delete(context, &user, yes).await,
    }
}

async fn list(context: &Context) -> Result<(), CliError> {
    let shown = |users: Vec<User>| {
        let rows = users.into_iter().map(|u| [u.email, u.role, ago_or_dash(u.created_at), u.id]);
        table(["e-mail", "role", "created", "id"], rows, "No users.")
    };
    context.list(&path(&["users"]), &[], LIST_MAX, shown).await
}

async fn all(client: &Client) -> Result<Value, CliError> {
    client.list(&path(&["users"]), &[], LIST_MAX).await
}

async fn create(
    context: &Context,
    email: &str,
    role: Role,
    password_stdin: bool,
) -> Result<(), CliError> {
    let password = password_stdin.then(terminal::read_stdin).transpose()?;
    let body = json!({"email": email, "role": role.name(), "password": password});
    let value = context.client()?.post(&path(&["users"]), &body).await?.value;
    print_password(context, &value, &format!("Created user {email}."))
}

/// Says what was done, and prints the password that was made, which is shown this once.
fn print_password(context: &Context, value: &Value, done: &str) -> Result<(), CliError> {
    let made = value["password"].as_str();
    if made.is_some() && !context.output.json {
        context.output.note(&format!("{done} Their password, shown this once:"));
    }
    context.output.answer(value, || made.unwrap_or(done).to_string())
}

/// The id of the user that an address or id names.
async fn id_of(client: &Client, user: &str) -> Result<String, CliError> {
    let users: Vec<User> = view::items(&all(client).await?)?;
    let found = users.into_iter().find(|u| u.id == user || u.email.eq_ignore_ascii_case(user));
    found.map(|user| user.id).ok_or_else(|| {
        CliError::blocked(
            format!("there is no user {user}"),
            "nobody has that e-mail address or id",
            "temps users list",
        )
    })
}

async fn change_role(context: &Context, user: &str, role: Role) -> Result<(), CliError> {
    let client = context.client()?;
    let id = id_of(&client, user).await?;
    let value =
        client.patch(&path(&["users", &id]), &json!({"role": role.name()}), None).await?.value;
    context.output.answer(&value, || format!("{user} is now {}.", role.name()))
}

async fn password(context: &Context, user: &str, password_stdin: bool) -> Result<(), CliError> {
    let client = context.client()?;
    let id = id_of(&client, user).await?;
    let (password, made) = match password_stdin {
        true => (terminal::read_stdin()?, Value::Null),
        false => {
            let made = hex::encode(rand::random::<[u8; PASSWORD_BYTES]>());
            (made.clone(), Value::String(made))
        }
    };
    let body = json!({"password": password});
    let mut value = client.patch(&path(&["users", &id]), &body, None).await?.value;
    value["password"] = made;
    print_password(context, &value, &format!("{user} has a new password."))
}

async fn delete(context: &Context, user: &str, yes: bool) -> Result<(), CliError> {
    let loss = "their sessions and API keys";
    Deletion { noun: "user", name: user, loss }.confirm(&context.output, yes)?;
    let client = context.client()?;
    let id = id_of(&client, user).await?;
    let value = client.delete(&path(&["users", &id])).await?.value;
    context.output.answer(&value, || format!("Deleted user {user}."))
}
