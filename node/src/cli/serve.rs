//! `temps serve`: starts a node.

use crate::error::CliError;
use crate::joining::Joining;
use crate::logging;
use crate::machine;
use crate::node;
use crate::node_config::{ADMIN_EMAIL_DEFAULT, Admin, NodeConfig, ServeArgs, Surroundings};
use crate::serve_error::ServeError;

/// Threads of everything but the edge, which has its own.
const THREADS: usize = 2;
/// Threads that wait for files at once.
const FILE_THREADS_MAX: usize = 32;

pub fn run(args: ServeArgs) -> Result<(), CliError> {
    start(args, None)
}

/// Serves, after joining where that is asked for.
pub fn start(args: ServeArgs, joining: Option<Joining>) -> Result<(), CliError> {
    serve(args, joining).map_err(|error| CliError::Serve(Box::new(error)))
}

fn serve(args: ServeArgs, joining: Option<Joining>) -> Result<(), ServeError> {
    let config = NodeConfig::read(args, surroundings())?;
    logging::start(config.log_format, &config.log_level);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .max_blocking_threads(FILE_THREADS_MAX)
        .thread_name("temps")
        .enable_all()
        .build()
        .map_err(ServeError::Threads)?;
    let ended = runtime.block_on(node::run(config, joining));
    // What did not end in its time is not waited for.
    runtime.shutdown_background();
    ended
}

fn surroundings() -> Surroundings {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    Surroundings {
        root: rustix::process::geteuid().is_root(),
        home: std::env::home_dir(),
        host_name: machine::host_name(),
        admin: Admin {
            email: variable("TEMPS_ADMIN_EMAIL").unwrap_or_else(|| ADMIN_EMAIL_DEFAULT.into()),
            password: variable("TEMPS_ADMIN_PASSWORD"),
        },
    }
}
