//! Which file of a static site answers a path. Pure: paths are looked up in the manifest and never joined to a folder.

use temps_state::{Manifest, StaticFile};

/// The page of a folder.
const INDEX: &str = "index.html";
/// The page for paths that are not there.
const NOT_FOUND: &str = "/404.html";
/// The fewest characters of a fingerprint in a file's name.
const FINGERPRINT_CHARS_MIN: usize = 8;
/// Folders whose files bundlers name by their content.
const FINGERPRINTED_FOLDERS: [&str; 2] = ["/_next/static/", "/_app/immutable/"];

/// What a path leads to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    /// This file, under its path in the manifest.
    File(&'a str, &'a StaticFile),
    /// A folder's page: the path lacks the slash at its end, without which the page's links lead elsewhere.
    Folder,
    /// The site's own page for what is not there.
    NotFoundPage(&'a str, &'a StaticFile),
    /// Nothing.
    Nothing,
}

/// Looks a request's path up, still percent-encoded. `navigation` is true where a browser asks for a page.
pub(crate) fn find<'a>(
    manifest: &'a Manifest,
    path: &str,
    single_page: bool,
    navigation: bool,
) -> Found<'a> {
    let file = |path: &str| manifest.files.get_key_value(path).map(|(k, v)| (k.as_str(), v));
    let decoded = decode(path);
    let candidate = decoded.as_deref().and_then(|path| candidates(path).find_map(|c| file(&c)));
    if let Some((path, found)) = candidate {
        return match is_folder(decoded.as_deref().unwrap_or_default(), path) {
            true => Found::Folder,
            false => Found::File(path, found),
        };
    }
    if single_page
        && decoded.is_some_and(|path| navigation || !has_extension(&path))
        && let Some((path, found)) = file(&format!("/{INDEX}"))
    {
        return Found::File(path, found);
    }
    match file(NOT_FOUND) {
        Some((path, found)) => Found::NotFoundPage(path, found),
        None => Found::Nothing,
    }
}

/// The paths to look for, best first.
fn candidates(path: &str) -> impl Iterator<Item = String> {
    let in_folder = path.ends_with('/').then(|| format!("{path}{INDEX}"));
    let others = (!path.ends_with('/'))
        .then(|| [path.to_owned(), format!("{path}.html"), format!("{path}/{INDEX}")]);
    in_folder.into_iter().chain(others.into_iter().flatten())
}

/// Whether a path without a slash at its end was answered with the page of a folder.
fn is_folder(asked: &str, found: &str) -> bool {
    !asked.is_empty() && !asked.ends_with('/') && found.strip_prefix(asked) == Some("/index.html")
}

fn has_extension(path: &str) -> bool {
    path.rsplit('/').next().is_some_and(|name| name.contains('.'))
}

/// Undoes percent-encoding; `None` where that leaves no UTF-8 text.
fn decode(path: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped = (*first == b'%').then(|| after.get(..2)).flatten();
        match escaped
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok())
        {
            Some(octet) => {
                octets.push(octet);
                rest = &after[2..];
            }
            None => {
                octets.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(octets).ok()
}

/// Whether a file's name changes whenever its content does, so that it can be kept for ever.
pub(crate) fn is_fingerprinted(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    if name.ends_with(".html") || name.ends_with(".htm") {
        return false;
    }
    if FINGERPRINTED_FOLDERS.iter().any(|folder| path.contains(folder)) {
        return true;
    }
    let Some((stem, _)) = name.rsplit_once('.') else {
        return false;
    };
    let after_separator = stem.split(['.', '-', '_', '~']).skip(1).any(is_fingerprint);
    after_separator || last_eight(stem).is_some_and(is_fingerprint)
}

/// The last eight characters after a separator: bundlers' base64url fingerprints may hold separators themselves.
fn last_eight(stem: &str) -> Option<&str> {
    let start = stem.len().checked_sub(FINGERPRINT_CHARS_MIN)?;
    let last = stem.get(start..)?;
    stem.get(..start)?.ends_with(['.', '-']).then_some(last)
}

/// Whether a word looks random: hexadecimal with letters and digits, or letters of both cases in any order. Dates,
/// versions and plain words are not.
fn is_fingerprint(word: &str) -> bool {
    let any = |of: fn(char) -> bool| word.chars().any(of);
    let all = |of: fn(char) -> bool| word.chars().all(of);
    let digit = any(|c| c.is_ascii_digit());
    let lower = any(|c| c.is_ascii_lowercase());
    let upper_inside = word.chars().skip(1).any(|c| c.is_ascii_uppercase());
    let letter = any(|c| c.is_ascii_alphabetic());
    word.len() >= FINGERPRINT_CHARS_MIN
        && all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
        && ((digit && letter) || (lower && upper_inside))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;

    fn manifest(paths: &[&str]) -> Manifest {
        let file = |path: &&str| {
            let file = StaticFile { sha256: "00".into(), bytes: 1, encodings: vec![] };
            ((*path).to_owned(), file)
        };
        let files: BTreeMap<_, _> = paths.iter().map(file).collect();
        Manifest { built_at: Timestamp::UNIX_EPOCH, files }
    }

    const SITE: [&str; 9] = [
        "/index.html",
        "/about.html",
        "/docs/index.html",
        "/docs/intro.html",
        "/both.html",
        "/both/index.html",
        "/assets/app.js",
        "/a file+.txt",
        "/ä.txt",
    ];

    fn found(site: &Manifest, path: &str, single_page: bool, navigation: bool) -> String {
        match find(site, path, single_page, navigation) {
            Found::File(path, _) => path.into(),
            Found::Folder => "308".into(),
            Found::NotFoundPage(path, _) => format!("404 {path}"),
            Found::Nothing => "404".into(),
        }
    }

    #[test]
    fn a_path_leads_to_its_file() {
        let site = manifest(&SITE);
        for (path, file) in [
            ("/", "/index.html"),
            ("/index.html", "/index.html"),
            ("/about", "/about.html"),
            ("/about.html", "/about.html"),
            ("/about/", "404"),
            ("/docs", "308"),
            ("/d%6Fcs", "308"),
            ("/both", "/both.html"),
            ("/docs/", "/docs/index.html"),
            ("/docs/intro", "/docs/intro.html"),
            ("/assets/app.js", "/assets/app.js"),
            ("/assets/app%2ejs", "/assets/app.js"),
            ("/a%20file+.txt", "/a file+.txt"),
            ("/%C3%A4.txt", "/ä.txt"),
            ("/%FF", "404"),
            ("/%", "404"),
            ("/%2", "404"),
            ("/../index.html", "404"),
            ("/%2e%2e/index.html", "404"),
            ("/docs/../index.html", "404"),
            ("/docs%2findex.html", "/docs/index.html"),
            ("//index.html", "404"),
            ("/index.html%00", "404"),
            ("*", "404"),
            ("", "/index.html"),
        ] {
            assert_eq!(found(&site, path, false, true), file, "{path}");
        }
    }

    #[test]
    fn a_single_page_app_answers_its_own_paths() {
        let site = manifest(&SITE);
        for (path, navigation, file) in [
            ("/users/7", true, "/index.html"),
            ("/users/7", false, "/index.html"),
            ("/users/7.json", false, "404"),
            ("/users/v1.2", true, "/index.html"),
            ("/assets/gone.js", false, "404"),
            ("/about", false, "/about.html"),
        ] {
            assert_eq!(found(&site, path, true, navigation), file, "{path}");
        }
    }

    #[test]
    fn a_site_may_have_its_own_404_page() {
        let site = manifest(&["/404.html", "/index.html"]);
        assert_eq!(found(&site, "/gone", false, true), "404 /404.html");
        assert_eq!(found(&site, "/gone", true, true), "/index.html");
        assert_eq!(found(&site, "/gone.js", true, false), "404 /404.html");
    }

    #[test]
    fn fingerprints_are_told_from_words() {
        for path in [
            "/assets/index-DiwrgTda.js",
            "/assets/index-B-x3kD_9.css",
            "/assets/app.3f2a9c1d.js",
            "/assets/app.3f2a9c1d.js.map",
            "/static/js/main.8a7b6c5d.chunk.js",
            "/logo-0a1b2c3d4e5f.svg",
            "/_next/static/chunks/main.js",
            "/_app/immutable/entry/start.js",
        ] {
            assert!(is_fingerprinted(path), "{path}");
        }
        for path in [
            "/assets/app.js",
            "/assets/background-picture.png",
            "/assets/Background.png",
            "/jquery-3.7.1.min.js",
            "/report-20240115.pdf",
            "/index-DiwrgTda.html",
            "/3f2a9c1d.js",
            "/README",
            "/",
        ] {
            assert!(!is_fingerprinted(path), "{path}");
        }
    }

    proptest! {
        #[test]
        fn no_path_leads_outside_the_manifest(
            path in prop_oneof!["\\PC*", "(/|\\.\\.|%2e|%2f|%00|%|[a-z]|ä|\\.html){0,20}"],
            single_page: bool,
            navigation: bool,
        ) {
            let site = manifest(&SITE);
            match find(&site, &path, single_page, navigation) {
                Found::File(file, _) | Found::NotFoundPage(file, _) => {
                    prop_assert!(SITE.contains(&file));
                }
                Found::Folder | Found::Nothing => {}
            }
            is_fingerprinted(&path);
        }
    }
}
