//! What pages of guards have in common. Pure, but for what is drawn.

/// A page with places to fill in, which are written `{{name}}`.
pub(crate) struct Template(pub(crate) &'static str);

impl Template {
    /// The page with every place filled in, in one pass: what is filled in is not looked through again.
    pub(crate) fn fill(&self, values: &[(&str, &str)]) -> String {
        let mut page = String::with_capacity(self.0.len() + 512);
        let mut rest = self.0;
        while let Some((before, after)) = rest.split_once("{{") {
            let (name, after) = after.split_once("}}").unwrap_or((after, ""));
            page.push_str(before);
            page.push_str(values.iter().find(|(known, _)| *known == name).map_or("", |(_, v)| v));
            rest = after;
        }
        page.push_str(rest);
        page
    }
}

/// What marks a page's own scripts and styles (CSP level 3 §2.3).
pub(crate) fn nonce() -> String {
    hex::encode(rand::random::<[u8; 16]>())
}

/// A text that stands in an attribute or between tags.
pub(crate) fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut escaped, character| {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_filled_in_once() {
        let page = Template("a {{x}} b {{y}}{{z}}{{x}} c");
        assert_eq!(page.fill(&[("x", "{{y}}"), ("y", "1")]), "a {{y}} b 1{{y}} c");
    }

    #[test]
    fn text_stays_text() {
        assert_eq!(escaped("a<b>\"&'"), "a&lt;b&gt;&quot;&amp;&#39;");
    }
}
