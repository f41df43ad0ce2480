//! The challenge of attack mode: a number to find whose hash begins with zeros. Pure, but for what is drawn.
//!
//! No edge keeps what it asked: a token carries its own end and a signature over whom it was given, and the number is
//! looked for behind that signature. So any edge can check an answer, and each takes one only once.

use sha2::{Digest, Sha256};

use super::page::{Template, nonce};
use super::seal::Seal;
use crate::error_page::{Fault, Page};

/// Where answers are sent, beside the page that asks.
pub(crate) const DOOR: &str = "?_temps=challenge";
/// How many bits of zeros a hash must begin with: about a million tries, a second or two in a browser.
pub(crate) const DIFFICULTY: u32 = 20;
/// For how many seconds a challenge may be answered.
const LIFETIME: u64 = 300;
/// The longest number, in octets.
const NUMBER_BYTES_MAX: usize = 16;
/// Keeps the signatures of tokens apart from those of passes.
const CONTEXT: &str = "challenge";

static PAGE: Template = Template(include_str!("challenge.html"));

/// A token that was answered rightly.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answered<'a> {
    /// What tells it from all others.
    pub(crate) challenge: &'a str,
    /// For how many seconds it could be used again.
    pub(crate) left: u64,
}

/// A challenge for whom it is `bound` to. `now` counts seconds.
fn issue(seal: &Seal, bound: &[&str], now: u64) -> (String, String) {
    let (until, random) = ((now + LIFETIME).to_string(), hex::encode(rand::random::<[u8; 16]>()));
    let challenge = seal.sign(&texts(&until, &random, bound));
    (format!("{until}.{random}.{challenge}"), challenge)
}

fn texts<'a>(until: &'a str, random: &'a str, bound: &[&'a str]) -> Vec<&'a str> {
    [&[CONTEXT, until, random], bound].concat()
}

/// Checks an answer by itself; whether the token was used before is for somebody else to know.
pub(crate) fn check<'a>(
    seal: &Seal,
    bound: &[&str],
    token: &'a str,
    number: &str,
    now: u64,
) -> Option<Answered<'a>> {
    let (until, rest) = token.split_once('.')?;
    let (random, challenge) = rest.split_once('.')?;
    let left = until.parse::<u64>().ok()?.checked_sub(now).filter(|left| *left > 0)?;
    let is_mine = seal.is_mine(&texts(until, random, bound), challenge);
    (is_mine && zeros(challenge, number) >= DIFFICULTY).then_some(Answered { challenge, left })
}

/// With how many bits of zeros the hash begins.
fn zeros(challenge: &str, number: &str) -> u32 {
    if number.len() > NUMBER_BYTES_MAX {
        return 0;
    }
    let hash = Sha256::new().chain_update(challenge).chain_update(number).finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&hash[..8]);
    u64::from_be_bytes(first).leading_zeros()
}

/// The page that has a browser answer.
pub(crate) fn page(seal: &Seal, bound: &[&str], now: u64, request_id: &str) -> Page {
    let (token, challenge) = issue(seal, bound, now);
    let nonce = nonce();
    let bits = DIFFICULTY.to_string();
    let body = PAGE.fill(&[
        ("nonce", &nonce),
        ("request", request_id),
        ("challenge", &challenge),
        ("token", &token),
        ("bits", &bits),
        ("path", DOOR),
    ]);
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; \
         connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    Page::special(&Fault::ChallengeRequired, body, policy)
}

#[cfg(test)]
mod tests {
    use temps_state::ClusterKey;

    use super::*;

    const BOUND: [&str; 3] = ["env_1", "shop.example.com", "192.0.2.1"];

    fn seal(octet: u8) -> Seal {
        Seal::new(Some(&ClusterKey::new([octet; 32])))
    }

    fn solve(challenge: &str) -> String {
        let numbers = (0_u32..).map(|n| format!("{n:08x}"));
        numbers.into_iter().find(|number| zeros(challenge, number) >= DIFFICULTY).unwrap()
    }

    #[test]
    fn an_answer_holds_for_whom_it_was_asked_and_for_its_time() {
        let (token, challenge) = issue(&seal(1), &BOUND, 1_000);
        let number = solve(&challenge);
        let checked = |octet, bound: &[&str], number: &str, now| {
            check(&seal(octet), bound, &token, number, now).map(|answered| answered.left)
        };
        assert_eq!(checked(1, &BOUND, &number, 1_000), Some(LIFETIME));
        assert_eq!(checked(1, &BOUND, &number, 1_000 + LIFETIME - 1), Some(1));
        assert_eq!(checked(1, &BOUND, &number, 1_000 + LIFETIME), None);
        assert_eq!(checked(2, &BOUND, &number, 1_000), None, "another cluster's");
        for bound in [
            ["env_2", BOUND[1], BOUND[2]],
            [BOUND[0], "blog.example.com", BOUND[2]],
            [BOUND[0], BOUND[1], "192.0.2.2"],
        ] {
            assert_eq!(checked(1, &bound, &number, 1_000), None, "{bound:?}");
        }
        for wrong in ["", "0", "zzzzzzzz", &"0".repeat(17)] {
            assert_eq!(checked(1, &BOUND, wrong, 1_000), None, "{wrong}");
        }
        for bad in ["", "1", "1.2", "1.2.3", &token[1..], &token.replacen('.', "..", 1)] {
            assert_eq!(check(&seal(1), &BOUND, bad, &number, 1_000), None, "{bad}");
        }
    }

    #[test]
    fn no_two_challenges_are_the_same() {
        let issued = || issue(&seal(1), &BOUND, 1_000);
        assert_ne!(issued(), issued());
    }

    #[test]
    fn the_page_asks_nobody_else_and_explains_itself_without_scripts() {
        let page = page(&seal(1), &BOUND, 1_000, "01H");
        assert_eq!(page.status, 403);
        assert!(!page.body.contains("{{") && !page.body.contains("http"), "{}", page.body);
        assert!(page.body.contains("<noscript>") && page.body.contains("01H"));
        let policy = page.headers.iter().find(|(name, _)| *name == "Content-Security-Policy");
        let policy = &policy.unwrap().1;
        assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    }
}
