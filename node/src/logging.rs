//! The node's log: one line per event on standard error, for people or for programs.

use std::io::{self, IsTerminal};
use std::str::FromStr;

use temps_proxy::AccessLines;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::layer;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Libraries that tell more than an operator needs, and how much of it is shown.
const QUIET: &str = "openraft=error,raft_log=warn,chunked_wal=warn,sled=warn,pingora_core=warn,pingora_proxy=warn,\
                     hyper=warn,h2=warn,rustls=warn,bollard=warn,tower_http=warn";

/// How a line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

impl FromStr for LogFormat {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("it is `text` or `json`"),
        }
    }
}

/// Which events are shown: a level, or directives such as `info,temps_proxy=debug`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLevel(String);

impl FromStr for LogLevel {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "it is `error`, `warn`, `info`, `debug` or `trace`, or directives such \
                             as `info,temps_proxy=debug`";
        if text.contains(['=', ',']) {
            return EnvFilter::try_new(text).map(|_| Self(text.into())).map_err(|_| WRONG);
        }
        // tracing reads nothing at all as `error`.
        if text.is_empty() || text.parse::<LevelFilter>().is_err() {
            return Err(WRONG);
        }
        Ok(Self(format!("{text},{QUIET}")))
    }
}

/// Starts logging; what was logged before is lost.
pub fn start(format: LogFormat, level: &LogLevel) {
    let lines = layer().with_writer(io::stderr).with_ansi(is_coloured());
    let registry = tracing_subscriber::registry().with(EnvFilter::new(&level.0));
    // Fails only when something logs already.
    let _ = match format {
        LogFormat::Text => registry.with(lines).try_init(),
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init(),
    };
}

/// How the access log is written beside what is logged, where it is shown at all and nobody looks at colours.
pub fn access_lines(format: LogFormat) -> Option<AccessLines> {
    let is_shown = tracing::enabled!(target: "temps::access", tracing::Level::INFO);
    let lines = match format {
        LogFormat::Text if is_coloured() => return None,
        LogFormat::Text => AccessLines::Text,
        LogFormat::Json => AccessLines::Json,
    };
    is_shown.then_some(lines)
}

fn is_coloured() -> bool {
    let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    io::stderr().is_terminal() && !no_colour
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_and_directives_are_taken_and_typos_are_not() {
        for good in ["info", "ERROR", "off", "info,temps_proxy=debug", "temps_raft=trace"] {
            assert!(good.parse::<LogLevel>().is_ok(), "{good}");
        }
        for bad in ["", "loud", "info,temps=loud"] {
            assert!(bad.parse::<LogLevel>().is_err(), "{bad}");
        }
    }

    #[test]
    fn formats_are_text_and_json() {
        assert_eq!("json".parse(), Ok(LogFormat::Json));
        assert_eq!("text".parse(), Ok(LogFormat::Text));
        assert!("xml".parse::<LogFormat>().is_err());
    }
}
