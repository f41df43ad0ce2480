//! The line that shows the help of the verb that was typed. Pure.

use clap::Command;

/// `temps env set --help`, for whatever `words` of a command line name of `command`'s verbs.
pub fn help_line(command: &Command, words: impl Iterator<Item = String>) -> String {
    let mut verb = command;
    let mut line = command.get_name().to_string();
    for word in words {
        if let Some(below) = verb.find_subcommand(&word) {
            line = format!("{line} {}", below.get_name());
            verb = below;
        }
    }
    line + " --help"
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn the_help_of_the_verb_is_named() {
        let line = |words: &str| help_line(&Cli::command(), words.split(' ').map(str::to_string));
        assert_eq!(line("env set -p shop A=b"), "temps env set --help");
        assert_eq!(line("--json project ls"), "temps projects list --help");
        assert_eq!(line("scale 3"), "temps scale --help");
        assert_eq!(line(""), "temps --help");
    }
}
