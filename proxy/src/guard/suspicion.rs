//! Requests that no visitor makes: those of scanners that try what is often left open. Pure.

use std::borrow::Cow;

/// How much of a path and a query is looked at, in octets.
const LOOKED_AT_MAX: usize = 2_048;

/// What scanners ask for, in lower case: parts of paths and queries.
const SOUGHT: [&str; 26] = [
    "/.env",
    "/.git/",
    "/.svn/",
    "/.aws/",
    "/.ssh/",
    "/.htpasswd",
    "/.ds_store",
    "/wp-login.php",
    "/wp-admin/",
    "/wp-config",
    "/xmlrpc.php",
    "/phpmyadmin",
    "/phpinfo",
    "/vendor/phpunit",
    "/cgi-bin/",
    "/boaform/",
    "/hnap1",
    "/etc/passwd",
    "/proc/self/",
    "../",
    "..\\",
    "${jndi:",
    "<script",
    "union select",
    "union all select",
    "' or '1'='1",
];

/// What scanners call themselves, in lower case.
const SCANNERS: [&str; 12] = [
    "sqlmap",
    "nikto",
    "nmap",
    "masscan",
    "zgrab",
    "nuclei",
    "wpscan",
    "dirbuster",
    "gobuster",
    "feroxbuster",
    "hydra",
    "${jndi:",
];

/// Whether a request looks like a scanner's. `target` is the path and the query as they came.
pub(crate) fn is_suspicious(target: &str, user_agent: &str) -> bool {
    if user_agent.is_empty() || has_any(&user_agent.to_ascii_lowercase(), &SCANNERS) {
        return true;
    }
    has_any(&plain(target), &SOUGHT)
}

fn has_any(text: &str, parts: &[&str]) -> bool {
    parts.iter().any(|part| text.contains(part))
}

/// The beginning of a target in lower case, percent-decoded once, blanks as blanks.
fn plain(target: &str) -> String {
    let end = (0..=LOOKED_AT_MAX.min(target.len())).rev().find(|end| target.is_char_boundary(*end));
    let looked_at = &target[..end.unwrap_or_default()];
    let text: Cow<'_, str> = match looked_at.contains(['%', '+']) {
        true => decoded(looked_at).into(),
        false => looked_at.into(),
    };
    text.to_ascii_lowercase()
}

fn decoded(text: &str) -> String {
    // The decoder of forms reads pairs; without `=` and `&` there is one, which is only a name.
    let whole = text.replace('&', "%26").replace('=', "%3d");
    form_urlencoded::parse(whole.as_bytes()).map(|(name, _)| name.into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

    #[test]
    fn visitors_are_not_suspicious() {
        for target in [
            "/",
            "/environment",
            "/docs/git/",
            "/search?q=union+station&select=all",
            "/a/b.git/info/refs?service=git-upload-pack",
            "/article/how-to-protect-wp-login",
            "/%E2%82%AC?x=100%25",
            "*",
            "",
        ] {
            assert!(!is_suspicious(target, BROWSER), "{target}");
        }
        assert!(!is_suspicious("/", "curl/8.5"));
    }

    #[test]
    fn scanners_are() {
        for target in [
            "/.env",
            "/app/.ENV.local",
            "/.git/config",
            "/%2egit/config",
            "/wp-login.php",
            "/static/..%2f..%2fetc/passwd",
            "/a/../../b",
            "/?q=1+UNION+SELECT+password",
            "/?id=1%27%20or%20%271%27%3D%271",
            "/?x=%24%7Bjndi:ldap://a}",
            "/?x=<script>",
            "/cgi-bin/test",
        ] {
            assert!(is_suspicious(target, BROWSER), "{target}");
        }
        for agent in ["", "sqlmap/1.8", "Mozilla/5.0 zgrab/0.x", "${jndi:ldap://a}"] {
            assert!(is_suspicious("/", agent), "{agent}");
        }
    }

    #[test]
    fn only_the_beginning_is_looked_at() {
        let long = format!("/{}/.env", "ä".repeat(LOOKED_AT_MAX));
        assert!(!is_suspicious(&long, BROWSER));
    }
}
