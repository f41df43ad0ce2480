//! Problem documents (RFC 9457): how the API says no.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A refusal as the API sends it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Problem {
    /// What kind of refusal, for people.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What exactly was refused, and why.
    pub detail: String,
    /// What kind of refusal, for programs; stable.
    pub code: String,
    /// What to try next.
    pub hint: Option<String>,
    /// The request, as the server's log names it.
    pub request_id: Option<String>,
}

impl Default for Problem {
    fn default() -> Self {
        Self {
            title: "the server refused the request".into(),
            status: 0,
            detail: String::new(),
            code: "unknown".into(),
            hint: None,
            request_id: None,
        }
    }
}

impl Problem {
    /// Reads an answer's body; one that is no problem document (a proxy's error page, say) still makes a problem.
    pub fn read(status: u16, body: &[u8]) -> Self {
        let document = serde_json::from_slice::<Value>(body).ok().filter(Value::is_object);
        let read = document.and_then(|value| serde_json::from_value::<Self>(value).ok());
        match read {
            Some(problem) => Self { status, title: problem.title.to_lowercase(), ..problem },
            None => Self {
                status,
                detail: format!("the server answered with status {status}"),
                code: format!("http_{status}"),
                ..Self::default()
            },
        }
    }

    /// Whether the cluster has lost its quorum: nothing can be changed until it is back.
    pub fn is_no_quorum(&self) -> bool {
        self.code == "no_quorum"
    }

    /// What is in the way that passes by itself, so that the request is worth repeating. Where a node cannot tell whether
    /// it was done already, only what is `repeatable` may be.
    pub fn passes(&self, repeatable: bool) -> Option<&'static str> {
        match self.code.as_str() {
            "no_quorum" => Some("no quorum"),
            "stopped" => Some("the node's process just ends, perhaps for another one"),
            "outcome_unknown" if repeatable => Some("it took too long"),
            _ => None,
        }
    }

    /// Whether the thing asked for is not there.
    pub fn is_not_found(&self) -> bool {
        self.status == 404
    }

    /// What failed, for those who do not know HTTP by heart.
    pub fn what(&self) -> &str {
        match self.status {
            400 | 422 => "the node cannot use what it was given",
            403 => "you may not do that",
            409 | 412 => "that does not fit how things are",
            507 => "the node's disk is full",
            _ => &self.title,
        }
    }

    /// What to try next: the server's own hint, or the best guess from the status; empty where only the verb's own help
    /// could say.
    pub fn next(&self) -> String {
        if let Some(hint) = self.hint.as_deref().filter(|hint| !hint.is_empty()) {
            return hint.into();
        }
        match self.status {
            401 => "temps login".into(),
            403 => {
                "ask an admin for the permission; what an API key may do shows: temps apikeys list"
                    .into()
            }
            404 => "look at what is there: temps projects list, temps nodes list".into(),
            409 | 412 => {
                "temps projects show, for what is there now; then the same command again".into()
            }
            405 => "this node may run an older version: ask another one, or upgrade it with `temps upgrade`".into(),
            429 => "wait a minute, and try again".into(),
            _ if self.is_no_quorum() => "temps status".into(),
            500.. => {
                "temps status; if it stays, the log of `temps serve` on that node says more".into()
            }
            _ => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_document_is_read_with_its_code_and_hint() {
        let body =
            br#"{"title":"No quorum","code":"no_quorum","detail":"d","hint":"temps nodes","x":1}"#;
        let problem = Problem::read(503, body);
        assert!(problem.is_no_quorum());
        assert_eq!(problem.status, 503);
        assert_eq!(problem.next(), "temps nodes");
    }

    #[test]
    fn any_other_body_makes_a_problem_too() {
        for body in [b"<html>".as_slice(), b"", b"[]", b"\"x\"", br#"{"title":7}"#] {
            let problem = Problem::read(502, body);
            assert_eq!(problem.code, "http_502");
            assert!(!problem.detail.is_empty());
        }
    }

    #[test]
    fn what_passes_is_worth_repeating_where_that_is_safe() {
        for (code, repeatable, passes) in [
            ("no_quorum", false, true),
            ("stopped", false, true),
            ("outcome_unknown", true, true),
            ("outcome_unknown", false, false),
            ("busy", true, false),
        ] {
            let problem = Problem { code: code.into(), ..Problem::default() };
            assert_eq!(problem.passes(repeatable).is_some(), passes, "{code} {repeatable}");
        }
    }

    #[test]
    fn every_status_has_a_next_step() {
        for status in [401, 403, 404, 409, 412, 429, 500, 503] {
            assert!(!Problem::read(status, b"").next().is_empty());
        }
    }
}
