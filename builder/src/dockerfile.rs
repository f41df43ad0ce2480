//! Reads a Dockerfile as far as a build needs to know it beforehand: its instructions, and the images it starts from. Pure.

use std::collections::{BTreeMap, BTreeSet};

/// Instructions that may have here-documents.
const WITH_DOCUMENTS: &[&str] = &["RUN", "COPY", "ADD"];

/// One instruction with what belongs to it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Instruction<'t> {
    /// Its name, in upper case; empty for comments and blank lines.
    pub(crate) name: String,
    /// What follows the name, in one line.
    pub(crate) rest: String,
    pub(crate) documents: Vec<Document>,
    /// The lines as they are written.
    pub(crate) lines: Vec<&'t str>,
}

/// A here-document.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Document {
    /// The word that stands for it, such as `<<-"EOF"`.
    pub(crate) word: String,
    pub(crate) name: String,
    /// Whether variables in it are filled in: its name is not quoted.
    pub(crate) expands: bool,
    pub(crate) text: String,
}

/// The values of `ARG` and `ENV`, by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Variables(BTreeMap<String, String>);

/// The instructions in order; every line of the text belongs to one of them.
pub(crate) fn instructions(text: &str) -> Vec<Instruction<'_>> {
    let mut lines = text.lines().peekable();
    let mut found = Vec::new();
    while let Some(first) = lines.next() {
        let mut taken = vec![first];
        if is_comment(first) {
            found.push(Instruction {
                name: String::new(),
                rest: String::new(),
                documents: Vec::new(),
                lines: taken,
            });
            continue;
        }
        let mut whole = continued(first).unwrap_or(first).to_owned();
        let mut open = continued(first).is_some();
        while let Some(line) = lines.next_if(|_| open) {
            taken.push(line);
            if !is_comment(line) {
                whole.push_str(continued(line).unwrap_or(line));
                open = continued(line).is_some();
            }
        }
        let whole = whole.trim();
        let (name, rest) = whole.split_once(char::is_whitespace).unwrap_or((whole, ""));
        let (name, rest) = (name.to_uppercase(), rest.trim().to_owned());
        let mut documents = Vec::new();
        for word in rest.split_whitespace().filter(|_| WITH_DOCUMENTS.contains(&name.as_str())) {
            documents.extend(document(word, &mut lines, &mut taken));
        }
        found.push(Instruction { name, rest, documents, lines: taken });
    }
    found
}

fn is_comment(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || line.starts_with('#')
}

fn continued(line: &str) -> Option<&str> {
    line.trim_end().strip_suffix('\\')
}

/// The document that a word stands for, taken off the lines; `None` where its end is nowhere.
fn document<'t>(
    word: &str,
    lines: &mut std::iter::Peekable<std::str::Lines<'t>>,
    taken: &mut Vec<&'t str>,
) -> Option<Document> {
    let marked = word.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix("<<")?;
    let (strips, marked) = match marked.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, marked),
    };
    let name = marked.trim_matches(['"', '\'']);
    if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)) {
        return None;
    }
    let bare = |line: &'t str| if strips { line.trim_start_matches('\t') } else { line };
    let size = lines.clone().position(|line| bare(line).trim_end_matches('\r') == name)?;
    let own: Vec<&str> = lines.by_ref().take(size + 1).collect();
    taken.extend(&own);
    let text: String = own[..size].iter().map(|line| format!("{}\n", bare(line))).collect();
    Some(Document { word: word.into(), name: name.into(), expands: marked == name, text })
}

/// The images that a build needs before its first step, once each. Stages and `scratch` are none; a name that variables
/// leave open is left out. `args` are the build's arguments.
pub(crate) fn images(text: &str, args: &BTreeMap<String, String>) -> Vec<String> {
    let mut variables = Variables::default();
    let mut stages = BTreeSet::from(["scratch".to_owned()]);
    let mut found: Vec<String> = Vec::new();
    for instruction in instructions(text) {
        variables.learn(&instruction, args);
        let words: Vec<&str> = instruction.rest.split_whitespace().collect();
        let plain: Vec<&str> = words.iter().copied().filter(|w| !w.starts_with("--")).collect();
        let named = match instruction.name.as_str() {
            "FROM" => plain.first().map(|name| variables.fill(name)),
            "COPY" | "ADD" => {
                words.iter().find_map(|w| w.strip_prefix("--from=")).map(str::to_owned)
            }
            "RUN" => words
                .iter()
                .filter_map(|word| word.strip_prefix("--mount="))
                .find_map(|mount| mount.split(',').find_map(|pair| pair.strip_prefix("from=")))
                .map(str::to_owned),
            _ => None,
        };
        let named = named.filter(|name| {
            let stage = stages.contains(&name.to_lowercase()) || name.parse::<u32>().is_ok();
            !stage && is_whole(name) && !found.contains(name)
        });
        found.extend(named);
        if let ("FROM", [_, word, stage]) = (instruction.name.as_str(), &plain[..]) {
            stages.extend(word.eq_ignore_ascii_case("as").then(|| stage.to_lowercase()));
        }
    }
    found
}

/// Whether no part of an image's name is missing.
fn is_whole(name: &str) -> bool {
    let part = |part: &str| !part.is_empty() && !part.starts_with('-');
    !name.contains('$') && name.split([':', '/', '@']).all(part)
}

impl Variables {
    /// Takes what an instruction defines; a build argument goes before a default.
    pub(crate) fn learn(&mut self, instruction: &Instruction, args: &BTreeMap<String, String>) {
        let is_arg = instruction.name == "ARG";
        if !is_arg && instruction.name != "ENV" {
            return;
        }
        let words: Vec<&str> = instruction.rest.split_whitespace().collect();
        if let (false, [name, value]) = (is_arg, &words[..])
            && !name.contains('=')
        {
            self.0.insert((*name).into(), self.fill(value));
        }
        for word in words {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            let given = args.get(name).filter(|_| is_arg).cloned();
            let own = word.contains('=').then(|| self.fill(value.trim_matches(['"', '\''])));
            if let Some(value) = given.or(own) {
                self.0.insert(name.into(), value);
            }
        }
    }

    /// The text with `$NAME`, `${NAME}` and `${NAME:-default}` filled in; what is not known becomes nothing.
    pub(crate) fn fill(&self, text: &str) -> String {
        let mut filled = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            if let Some(before) = rest[..at].strip_suffix('\\') {
                filled.push_str(before);
                filled.push('$');
                rest = &rest[at + 1..];
                continue;
            }
            filled.push_str(&rest[..at]);
            rest = &rest[at + 1..];
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let braced = rest.strip_prefix('{').and_then(|inner| inner.split_once('}'));
            let (inner, after) = braced
                .unwrap_or_else(|| rest.split_at(rest.find(|c| !is_name(c)).unwrap_or(rest.len())));
            let (name, default) =
                inner.split_at(inner.find(|c| !is_name(c)).unwrap_or(inner.len()));
            let default = default.trim_start_matches(':').strip_prefix('-').unwrap_or_default();
            match self.0.get(name).filter(|value| !value.is_empty()) {
                Some(value) => filled.push_str(value),
                None if inner.is_empty() => filled.push('$'),
                None => filled.push_str(default),
            }
            rest = after;
        }
        filled + rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_named_once_and_stages_are_none() {
        for (text, expect) in [
            ("FROM node:22 AS build\nFROM build\nFROM scratch\nFROM node:22", vec!["node:22"]),
            (
                "ARG V=20.1\nFROM --platform=linux/amd64 node:${V}-alpine as a",
                vec!["node:20.1-alpine"],
            ),
            ("ARG V\nFROM node:$V", vec![]),
            ("ARG V=\"3.9\"\nFROM python:${V:-3}\nFROM a:${X:-1}", vec!["python:3.9", "a:1"]),
            ("ARG GIVEN=no\nFROM a:$GIVEN", vec!["a:yes"]),
            (
                "FROM a AS one\nCOPY --from=One /x /y\nCOPY --from=0 /x /y\nCOPY --from=ghcr.io/b/c:1 /x \\\n  # why\n  /y",
                vec!["a", "ghcr.io/b/c:1"],
            ),
            ("FROM a\nRUN --mount=type=bind,from=b,target=/b ls", vec!["a", "b"]),
            ("FROM a\nRUN <<EOF\nFROM b\nEOF\nRUN echo \\\n FROM c", vec!["a"]),
        ] {
            let args = BTreeMap::from([("GIVEN".to_owned(), "yes".to_owned())]);
            assert_eq!(images(text, &args), expect, "{text}");
        }
    }

    #[test]
    fn documents_end_at_their_names() {
        let text = "COPY <<-'A' <<B /x/\n\tone\n\tA\ntwo $X\nB\nRUN echo $((1<<2)) <<C\n";
        let found = instructions(text);
        let texts: Vec<_> =
            found[0].documents.iter().map(|d| (d.text.as_str(), d.expands)).collect();
        assert_eq!(texts, [("one\n", false), ("two $X\n", true)]);
        assert_eq!(found[0].lines.len(), 5);
        assert!(found[1].documents.is_empty());
    }

    #[test]
    fn variables_are_filled_in() {
        let mut variables = Variables::default();
        for line in ["ENV A=1 B=\"two\"", "ENV C 3", "ARG D=$A.0"] {
            variables.learn(&instructions(line)[0], &BTreeMap::new());
        }
        let filled = variables.fill("$A ${B} $C ${D} ${E:-five} \\$uri $E. $ 5$");
        assert_eq!(filled, "1 two 3 1.0 five $uri . $ 5$");
    }
}
