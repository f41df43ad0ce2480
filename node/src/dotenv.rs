//! Reads `.env` files: `NAME=value` lines with comments, `export`, quotes, and values over several lines. Pure.
//!
//! Quoting follows what the common readers agree on: single quotes keep everything as it is, double quotes know
//! `\n \r \t \" \\ \$`, no quotes end at ` #` and lose the blanks around. Nothing is expanded.

use std::iter::Peekable;
use std::str::CharIndices;

use temps_state::{VariableName, VariableNameError};

/// The most octets of a `.env` file.
pub const DOTENV_BYTES_MAX: u64 = 1 << 20;

/// Why a text is not a `.env` file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum DotenvError {
    /// A line that sets nothing.
    #[error("line {line} has no `=`")]
    NoValue {
        /// Its number, from 1.
        line: usize,
    },
    /// A name that is none.
    #[error("line {line}: {source}")]
    Name {
        /// Its number, from 1.
        line: usize,
        /// Why.
        source: VariableNameError,
    },
    /// Quotes that never end.
    #[error("the quote that line {line} opens is never closed")]
    OpenQuote {
        /// Its number, from 1.
        line: usize,
    },
    /// Text after a closing quote.
    #[error("line {line} has text after its closing quote")]
    AfterQuote {
        /// Its number, from 1.
        line: usize,
    },
}

/// Reads every variable, in order; a name set twice keeps its last value.
pub fn parse(text: &str) -> Result<Vec<(VariableName, String)>, DotenvError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader { text, chars: text.char_indices().peekable() };
    let mut found: Vec<(VariableName, String)> = Vec::new();
    while let Some((name, value)) = reader.variable()? {
        found.retain(|(earlier, _)| *earlier != name);
        found.push((name, value));
    }
    Ok(found)
}

struct Reader<'a> {
    text: &'a str,
    chars: Peekable<CharIndices<'a>>,
}

impl Reader<'_> {
    fn variable(&mut self) -> Result<Option<(VariableName, String)>, DotenvError> {
        self.skip(char::is_whitespace);
        while self.peek() == Some('#') {
            self.skip(|c| c != '\n');
            self.skip(char::is_whitespace);
        }
        if self.peek().is_none() {
            return Ok(None);
        }
        let name = self.name()?;
        self.skip(|c| c == ' ' || c == '\t');
        let value = match self.peek() {
            Some(quote @ ('"' | '\'' | '`')) => self.quoted(quote)?,
            _ => self.bare(),
        };
        Ok(Some((name, value)))
    }

    fn name(&mut self) -> Result<VariableName, DotenvError> {
        let line = self.line();
        let start = self.position();
        self.skip(|c| c != '=' && c != '\n');
        let text = self.text[start..self.position()].trim();
        if self.chars.next_if(|(_, c)| *c == '=').is_none() {
            return Err(DotenvError::NoValue { line });
        }
        let name = text.strip_prefix("export").filter(|rest| rest.starts_with([' ', '\t']));
        name.unwrap_or(text).trim().parse().map_err(|source| DotenvError::Name { line, source })
    }

    fn bare(&mut self) -> String {
        let start = self.position();
        self.skip(|c| c != '\n');
        let line = &self.text[start..self.position()];
        let end = line
            .match_indices('#')
            .map(|(at, _)| at)
            .find(|at| *at == 0 || line[..*at].ends_with([' ', '\t']));
        line[..end.unwrap_or(line.len())].trim().into()
    }

    fn quoted(&mut self, quote: char) -> Result<String, DotenvError> {
        let line = self.line();
        self.chars.next();
        let mut value = String::new();
        loop {
            match self.chars.next().map(|(_, c)| c) {
                None => return Err(DotenvError::OpenQuote { line }),
                Some(c) if c == quote => break,
                Some('\\') if quote == '"' => self.escape(&mut value),
                Some(c) => value.push(c),
            }
        }
        self.end_of_line()?;
        Ok(value.replace("\r\n", "\n"))
    }

    fn escape(&mut self, value: &mut String) {
        match self.chars.next().map(|(_, c)| c) {
            Some('n') => value.push('\n'),
            Some('r') => value.push('\r'),
            Some('t') => value.push('\t'),
            Some(c @ ('"' | '\\' | '$')) => value.push(c),
            Some(c) => value.extend(['\\', c]),
            None => value.push('\\'),
        }
    }

    fn end_of_line(&mut self) -> Result<(), DotenvError> {
        let line = self.line();
        self.skip(|c| c == ' ' || c == '\t' || c == '\r');
        match self.peek() {
            None | Some('\n') => Ok(()),
            Some('#') => {
                self.skip(|c| c != '\n');
                Ok(())
            }
            Some(_) => Err(DotenvError::AfterQuote { line }),
        }
    }

    fn skip(&mut self, while_: impl Fn(char) -> bool) {
        while self.chars.next_if(|(_, c)| while_(*c)).is_some() {}
    }

    fn peek(&mut self) -> Option<char> {
        self.chars.peek().map(|(_, c)| *c)
    }

    fn position(&mut self) -> usize {
        self.chars.peek().map_or(self.text.len(), |(at, _)| *at)
    }

    fn line(&mut self) -> usize {
        let position = self.position();
        self.text[..position].matches('\n').count() + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, String)> {
        parse(text).unwrap().into_iter().map(|(name, value)| (name.to_string(), value)).collect()
    }

    #[test]
    fn one_line_gives_one_variable() {
        for (text, value) in [
            ("A=b", "b"),
            ("A = b ", "b"),
            ("export A=b", "b"),
            ("export\tA=b", "b"),
            ("A=", ""),
            ("A=  # nothing", ""),
            ("A=b # comment", "b"),
            ("A=b#c", "b#c"),
            ("A=b=c", "b=c"),
            ("A=\"b # c\"", "b # c"),
            ("A='b\\n$C' # comment", "b\\n$C"),
            ("A=\"b\\nc\\t\\\"d\\\"\\\\\\$\\x\"", "b\nc\t\"d\"\\$\\x"),
            ("A=`b'\"c`", "b'\"c"),
            ("\u{feff}A=b\r\n", "b"),
            ("A=\"ü€\"", "ü€"),
        ] {
            assert_eq!(read(text), [("A".to_string(), value.to_string())], "{text:?}");
        }
    }

    #[test]
    fn a_quoted_value_may_span_lines() {
        let text = "KEY=\"-----BEGIN-----\nabc\r\n-----END-----\"\n# next\n\nB='1\n2'\nC=3";
        let values: Vec<String> = read(text).into_iter().map(|(_, value)| value).collect();
        assert_eq!(values, ["-----BEGIN-----\nabc\n-----END-----", "1\n2", "3"]);
    }

    #[test]
    fn the_last_value_of_a_name_counts() {
        assert_eq!(read("A=1\nB=2\nA=3"), [("B".into(), "2".into()), ("A".into(), "3".into())]);
    }

    #[test]
    fn a_wrong_line_is_named() {
        assert_eq!(parse("A=1\nnonsense"), Err(DotenvError::NoValue { line: 2 }));
        assert_eq!(parse("A=1\n\nB=\"x\n"), Err(DotenvError::OpenQuote { line: 3 }));
        assert_eq!(parse("A=\"x\" y"), Err(DotenvError::AfterQuote { line: 1 }));
        assert!(matches!(parse("# c\n1A=2"), Err(DotenvError::Name { line: 2, .. })));
        assert!(matches!(parse("=2"), Err(DotenvError::Name { line: 1, .. })));
    }

    #[test]
    fn an_export_that_is_a_name_stays_one() {
        assert_eq!(read("exported=1"), [("exported".into(), "1".into())]);
        assert_eq!(read("export=1"), [("export".into(), "1".into())]);
    }
}
