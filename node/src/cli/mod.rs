//! The command line: one file per verb.

mod apikeys;
mod audit;
mod callers;
mod certificates;
mod completion;
mod context;
mod deploy;
mod deployments;
mod detection;
mod dns;
mod domains;
mod env;
mod environments;
mod exec;
mod guards;
mod headers;
mod help_line;
mod join;
mod leave;
mod login;
mod logout;
mod logs;
mod nodes;
mod open;
mod project_change;
mod projects;
mod requests;
mod scale;
mod scope;
mod serve;
mod settings;
mod status;
mod upgrade;
mod users;
mod version;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::error::{CliError, Exit};
use crate::node_config::ServeArgs;
use crate::output::Output;
use context::Context;
use help_line::help_line;

const AFTER_HELP: &str = "\
Examples:
  temps serve                           start a node on this machine
  temps login http://127.0.0.1:3000     log in to a node
  temps deploy                          deploy this folder
  temps deploy --git https://git.example.com/team/shop.git --branch main
  temps deploy --git -p shop            deploy the repository that the project has
  temps deploy --image nginx:stable
  temps logs -f                         follow what the app prints
  temps domains add app.example.com -p shop
  temps nodes token                     print the line that lets another machine join

Exit codes:
  0  it worked
  1  it failed
  2  the command line is wrong
  3  the deployment failed, and the old version is kept
  4  the cluster has no quorum, so nothing can be changed

Environment:
  TEMPS_API_URL, TEMPS_API_TOKEN        use this node and API key instead of a login; several addresses with commas
                                        between them name nodes of one cluster, tried in turn
  TEMPS_PROJECT                         the project, where --project is not given
  TEMPS_QUORUM_WAIT                     for how many seconds a request is repeated without a quorum (30)
  NO_COLOR                              no colours";

/// Under which heading the help lists what every command takes.
const EVERYWHERE: &str = "Options of every command";

const SERVE_HELP: &str = "\
The first start on an empty folder founds a cluster and prints the admin's password once.
TEMPS_ADMIN_EMAIL (default admin@localhost) and TEMPS_ADMIN_PASSWORD set them instead.";

const JOIN_HELP: &str = "\
`temps nodes token` on any node prints the whole line. Run again after an interruption, it goes on where it was; run on
a machine that has joined, it starts the node, as `temps serve` does from then on.";

const UPGRADE_HELP: &str = "\
Each node hands its ports to a new process of the binary; whoever leads comes last. A node whose new process does not
come up goes back to what it ran; the roll ends then, and the nodes before it go back, too. Run again after an
interruption, it goes on where it was: nodes of both versions work together.";

/// Turns servers and repositories into served apps.
#[derive(Parser)]
#[command(name = "temps", version, after_help = AFTER_HELP, arg_required_else_help = true)]
pub struct Cli {
    /// Print JSON as REST answers it: one object, or one line per event.
    #[arg(long, global = true, help_heading = EVERYWHERE)]
    json: bool,
    /// The node to talk to, or several with commas between them; the last login's when not given.
    #[arg(long = "url", id = "api_url", global = true, env = "TEMPS_API_URL", value_name = "URL")]
    #[arg(hide_env_values = true, help_heading = EVERYWHERE)]
    api_url: Option<String>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Start a node on this machine.
    #[command(after_help = SERVE_HELP)]
    Serve(Box<ServeArgs>),
    /// Make this machine a node of a cluster, and start it.
    #[command(after_help = JOIN_HELP)]
    Join(Box<join::Args>),
    #[command(flatten)]
    Client(ClientVerb),
    /// Print the completions of a shell.
    Completion(completion::Args),
    /// Print the version.
    Version,
}

/// Verbs that talk to a node.
#[derive(Subcommand)]
enum ClientVerb {
    /// Log in to a node and keep an API key for it.
    Login(login::Args),
    /// Log out: delete the API key that the login made.
    Logout,
    /// Build and serve a folder, a Git repository or an image.
    Deploy(deploy::Args),
    /// List, show, create, change, delete, disable and enable projects.
    #[command(visible_alias = "project")]
    Projects(projects::Args),
    /// List, create and delete environments: production, and previews of branches.
    #[command(visible_alias = "environment")]
    Environments(environments::Args),
    /// List, show, cancel and roll back deployments.
    #[command(visible_alias = "deployment")]
    Deployments(deployments::Args),
    /// Show what the app prints, or what its build printed (--build).
    Logs(logs::Args),
    /// Show the requests that the edges answered for the app.
    Requests(Box<requests::Args>),
    /// List, set, unset and import the environment variables of the app.
    Env(env::Args),
    /// List, add, show, verify, change and remove names of your own, such as app.example.com.
    #[command(visible_alias = "domain")]
    Domains(domains::Args),
    /// List, add and remove accounts with DNS providers, where the records of domains are kept.
    Dns(dns::Args),
    /// List, show, add and remove certificates.
    #[command(visible_alias = "certificate")]
    Certificates(certificates::Args),
    /// Show and change the security headers that are added to answers.
    Headers(headers::Args),
    /// Show and change what is checked before requests are forwarded: who is let in, how often, and by which proof.
    #[command(visible_alias = "guard")]
    Guards(guards::Args),
    /// Set how many replicas, which are copies of the app, run at once.
    Scale(scale::Args),
    /// Run a command in a replica.
    Exec(exec::Args),
    /// Open the app in a browser, or print its address.
    Open(open::Args),
    /// Show the cluster: its nodes, and whether all is well.
    Status,
    /// List, show, drain, label and remove nodes, and let new ones join.
    #[command(visible_alias = "node")]
    Nodes(nodes::Args),
    /// Give every node a new temps binary, one after the other, while all apps are served.
    #[command(after_help = UPGRADE_HELP)]
    Upgrade(upgrade::Args),
    /// Take the node that is talked to out of its cluster.
    Leave(leave::Args),
    /// List, create and delete API keys.
    #[command(visible_alias = "apikey")]
    Apikeys(apikeys::Args),
    /// List, create, change and delete users.
    #[command(visible_alias = "user")]
    Users(users::Args),
    /// Show who changed what, when, and from where.
    Audit(audit::Args),
    /// Show and change the cluster's settings.
    Settings(settings::Args),
}

/// Runs the verb that the command line names.
pub fn run(cli: Cli) -> ExitCode {
    let output = Output::of_process(cli.json);
    let done = match cli.verb {
        Verb::Serve(args) => serve::run(*args).map(|()| Exit::Ok as u8),
        Verb::Join(args) => join::run(output, *args).map(|()| Exit::Ok as u8),
        Verb::Completion(args) => completion::run(&output, &args).map(|()| Exit::Ok as u8),
        Verb::Version => version::run(&output).map(|()| Exit::Ok as u8),
        Verb::Client(verb) => run_client(verb, Context::new(output, cli.api_url)),
    };
    ExitCode::from(done.unwrap_or_else(|error| {
        let help = help_line(&Cli::command(), std::env::args().skip(1));
        output.failure(&error, &help);
        error.exit() as u8
    }))
}

/// Runs a verb that talks to a node, on one thread.
fn run_client(verb: ClientVerb, context: Context) -> Result<u8, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| CliError::Terminal { act: "start", source })?;
    let done = runtime.block_on(perform(verb, &context));
    // A read of standard input may still wait for a key; nobody needs it.
    runtime.shutdown_background();
    done
}

async fn perform(verb: ClientVerb, context: &Context) -> Result<u8, CliError> {
    match verb {
        ClientVerb::Exec(args) => return exec::run(context, args).await,
        ClientVerb::Login(args) => login::run(context, args).await,
        ClientVerb::Logout => logout::run(context).await,
        ClientVerb::Deploy(args) => deploy::run(context, args).await,
        ClientVerb::Projects(args) => projects::run(context, args).await,
        ClientVerb::Environments(args) => environments::run(context, args).await,
        ClientVerb::Deployments(args) => deployments::run(context, args).await,
        ClientVerb::Logs(args) => logs::run(context, args).await,
        ClientVerb::Requests(args) => requests::run(context, *args).await,
        ClientVerb::Env(args) => env::run(context, args).await,
        ClientVerb::Domains(args) => domains::run(context, args).await,
        ClientVerb::Dns(args) => dns::run(context, args).await,
        ClientVerb::Certificates(args) => certificates::run(context, args).await,
        ClientVerb::Headers(args) => headers::run(context, args).await,
        ClientVerb::Guards(args) => guards::run(context, args).await,
        ClientVerb::Scale(args) => scale::run(context, args).await,
        ClientVerb::Open(args) => open::run(context, args).await,
        ClientVerb::Status => status::run(context).await,
        ClientVerb::Nodes(args) => nodes::run(context, args).await,
        ClientVerb::Upgrade(args) => upgrade::run(context, args).await,
        ClientVerb::Leave(args) => leave::run(context, args).await,
        ClientVerb::Apikeys(args) => apikeys::run(context, args).await,
        ClientVerb::Users(args) => users::run(context, args).await,
        ClientVerb::Audit(args) => audit::run(context, args).await,
        ClientVerb::Settings(args) => settings::run(context, args).await,
    }
    .map(|()| Exit::Ok as u8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Command;

    fn check_help(command: &mut Command) {
        let help = command.render_long_help().to_string();
        assert!(command.get_about().is_some(), "{} says nothing of itself", command.get_name());
        assert!(help.contains("Usage:"), "{help}");
        for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
            let id = argument.get_id();
            assert!(argument.get_help().is_some(), "{} {id} has no help", command.get_name());
        }
        for verb in command.get_subcommands_mut() {
            check_help(verb);
        }
    }

    #[test]
    fn every_verb_and_flag_explains_itself() {
        let mut command = Cli::command();
        command.clone().debug_assert();
        command.build();
        check_help(&mut command);
    }

    #[test]
    fn every_exit_code_is_documented() {
        for code in 0..=4 {
            assert!(AFTER_HELP.contains(&format!("\n  {code}  ")), "{code}");
        }
    }

    #[test]
    fn passwords_and_tokens_are_no_arguments_but_for_the_one_that_is_used_up_at_once() {
        let mut command = Cli::command();
        command.build();
        let mut verbs: Vec<&Command> = vec![&command];
        while let Some(verb) = verbs.pop() {
            let names = verb.get_arguments().map(|argument| argument.get_id().as_str());
            for name in names.filter(|name| name.contains("password") || name.contains("token")) {
                let join = verb.get_name() == "join" && name == "token";
                let named = ["password_stdin", "password_file"].contains(&name);
                assert!(join || named, "{} {name}", verb.get_name());
            }
            verbs.extend(verb.get_subcommands());
        }
    }
}
