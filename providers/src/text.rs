//! Texts as zone files have them: strings of 255 octets in quotes (RFC 1035 §5.1).

/// The most octets of one string.
pub(crate) const STRING_BYTES_MAX: usize = 255;

/// A text in quotes.
pub(crate) fn quoted(text: &str) -> String {
    let strings = pieces(text).into_iter().map(|piece| {
        let escaped = piece.replace('\\', "\\\\").replace('"', "\\\"");
        format!("\"{escaped}\"")
    });
    strings.collect::<Vec<_>>().join(" ")
}

/// The text that is in quotes; one that is in none is taken as it is.
pub(crate) fn unquoted(text: &str) -> String {
    if !text.starts_with('"') {
        return text.to_owned();
    }
    let (mut plain, mut inside, mut characters) = (String::new(), false, text.chars());
    while let Some(character) = characters.next() {
        match character {
            '"' => inside = !inside,
            '\\' if inside => plain.extend(characters.next()),
            other if inside => plain.push(other),
            _ => {}
        }
    }
    plain
}

/// A text in pieces that fit into strings.
pub(crate) fn pieces(text: &str) -> Vec<&str> {
    let (mut pieces, mut rest) = (Vec::new(), text);
    while rest.len() > STRING_BYTES_MAX {
        let (piece, more) = rest.split_at(rest.floor_char_boundary(STRING_BYTES_MAX));
        pieces.push(piece);
        rest = more;
    }
    pieces.push(rest);
    pieces
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_are_quoted_in_strings() {
        assert_eq!(quoted(r#"a "b" \c"#), r#""a \"b\" \\c""#);
        assert_eq!(quoted(&"x".repeat(300)).len(), 300 + 5);
        assert_eq!(unquoted("bare text"), "bare text");
        assert_eq!(unquoted(r#""a" "b""#), "ab");
    }

    proptest! {
        #[test]
        fn a_quoted_text_reads_back(text in "[ -~é]{0,600}") {
            prop_assert_eq!(unquoted(&quoted(&text)), text);
        }
    }
}
