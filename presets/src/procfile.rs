//! The `web:` line of a Procfile.

use crate::source_tree::SourceTree;

/// The command of the process type `web`.
pub(crate) fn web(tree: &dyn SourceTree) -> Option<String> {
    let text = tree.read("Procfile")?;
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(process, _)| process.trim() == "web")
        .map(|(_, command)| command.trim().to_owned())
        .filter(|command| !command.is_empty())
}
