//! Passes: cookies that show what a client has done. Nothing is kept of them; whoever can check the signature knows all.

use http::HeaderMap;
use http::header::COOKIE;

use super::seal::Seal;

/// What a pass shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pass {
    /// That a challenge was solved.
    Solved,
    /// That the password was given.
    Unlocked,
}

impl Pass {
    /// Its cookie.
    fn name(self) -> &'static str {
        match self {
            Self::Solved => "_temps_captcha",
            Self::Unlocked => "_temps_password",
        }
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
        let (name, lifetime) = (self.name(), self.lifetime());
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
        cookies(headers).any(|(name, value)| name == self.name() && is_good(value))
    }

    fn texts<'a>(self, until: &'a str, bound: &[&'a str]) -> Vec<&'a str> {
        [&[self.name(), until], bound].concat()
    }
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
        headers.append(COOKIE, "a=b; _temps_captcha=1.2".parse().unwrap());
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
    fn scripts_and_other_sites_do_not_get_passes() {
        let given = Pass::Unlocked.give(&seal(1), &["env_1"], 0, true);
        assert!(given.starts_with("_temps_password=604800."), "{given}");
        for part in ["; Path=/", "; HttpOnly", "; SameSite=Lax", "; Secure", "; Max-Age=604800"] {
            assert!(given.contains(part), "{given}");
        }
        assert!(!Pass::Unlocked.give(&seal(1), &["env_1"], 0, false).contains("Secure"));
    }
}
