//! Asking before something is deleted: what will be lost, and whether that is meant.

use crate::error::CliError;
use crate::output::Output;
use crate::terminal::{ask, is_interactive};

/// Something that is about to be deleted.
pub struct Deletion<'a> {
    /// What it is: "project".
    pub noun: &'static str,
    /// What it is called.
    pub name: &'a str,
    /// What goes with it: "its variables and deployments".
    pub loss: &'a str,
}

impl Deletion<'_> {
    /// Says what will be lost, and has the name typed; `yes` answers for it.
    pub fn confirm(&self, output: &Output, yes: bool) -> Result<(), CliError> {
        if yes {
            return Ok(());
        }
        if !is_interactive() {
            return Err(self.unasked());
        }
        output.warn(&self.warning());
        match ask(&format!("Type {} to go on", self.name))? == self.name {
            true => Ok(()),
            false => Err(self.refused()),
        }
    }

    fn warning(&self) -> String {
        let Self { noun, name, loss } = self;
        format!("deleting {noun} {name} deletes {loss} too; nothing brings them back")
    }

    fn unasked(&self) -> CliError {
        CliError::usage(
            format!("deleting {} {} needs a confirmation", self.noun, self.name),
            format!("{} would be lost, and nobody can be asked: this is no terminal", self.loss),
            "the same command with --yes",
        )
    }

    fn refused(&self) -> CliError {
        CliError::blocked(
            format!("{} {} was not deleted", self.noun, self.name),
            "another name was typed",
            "the same command, and its name as it is shown",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Exit;

    #[test]
    fn what_will_be_lost_is_said_whether_somebody_can_be_asked_or_not() {
        let deletion = Deletion { noun: "user", name: "a@b.c", loss: "their API keys" };
        let unasked = deletion.unasked();
        for text in [deletion.warning(), format!("{unasked} {}", unasked.advice().why)] {
            assert!(text.contains("deleting user a@b.c"), "{text}");
            assert!(text.contains("their API keys"), "{text}");
        }
        assert_eq!(unasked.exit(), Exit::Usage);
        assert!(unasked.advice().next.contains("--yes"));
        assert_eq!(deletion.refused().exit(), Exit::Failed);
    }
}
