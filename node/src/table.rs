//! Tables for people: aligned columns, an upper-case header, no lines.

use comfy_table::{Table, presets};

/// Rows under a header; an empty table says so instead.
pub fn table<const N: usize>(
    header: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
    when_empty: &str,
) -> String {
    let rows: Vec<[String; N]> = rows.into_iter().collect();
    if rows.is_empty() {
        return when_empty.into();
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.map(str::to_uppercase)).add_rows(rows);
    flush_left(&table)
}

/// Names and values, one pair a line.
pub fn pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, String)>) -> String {
    let mut table = Table::new();
    let rows = pairs.into_iter().map(|(name, value)| [name.to_string(), value]);
    table.load_style(presets::NOTHING).add_rows(rows);
    flush_left(&table)
}

fn flush_left(table: &Table) -> String {
    let lines = table.lines();
    lines
        .map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_string() + "\n")
        .collect::<String>()
        .trim_end()
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_the_header_is_upper_case() {
        let rows = [["shop".to_string(), "2".into()], ["a-long-name".to_string(), "10".into()]];
        let text = table(["name", "replicas"], rows, "none");
        assert_eq!(text, "NAME         REPLICAS\nshop         2\na-long-name  10");
    }

    #[test]
    fn an_empty_table_says_so() {
        assert_eq!(table(["name"], [], "No projects yet."), "No projects yet.");
    }

    #[test]
    fn pairs_are_aligned() {
        let text = pairs([("id", "1".to_string()), ("name", "x".into())]);
        assert_eq!(text, "id    1\nname  x");
    }
}
