//! Where an app listens, as far as its code says so in plain sight.

use regex::Regex;

use crate::source::Source;

/// Ports of other things that code connects to.
const PORTS_OF_OTHERS: &[u16] =
    &[25, 53, 443, 465, 587, 1433, 3306, 5432, 5672, 6379, 9092, 9200, 11211, 27017];

/// How code of one language says where it listens.
pub(crate) struct Speech {
    /// Code that takes the port from the environment.
    pub(crate) reads_port: &'static str,
    /// Literal ports, the surest form first; the first group is the port.
    pub(crate) literals: &'static [&'static str],
    /// Code that listens on the loopback interface only.
    pub(crate) loopback: &'static str,
}

/// What the code says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Listening {
    /// A literal port, and the file it is in.
    pub(crate) port: Option<(u16, String)>,
    /// What will not work from outside the container.
    pub(crate) warning: Option<String>,
}

/// Reads `files` in order; a file that takes its port from the environment ends the search for a literal one.
pub(crate) fn listening(source: Source, files: &[String], speech: &Speech) -> Listening {
    let reads_port = regex(speech.reads_port);
    let loopback = regex(speech.loopback);
    let texts: Vec<(&String, String)> =
        files.iter().filter_map(|file| Some((file, source.tree.read(file)?))).collect();
    let from_environment = texts.iter().any(|(_, text)| reads_port.is_match(text));
    let port = if from_environment { None } else { literal_port(&texts, speech) };
    let warning = texts.iter().find(|(_, text)| loopback.is_match(text)).map(|(file, _)| {
        format!(
            "{file} seems to listen on 127.0.0.1 only, which takes a second or two longer to be \
             reached; listen on 0.0.0.0"
        )
    });
    Listening { port, warning }
}

fn literal_port(texts: &[(&String, String)], speech: &Speech) -> Option<(u16, String)> {
    speech.literals.iter().map(|literal| regex(literal)).find_map(|literal| {
        texts.iter().find_map(|(file, text)| {
            let port = literal.captures_iter(text).find_map(|found| {
                let port = found.get(1)?.as_str().parse::<u16>().ok()?;
                (port > 0 && !PORTS_OF_OTHERS.contains(&port)).then_some(port)
            })?;
            Some((port, (*file).clone()))
        })
    })
}

/// A pattern of this crate.
pub(crate) fn regex(pattern: &'static str) -> Regex {
    Regex::new(pattern).expect("patterns are literals of this crate, each compiled by a test")
}

/// The first group of a pattern's first match.
pub(crate) fn capture(pattern: &'static str, text: &str) -> Option<String> {
    regex(pattern).captures(text)?.get(1).map(|found| found.as_str().to_owned())
}

impl Listening {
    /// The note that tells where the port is from.
    pub(crate) fn note(&self) -> Option<String> {
        self.port.as_ref().map(|(port, file)| format!("{file} listens on port {port}"))
    }

    pub(crate) fn port_or(&self, default: u16) -> u16 {
        self.port.as_ref().map_or(default, |(port, _)| *port)
    }
}
