//! Which of a file's encodings a client gets. The build has made them already.

use axum::http::{HeaderMap, header};

/// An encoding that the build makes, by its name in HTTP and the end of its files' names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Encoding {
    pub name: &'static str,
    pub suffix: &'static str,
}

/// The smaller one first.
const MADE: [Encoding; 2] =
    [Encoding { name: "br", suffix: ".br" }, Encoding { name: "gzip", suffix: ".gz" }];

/// Those that the client takes, the best first.
pub(super) fn taken(headers: &HeaderMap) -> impl Iterator<Item = Encoding> {
    let accepted = headers.get_all(header::ACCEPT_ENCODING).iter();
    let accepted = accepted.filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(','));
    let accepted: Vec<&str> = accepted.filter_map(wanted).collect();
    MADE.into_iter()
        .filter(move |made| accepted.iter().any(|one| one.eq_ignore_ascii_case(made.name)))
}

/// The encoding's name, unless the client weighs it with nothing.
fn wanted(part: &str) -> Option<&str> {
    let (name, weight) = part.split_once(';').unwrap_or((part, ""));
    let weight = weight.trim().strip_prefix("q=").map(str::parse::<f32>);
    (!matches!(weight, Some(Ok(0.0)))).then(|| name.trim())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn the_smallest_that_is_taken_comes_first() {
        let names = |accept: &'static str| {
            let accept = (header::ACCEPT_ENCODING, HeaderValue::from_static(accept));
            taken(&HeaderMap::from_iter([accept])).map(|one| one.name).collect::<Vec<_>>()
        };
        assert_eq!(names("gzip, deflate, br, zstd"), ["br", "gzip"]);
        assert_eq!(names("br;q=0, GZIP;q=0.5"), ["gzip"]);
        assert_eq!(names("identity"), [""; 0]);
        assert_eq!(taken(&HeaderMap::new()).count(), 0);
    }
}
