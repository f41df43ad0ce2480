//! Where in a YAML text a key stands: what is read of the text has no places any more, only the parser's errors do. So
//! the text is read once more, up to an error at that key.

use std::fmt;

use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::error::At;

/// The place of a key such as `cron[0].schedule`, when it is there.
pub(super) fn place(text: &str, key: &str) -> At {
    let steps: Vec<&str> = key.split(['.', '[']).map(|step| step.trim_end_matches(']')).collect();
    let found = To(&steps).deserialize(serde_norway::Deserializer::from_str(text));
    let at = found.err().and_then(|error| error.location());
    at.map_or(At::default(), |at| At { line: at.line(), column: at.column() })
}

/// The rest of the way, to a value.
#[derive(Clone, Copy)]
struct To<'a>(&'a [&'a str]);

impl<'de> DeserializeSeed<'de> for To<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        match self.0 {
            [] => IgnoredAny::deserialize(reader).map(drop),
            _ => reader.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for To<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("keys or a list")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let To([step, rest @ ..]) = self else { return Ok(()) };
        while let Some(is_it) = map.next_key_seed(Key { name: step, last: rest.is_empty() })? {
            map.next_value_seed(To(if is_it { rest } else { &[] }))?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let To([step, rest @ ..]) = self else { return Ok(()) };
        let wanted = step.parse().ok();
        let mut index = 0_usize;
        let way = |index| if wanted == Some(index) { rest } else { &[] };
        while list.next_element_seed(To(way(index)))?.is_some() {
            index += 1;
        }
        Ok(())
    }
}

/// A key, which is the one that is looked for or not.
struct Key<'a> {
    name: &'a str,
    /// Whether it is where the way ends.
    last: bool,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<bool, D::Error> {
        reader.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<bool, E> {
        match (name == self.name, self.last) {
            (true, true) => Err(E::custom("here it is")),
            (is_it, _) => Ok(is_it),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_where_they_stand() {
        let text = "# an app\nport: eighty\nhealth:\n  path: /\n  pat: /\ncron:\n  - path: /a\n    schedule: x\n  - {path: /b, schedule: y}\n";
        for (key, place_of) in [
            ("port", (2, 1)),
            ("health", (3, 1)),
            ("health.pat", (5, 3)),
            ("cron[0].schedule", (8, 5)),
            ("cron[1].schedule", (9, 16)),
            ("nothing", (0, 0)),
            ("port.below", (2, 7)),
            ("", (0, 0)),
        ] {
            let At { line, column } = place(text, key);
            assert_eq!((line, column), place_of, "{key}");
        }
    }
}
