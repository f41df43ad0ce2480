//! Writes a Dockerfile for engines whose own frontend is older than here-documents and `COPY --link`. Pure.
//!
//! A `# syntax=` line brings a newer frontend, where its registry is reached; this is for where it is not.

use std::collections::BTreeMap;

use crate::dockerfile::{Document, Instruction, Variables, instructions};

/// The first engine whose own frontend knows these words.
const ENGINE_MAJOR: u32 = 23;
/// Where here-documents that become files are put in the build context.
const FOLDER: &str = ".temps-documents";

/// A Dockerfile, and files that its context needs besides: pairs of path and text.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Rewritten {
    pub(crate) dockerfile: String,
    pub(crate) files: Vec<(String, String)>,
}

/// Whether the frontend of an engine of this version lacks the words.
pub(crate) fn lacks_them(engine_version: &str) -> bool {
    let major = engine_version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    major.is_some_and(|major| major < ENGINE_MAJOR)
}

/// The Dockerfile in older words; `None` when it has none of the newer ones. Lines keep their numbers.
pub(crate) fn in_older_words(text: &str, args: &BTreeMap<String, String>) -> Option<Rewritten> {
    let mut rewritten = Rewritten::default();
    let mut variables = Variables::default();
    let mut shell = default_shell();
    let mut changed = false;
    for instruction in instructions(text) {
        variables.learn(&instruction, args);
        match instruction.name.as_str() {
            "FROM" => shell = default_shell(),
            "SHELL" => {
                shell = serde_json::from_str(&instruction.rest).unwrap_or_else(|_| default_shell());
            }
            _ => {}
        }
        let line = match instruction.name.as_str() {
            "RUN" if !instruction.documents.is_empty() => Some(run(&instruction, &shell)),
            "COPY" | "ADD" => copy(&instruction, &variables, &mut rewritten.files),
            _ => None,
        };
        changed |= line.is_some();
        match line {
            // Comments in place of the other lines keep the numbers of those below.
            Some(line) => {
                let comments = "#\n".repeat(instruction.lines.len() - 1);
                rewritten.dockerfile.push_str(&format!("{line}\n{comments}"));
            }
            None => {
                let lines = instruction.lines.iter().map(|line| format!("{line}\n"));
                rewritten.dockerfile.extend(lines);
            }
        }
    }
    changed.then_some(rewritten)
}

fn default_shell() -> Vec<String> {
    vec!["/bin/sh".into(), "-c".into()]
}

/// A shell gets the documents in its script. A document that is alone is the script itself, or a program where it says so.
fn run(instruction: &Instruction, shell: &[String]) -> String {
    let words: Vec<&str> = instruction.rest.split_whitespace().collect();
    let flags: Vec<&str> =
        words.iter().copied().take_while(|word| word.starts_with("--")).collect();
    let mut command = instruction.rest.as_str();
    for flag in &flags {
        command = command.trim_start().strip_prefix(flag).unwrap_or(command);
    }
    let script = match &instruction.documents[..] {
        [alone] if command.trim() == alone.word && alone.text.starts_with("#!") => program(alone),
        [alone] if command.trim() == alone.word => alone.text.clone(),
        documents => {
            let inner = documents.iter().map(|d| format!("\n{}{}", d.text, d.name));
            command.trim().to_owned() + &inner.collect::<String>() + "\n"
        }
    };
    let words: Vec<&str> = shell.iter().map(String::as_str).chain([script.as_str()]).collect();
    let flags: String = flags.iter().map(|flag| format!("{flag} ")).collect();
    format!("RUN {flags}{}", serde_json::json!(words))
}

fn program(document: &Document) -> String {
    let Document { name, text, .. } = document;
    format!(
        "file=$(mktemp) && cat >$file <<'{name}'\n{text}{name}\nchmod 755 $file && $file && rm $file"
    )
}

fn copy(
    instruction: &Instruction,
    variables: &Variables,
    files: &mut Vec<(String, String)>,
) -> Option<String> {
    let is_link = |word: &&str| matches!(*word, "--link" | "--link=true" | "--link=false");
    let words: Vec<&str> = instruction.rest.split_whitespace().collect();
    if instruction.documents.is_empty() && !words.iter().any(&is_link) {
        return None;
    }
    let number = files.len();
    let mut documents = instruction.documents.iter();
    let mut kept = Vec::new();
    for word in words.into_iter().filter(|word| !is_link(word)) {
        match documents.as_slice().first().filter(|document| document.word == word) {
            Some(Document { name, expands, text, .. }) => {
                documents.next();
                let path = format!("{FOLDER}/{number}/{name}");
                let text = if *expands { variables.fill(text) } else { text.clone() };
                files.push((path.clone(), text));
                kept.push(path);
            }
            None => kept.push(word.to_owned()),
        }
    }
    Some(format!("{} {}", instruction.name, kept.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(text: &str) -> Rewritten {
        in_older_words(text, &BTreeMap::new()).unwrap()
    }

    #[test]
    fn scripts_go_to_the_shell_of_their_stage() {
        for (text, expect) in [
            (
                "RUN <<EOF\nset -e\nls\nEOF\nX",
                "RUN [\"/bin/sh\",\"-c\",\"set -e\\nls\\n\"]\n#\n#\n#\nX\n",
            ),
            (
                "RUN --mount=type=cache,target=/c cat <<-E >/x\n\ta $A\n\tE",
                "RUN --mount=type=cache,target=/c [\"/bin/sh\",\"-c\",\"cat <<-E >/x\\na $A\\nE\\n\"]\n#\n#\n",
            ),
            (
                "SHELL [\"/bin/bash\", \"-ec\"]\nRUN <<E\nls\nE",
                "SHELL [\"/bin/bash\", \"-ec\"]\nRUN [\"/bin/bash\",\"-ec\",\"ls\\n\"]\n#\n#\n",
            ),
        ] {
            assert_eq!(rewritten(text).dockerfile, expect, "{text}");
        }
        let program = rewritten("RUN <<E\n#!/usr/bin/env python3\nprint(1)\nE\n").dockerfile;
        assert!(program.contains("cat >$file <<'E'\\n#!/usr/bin/env python3"), "{program}");
    }

    #[test]
    fn files_go_into_the_context() {
        let text = "ENV A=1\nCOPY --link --chmod=755 <<one <<\"two\" /x/\n$A \\$uri\none\n$A\ntwo\nADD --link a b";
        let Rewritten { dockerfile, files } = rewritten(text);
        let expect = "ENV A=1\nCOPY --chmod=755 .temps-documents/0/one .temps-documents/0/two /x/\n#\n#\n#\n#\nADD a b\n";
        assert_eq!(dockerfile, expect);
        let file = |name: &str, text: &str| (format!(".temps-documents/0/{name}"), text.to_owned());
        assert_eq!(files, [file("one", "1 $uri\n"), file("two", "$A\n")]);
    }

    #[test]
    fn other_dockerfiles_stay_as_they_are() {
        assert_eq!(in_older_words("FROM a\nCOPY a b\nRUN ls\n", &BTreeMap::new()), None);
        assert!(lacks_them("20.10.24+dfsg1"));
        assert!(!lacks_them("27.0.1") && !lacks_them("dev"));
    }
}
