//! Passes: cookies that show what a client has done. Nothing is kept of them; whoever can check the signature knows all.
//! Each environment has its own, as one host may lead to several, and no app is shown them.

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

use super::seal::Seal;

/// What the names of all passes begin with.
const PREFIX: &str = "_temps_";

/// What a pass shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pass {
    /// That a challenge was solved.
    Solved,
    /// That the password was given.
    Unlocked,
}

impl Pass {
    fn word(self) -> &'static str {
        match self {
            Self::Solved => "captcha",
            Self::Unlocked => "password",
        }
    }

    /// Its cookie; the first of what it is bound to is the environment.
    fn name(self, bound: &[&str]) -> String {
        format!("{PREFIX}{}_{}", self.word(), bound.first().unwrap_or(&""))
    }

    /// For how many seconds it lasts: a day for who solved a challenge, a week for who knows the password.
    fn lifetime(self) -> u64 {
        match self {
            Self::Solved => 24 * 3_600,
            Self::Unlocked => 7 * 24 * 3_600,
        }
    }

    /// The `Set-Cookie` that gives it to a client. `bound` is what it holds for; `now` counts seconds.
    pub(crate) fn give(self, seal: &Seal, bound: &[&str], now: u64, https: bool) -> String {
        let (name, lifetime) = (self.name(bound), self.lifetime());
        let until = (now + lifetime).to_string();
        let signature = seal.sign(&self.texts(&until, bound));
        let secure = if https { "; Secure" } else { "" };
        format!(
            "{name}={until}.{signature}; Path=/; Max-Age={lifetime}; HttpOnly; SameSite=Lax{secure}"
        )
    }

    /// Whether a request brings it.
    pub(crate) fn is_shown(
        self,
        headers: &HeaderMap,
        seal: &Seal,
        bound: &[&str],
        now: u64,
    ) -> bool {
        let is_good = |value: &str| {
            let Some((until, signature)) = value.split_once('.') else { return false };
            let lasts = until.parse::<u64>().is_ok_and(|until| now < until);
            lasts && seal.is_mine(&self.texts(until, bound), signature)
        };
        let mine = self.name(bound);
        cookies(headers).any(|(name, value)| name == mine && is_good(value))
    }

    fn texts<'a>(self, until: &'a str, bound: &[&'a str]) -> Vec<&'a str> {
        [&[self.word(), until], bound].concat()
    }
}

/// Takes passes out of a request, which is none of the app's business: it could pass them on.
pub(crate) fn strip(headers: &mut HeaderMap) {
    let has =
        |line: &HeaderValue| line.as_bytes().windows(PREFIX.len()).any(|w| w == PREFIX.as_bytes());
    if !headers.get_all(COOKIE).iter().any(has) {
        return;
    }
    let lines: Vec<HeaderValue> = headers.get_all(COOKIE).iter().filter_map(stripped).collect();
    headers.remove(COOKIE);
    for line in lines {
        headers.append(COOKIE, line);
    }
}

/// A line without passes; nothing where nothing is left.
fn stripped(line: &HeaderValue) -> Option<HeaderValue> {
    let is_pass = |pair: &&[u8]| pair.trim_ascii_start().starts_with(PREFIX.as_bytes());
    let kept = line.as_bytes().split(|octet| *octet == b';').filter(|pair| !is_pass(pair));
    let kept = kept.collect::<Vec<_>>().join(&b';');
    let kept = kept.trim_ascii();
    if kept.is_empty() { None } else { HeaderValue::from_bytes(kept).ok() }
}

fn cookies(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='))
}

#[cfg(test)]
mod tests {
    use temps_state::ClusterKey;

    use super::*;

    fn seal(octet: u8) -> Seal {
        Seal::new(Some(&ClusterKey::new([octet; 32])))
    }

    /// What a client sends that was given a cookie, among others.
    fn kept(given: &str) -> HeaderMap {
        let pair = given.split(';').next().unwrap();
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, "a=b; _temps_captcha_env_1=1.2".parse().unwrap());
        headers.append(COOKIE, format!("c; {pair} ;d=e").parse().unwrap());
        headers
    }

    #[test]
    fn a_pass_holds_for_what_it_was_given_for_and_for_its_time() {
        let given = Pass::Solved.give(&seal(1), &["env_1", "192.0.2.1"], 1_000, false);
        let headers = kept(&given);
        let shown = |pass: Pass, octet, bound: &[&str], now| {
            pass.is_shown(&headers, &seal(octet), bound, now)
        };
        let end = 1_000 + Pass::Solved.lifetime();
        assert!(shown(Pass::Solved, 1, &["env_1", "192.0.2.1"], 1_000));
        assert!(shown(Pass::Solved, 1, &["env_1", "192.0.2.1"], end - 1));
        assert!(!shown(Pass::Solved, 1, &["env_1", "192.0.2.1"], end));
        assert!(!shown(Pass::Solved, 1, &["env_2", "192.0.2.1"], 1_000));
        assert!(!shown(Pass::Solved, 1, &["env_1", "192.0.2.2"], 1_000));
        assert!(!shown(Pass::Unlocked, 1, &["env_1", "192.0.2.1"], 1_000));
        assert!(!shown(Pass::Solved, 2, &["env_1", "192.0.2.1"], 1_000));
        assert!(!Pass::Solved.is_shown(&HeaderMap::new(), &seal(1), &["env_1"], 1_000));
        let longer = given.replacen(&end.to_string(), &(end + 1).to_string(), 1);
        let bound = ["env_1", "192.0.2.1"];
        assert!(!Pass::Solved.is_shown(&kept(&longer), &seal(1), &bound, 1_000));
    }

    #[test]
    fn passes_of_two_environments_stand_beside_each_other() {
        let (one, two) = (["env_1", "192.0.2.1"], ["env_2", "192.0.2.1"]);
        let mut headers = kept(&Pass::Solved.give(&seal(1), &one, 0, false));
        let other = Pass::Solved.give(&seal(1), &two, 0, false);
        headers.append(COOKIE, other.split(';').next().unwrap().parse().unwrap());
        for bound in [one, two] {
            assert!(Pass::Solved.is_shown(&headers, &seal(1), &bound, 1), "{bound:?}");
        }
    }

    #[test]
    fn apps_see_no_passes() {
        for (sent, seen) in [
            (vec!["a=b"], vec!["a=b"]),
            (vec!["a=b; _temps_captcha_x=1.2; c=d"], vec!["a=b; c=d"]),
            (vec!["_temps_password_x=1.2;c=d", "e=f"], vec!["c=d", "e=f"]),
            (vec!["_temps_password_x=1.2"], vec![]),
            (vec!["a=_temps_; my_temps_=1"], vec!["a=_temps_; my_temps_=1"]),
        ] {
            let lines = sent.iter().map(|line| (COOKIE, line.parse().unwrap()));
            let mut headers: HeaderMap = lines.collect();
            strip(&mut headers);
            let left: Vec<_> = headers.get_all(COOKIE).iter().collect();
            assert_eq!(left, seen, "{sent:?}");
        }
    }

    #[test]
    fn scripts_and_other_sites_do_not_get_passes() {
        let given = Pass::Unlocked.give(&seal(1), &["env_1"], 0, true);
        assert!(given.starts_with("_temps_password_env_1=604800."), "{given}");
        for part in ["; Path=/", "; HttpOnly", "; SameSite=Lax", "; Secure", "; Max-Age=604800"] {
            assert!(given.contains(part), "{given}");
        }
        assert!(!Pass::Unlocked.give(&seal(1), &["env_1"], 0, false).contains("Secure"));
    }
}
