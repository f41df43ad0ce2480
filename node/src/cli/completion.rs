//! `temps completion`: what a shell needs to complete the command line.

use clap::CommandFactory;
use clap_complete::{Shell, generate};

use super::Cli;
use crate::error::CliError;
use crate::output::Output;

#[derive(clap::Args)]
#[command(
    after_help = "bash: temps completion bash > /etc/bash_completion.d/temps\nzsh:  temps completion zsh > ~/.zfunc/_temps\nfish: temps completion fish > ~/.config/fish/completions/temps.fish"
)]
pub struct Args {
    /// The shell.
    shell: Shell,
}

pub fn run(output: &Output, args: &Args) -> Result<(), CliError> {
    let mut script = Vec::new();
    generate(args.shell, &mut Cli::command(), "temps", &mut script);
    output.data(String::from_utf8_lossy(&script).trim_end())
}
