//! Paths of the API.

/// A path under `/api`, its segments escaped.
pub fn path(segments: &[&str]) -> String {
    segments.iter().fold("/api".into(), |path, segment| path + "/" + &escape(segment))
}

/// Percent-encodes what is not unreserved (RFC 3986 §2.3).
fn escape(segment: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let escaped = segment.bytes().map(|byte| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    });
    let escaped: String = escaped.collect();
    // A dot segment would climb out of the path.
    if matches!(segment, "." | "..") { escaped.replace('.', "%2E") } else { escaped }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_cannot_be_left() {
        assert_eq!(path(&["projects", "shop"]), "/api/projects/shop");
        assert_eq!(path(&["projects", "../users?x#y"]), "/api/projects/..%2Fusers%3Fx%23y");
        assert_eq!(path(&["projects", ".."]), "/api/projects/%2E%2E");
        assert_eq!(path(&["projects", "ü"]), "/api/projects/%C3%BC");
    }
}
