//! The configuration's values, each checked when it is read.

use std::borrow::Cow;
use std::fmt;

use croner::parser::{CronParser, Seconds as SecondsField, Year};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::Value;

/// The most memory that can be asked for: one tebibyte.
const MEMORY_MIB_MAX: f64 = (1 << 20) as f64;
/// The least memory a process can live in.
const MEMORY_MIB_MIN: f64 = 16.0;
const CORES_MAX: f64 = 1_024.0;
const CORES_MIN: f64 = 0.01;
const SECONDS_MAX: f64 = 3_600.0;
const SECONDS_MIN: f64 = 0.1;

/// A whole number from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub struct Whole<const MIN: u32, const MAX: u32>(u32);

impl<const MIN: u32, const MAX: u32> Whole<MIN, MAX> {
    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl<const MIN: u32, const MAX: u32> TryFrom<Value> for Whole<MIN, MAX> {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let number = value.as_u64().and_then(|n| u32::try_from(n).ok());
        number
            .filter(|n| (MIN..=MAX).contains(n))
            .map(Self)
            .ok_or_else(|| format!("{value} is not a whole number from {MIN} to {MAX}"))
    }
}

impl<const MIN: u32, const MAX: u32> JsonSchema for Whole<MIN, MAX> {
    fn schema_name() -> Cow<'static, str> {
        format!("Whole{MIN}To{MAX}").into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": MIN, "maximum": MAX })
    }
}

fn number_within(value: &Value, min: f64, max: f64) -> Option<f64> {
    value.as_f64().filter(|n| (min..=max).contains(n))
}

/// Gives a type made from a JSON value its schema, written out where it is used.
macro_rules! schema {
    ($type:ident, $schema:tt) => {
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                stringify!($type).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

/// A span of time in seconds, down to tenths.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(try_from = "Value")]
pub struct Seconds(f64);

schema!(Seconds, { "type": "number", "minimum": SECONDS_MIN, "maximum": SECONDS_MAX });

impl Seconds {
    /// In milliseconds.
    pub fn ms(self) -> u32 {
        (self.0 * 1_000.0).round() as u32
    }
}

impl TryFrom<Value> for Seconds {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let seconds = number_within(&value, SECONDS_MIN, SECONDS_MAX);
        seconds.map(Self).ok_or_else(|| {
            format!("{value} is not a number of seconds from {SECONDS_MIN} to {SECONDS_MAX}")
        })
    }
}

/// Processor cores.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(try_from = "Value")]
pub struct Cores(f64);

schema!(Cores, { "type": "number", "minimum": CORES_MIN, "maximum": CORES_MAX });

impl Cores {
    /// In thousandths.
    pub fn millis(self) -> u32 {
        (self.0 * 1_000.0).round() as u32
    }
}

impl TryFrom<Value> for Cores {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        number_within(&value, CORES_MIN, CORES_MAX)
            .map(Self)
            .ok_or_else(|| format!("{value} is not a number of cores, such as 0.5 or 2"))
    }
}

/// Memory in mebibytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub struct Mebibytes(u32);

schema!(Mebibytes, {
    "anyOf": [
        { "type": "string", "pattern": "^[0-9]+(\\.[0-9]+)? ?(Mi|MiB|MB|M|m|Gi|GiB|GB|G|g)$" },
        { "type": "integer", "minimum": MEMORY_MIB_MIN },
    ],
});

impl Mebibytes {
    /// How many.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<Value> for Mebibytes {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let mib = match &value {
            Value::String(text) => mebibytes(text),
            other => other.as_f64(),
        };
        mib.filter(|mib| (MEMORY_MIB_MIN..=MEMORY_MIB_MAX).contains(mib))
            .map(|mib| Self(mib.round() as u32))
            .ok_or_else(|| {
                format!("{value} is not an amount of memory: write `512Mi`, `1Gi` or a number of MiB, at least 16")
            })
    }
}

fn mebibytes(text: &str) -> Option<f64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor = match unit.trim() {
        "" | "Mi" | "MiB" | "MB" | "M" | "m" => 1.0,
        "Gi" | "GiB" | "GB" | "G" | "g" => 1_024.0,
        _ => return None,
    };
    number.parse::<f64>().ok().map(|number| number * factor)
}

/// Makes a text type whose rule is checked when it is read. The rule gives the reason against a text.
macro_rules! checked_text {
    ($(#[$doc:meta])* $type:ident, $rule:ident, $schema:tt) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $type(String);

        schema!($type, $schema);

        impl TryFrom<String> for $type {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                match $rule(&text) {
                    None => Ok(Self(text)),
                    Some(reason) => Err(format!("`{text}` {reason}")),
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

checked_text!(
    /// A command for a shell, on one line.
    ShellLine, against_shell_line, { "type": "string", "pattern": "^[^\\n\\r]*\\S[^\\n\\r]*$" }
);
checked_text!(
    /// A path of an HTTP request, with or without a query.
    UrlPath, against_url_path, { "type": "string", "pattern": "^/\\S*$" }
);
checked_text!(
    /// A relative path that stays inside the source.
    SourcePath, against_source_path, { "type": "string", "pattern": "^[^/\\s].*$" }
);
checked_text!(
    /// Five fields of a crontab line.
    Schedule, against_schedule, { "type": "string", "examples": ["0 3 * * *", "*/15 * * * *"] }
);

fn against_shell_line(text: &str) -> Option<&'static str> {
    let one_line = !text.contains(['\n', '\r', '\0']) && !text.trim_end().ends_with('\\');
    (!one_line || text.trim().is_empty())
        .then_some("is not a command on one line: join several with `&&`")
}

fn against_url_path(text: &str) -> Option<&'static str> {
    let fits =
        text.starts_with('/') && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    (!fits).then_some("is not a path: it starts with `/` and has no spaces")
}

fn against_source_path(text: &str) -> Option<&'static str> {
    let inside = !text.starts_with('/') && !text.split('/').any(|part| part == "..");
    let plain = !text.is_empty()
        && !text.contains(|c: char| c.is_whitespace() || c.is_control() || "\"'$`\\".contains(c));
    (!inside || !plain)
        .then_some("is not a path inside the source: write it relative to the root, without `..`, spaces or quotes")
}

fn against_schedule(text: &str) -> Option<String> {
    if text.split_whitespace().count() != 5 {
        return Some("is not a schedule: five fields are needed, such as `0 3 * * *`".into());
    }
    let parser =
        CronParser::builder().seconds(SecondsField::Disallowed).year(Year::Disallowed).build();
    parser.parse(text).err().map(|error| format!("is not a schedule: {error}"))
}

/// One command, or several.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(try_from = "Value")]
pub struct BeforeDeploy(Vec<ShellLine>);

schema!(BeforeDeploy, {
    "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }],
});

impl BeforeDeploy {
    /// The commands, in order.
    pub fn lines(&self) -> Vec<String> {
        self.0.iter().map(ShellLine::to_string).collect()
    }
}

impl TryFrom<Value> for BeforeDeploy {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let lines = match value {
            Value::Array(lines) => lines,
            one => vec![one],
        };
        lines.into_iter().map(line).collect::<Result<_, _>>().map(Self)
    }
}

fn line(value: Value) -> Result<ShellLine, String> {
    match value {
        Value::String(text) => text.try_into(),
        other => Err(format!("{other} is not a command: write a string or a list of strings")),
    }
}
