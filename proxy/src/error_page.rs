//! What a client gets instead of an answer: what failed, why, and what to do next. Pure.

use std::borrow::Cow;

use serde_json::json;
use temps_state::Name;

/// Why the edge answers by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The request is malformed; the text says how.
    BadRequest(&'static str),
    /// The project is disabled.
    Disabled,
    /// A request to an internal name does not come from a container of this node.
    UnknownCaller,
    /// A request to an internal name comes from another project, which may not call this one.
    OtherProject {
        /// Whose app asks.
        caller: Name,
        /// Whose app is asked.
        called: Name,
    },
    /// The client's address is kept out.
    AddressDenied,
    /// The client's country is kept out.
    CountryDenied,
    /// The client must solve a challenge, which takes a browser.
    ChallengeRequired,
    /// The answer to a challenge is wrong, late, or was given before.
    WrongAnswer,
    /// The environment has a password.
    PasswordRequired,
    /// That was not the password.
    WrongPassword,
    /// There were too many tries of passwords; the next may come in so many seconds.
    TooManyPasswords(u64),
    /// There were too many requests; the next may come in so many seconds.
    TooManyRequests(u64),
    /// Too many requests of the client are with apps already.
    TooManyAtOnce,
    /// Too many requests are with apps already.
    Overloaded,
    /// A static site has no such file.
    NotFound,
    /// A static site answers GET and HEAD only; no host answers CONNECT.
    MethodNotAllowed,
    /// The client stalled while sending the body.
    RequestTimeout,
    /// A static file is not what `If-Match` or `If-Unmodified-Since` asked for.
    PreconditionFailed,
    /// The body has more octets than this.
    BodyTooLarge(u64),
    /// A static file has only this many octets.
    RangeNotSatisfiable(u64),
    /// The headers have too many octets, or are too many.
    HeadersTooLarge,
    /// A fault of the platform.
    Internal,
    /// No replica could be reached, or it broke off.
    BadGateway,
    /// None of the nodes that run its replicas could be reached.
    NodeUnreachable,
    /// No route has that host.
    UnknownHost,
    /// The environment has no deployment yet.
    NothingDeployed,
    /// None of its replicas is healthy.
    NoHealthyReplica,
    /// The app took too long.
    GatewayTimeout,
}

impl Fault {
    /// The HTTP status.
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::BadRequest(_) => 400,
            Self::Disabled | Self::UnknownCaller | Self::OtherProject { .. } => 403,
            Self::AddressDenied | Self::CountryDenied => 403,
            Self::ChallengeRequired | Self::WrongAnswer => 403,
            Self::PasswordRequired | Self::WrongPassword => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::RequestTimeout => 408,
            Self::PreconditionFailed => 412,
            Self::BodyTooLarge(_) => 413,
            Self::RangeNotSatisfiable(_) => 416,
            Self::TooManyPasswords(_) | Self::TooManyRequests(_) | Self::TooManyAtOnce => 429,
            Self::HeadersTooLarge => 431,
            Self::Internal => 500,
            Self::BadGateway | Self::NodeUnreachable => 502,
            Self::UnknownHost
            | Self::NothingDeployed
            | Self::NoHealthyReplica
            | Self::Overloaded => 503,
            Self::GatewayTimeout => 504,
        }
    }

    /// The stable name for programs.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::BadRequest(_) => "bad_request",
            Self::Disabled => "project_disabled",
            Self::UnknownCaller => "unknown_caller",
            Self::OtherProject { .. } => "other_project",
            Self::AddressDenied => "address_denied",
            Self::CountryDenied => "country_denied",
            Self::ChallengeRequired => "challenge_required",
            Self::WrongAnswer => "wrong_answer",
            Self::PasswordRequired => "password_required",
            Self::WrongPassword => "wrong_password",
            Self::TooManyPasswords(_) => "too_many_passwords",
            Self::TooManyRequests(_) => "too_many_requests",
            Self::TooManyAtOnce => "too_many_at_once",
            Self::Overloaded => "overloaded",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::RequestTimeout => "request_timeout",
            Self::PreconditionFailed => "precondition_failed",
            Self::BodyTooLarge(_) => "body_too_large",
            Self::RangeNotSatisfiable(_) => "range_not_satisfiable",
            Self::HeadersTooLarge => "headers_too_large",
            Self::Internal => "internal",
            Self::BadGateway => "bad_gateway",
            Self::NodeUnreachable => "node_unreachable",
            Self::UnknownHost => "unknown_host",
            Self::NothingDeployed => "nothing_deployed",
            Self::NoHealthyReplica => "no_healthy_replica",
            Self::GatewayTimeout => "gateway_timeout",
        }
    }

    /// What failed, why, and what to do next.
    fn words(&self) -> (&'static str, String, Cow<'static, str>) {
        let (what, why, next) = match self {
            Self::BadRequest(why) => ("The request is malformed", *why, "Correct the request."),
            Self::Disabled => (
                "This project is disabled",
                "its owner has switched it off",
                "If it is yours, enable it in its settings.",
            ),
            Self::UnknownCaller => (
                "This name is for apps only",
                "the request does not come from a running app on this node",
                "Ask from an app of a project that may; from elsewhere, use the app's public address.",
            ),
            Self::OtherProject { caller, called } => {
                let why = format!("{called} does not let apps of {caller} call its own");
                let next = format!(
                    "Let them: temps projects callers allow {caller} -p {called}; or use the app's public address."
                );
                return ("This app belongs to another project", why, next.into());
            }
            Self::AddressDenied => (
                "You are not let in from here",
                "the rules of this site keep your address out",
                "If it is yours, see `temps guards show`.",
            ),
            Self::CountryDenied => (
                "You are not let in from here",
                "the rules of this site keep your country out",
                "If it is yours, see `temps guards show`.",
            ),
            Self::ChallengeRequired => (
                "This takes a browser right now",
                "the site has its visitors solve a challenge first, which is a script on its pages",
                "Open it in a browser with JavaScript; if it is yours, see `temps guards show`.",
            ),
            Self::WrongAnswer => (
                "The answer was not taken",
                "it is wrong, came late, or was given before",
                "Load the page again.",
            ),
            Self::PasswordRequired => (
                "This site has a password",
                "nobody has given it here yet, or it was changed",
                "Open the site in a browser and give the password.",
            ),
            Self::WrongPassword => (
                "That is not the password",
                "it differs from the one that was set",
                "Try again, or ask whoever runs the site.",
            ),
            Self::TooManyPasswords(_) => (
                "There were too many tries",
                "only so many passwords may be tried in a minute",
                "Wait a minute, then try again.",
            ),
            Self::TooManyRequests(_) => (
                "There were too many requests",
                "only so many may come in a time",
                "Wait as long as `Retry-After` says; if the site is yours, see `temps guards show`.",
            ),
            Self::TooManyAtOnce => (
                "Too many requests are under way",
                "only so many of one client are answered at the same time",
                "Wait for some of them to end, then try again.",
            ),
            Self::Overloaded => (
                "This node has too much to do",
                "as many requests as it can hold are under way",
                "Try again in a moment.",
            ),
            Self::NotFound => (
                "There is nothing here",
                "the site has no file at this address",
                "Check the address, or go to the start page.",
            ),
            Self::MethodNotAllowed => (
                "This method is not allowed here",
                "static files answer GET and HEAD, and no host is a CONNECT proxy",
                "Use GET or HEAD.",
            ),
            Self::RequestTimeout => (
                "The request took too long to arrive",
                "nothing of its body came for a minute",
                "Try again.",
            ),
            Self::PreconditionFailed => (
                "The file has changed",
                "it is not the version that the request's condition names",
                "Fetch the file again.",
            ),
            Self::BodyTooLarge(max) => {
                let why = format!("a request body may have {max} octets");
                return (
                    "The request is too large",
                    why,
                    "Send less, or have an admin raise the setting `edge.body_bytes_max`.".into(),
                );
            }
            Self::RangeNotSatisfiable(bytes) => {
                let why = format!("the file has {bytes} octets");
                return ("The file has no such part", why, "Ask for a part within it.".into());
            }
            Self::HeadersTooLarge => (
                "The request's headers are too large",
                "they have too many octets or are too many",
                "Delete this site's cookies, or have an admin raise `edge.header_bytes_max` or `edge.headers_max`.",
            ),
            Self::Internal => (
                "Something went wrong here",
                "the platform failed, not the app",
                "Try again; if it stays so, give an admin the request id.",
            ),
            Self::BadGateway => (
                "The app did not answer",
                "it refused the connection or broke it off",
                "Try again; if it is yours, see its logs with `temps logs`.",
            ),
            Self::NodeUnreachable => (
                "The app cannot be reached right now",
                "it runs on another node, which this one cannot reach",
                "Try again in a moment; if it is yours, see `temps status`.",
            ),
            Self::UnknownHost => (
                "There is no app under this name",
                "no environment has this host name",
                "Check the address; `temps environments` lists those that exist.",
            ),
            Self::NothingDeployed => (
                "Nothing is deployed here yet",
                "the environment exists but has no live deployment",
                "If it is yours, run `temps deploy`.",
            ),
            Self::NoHealthyReplica => (
                "The app is not available right now",
                "none of its replicas is healthy",
                "Try again in a moment; if it is yours, see `temps status` and `temps logs`.",
            ),
            Self::GatewayTimeout => (
                "The app took too long to answer",
                "nothing of its answer came within the time allowed",
                "Try again; if it is yours, see its logs with `temps logs`.",
            ),
        };
        (what, why.into(), next.into())
    }
}

/// The type of pages for people.
const HTML: &str = "text/html; charset=utf-8";

/// An answer of the edge's own.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The body's type.
    pub(crate) content_type: &'static str,
    /// Headers beyond the usual ones.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// The body.
    pub(crate) body: String,
}

impl Page {
    /// The page for a fault, as JSON where `accept` asks for it and as HTML elsewhere.
    pub(crate) fn new(fault: &Fault, request_id: &str, accept: &str) -> Self {
        let (content_type, body) = if wants_json(accept) {
            ("application/problem+json", problem(fault, request_id))
        } else {
            (HTML, html(fault, request_id))
        };
        Self { status: fault.status(), content_type, headers: headers(fault), body }
    }

    /// The problem document for a fault.
    pub(crate) fn problem(fault: &Fault, request_id: &str) -> Self {
        Self::new(fault, request_id, "application/problem+json")
    }

    /// A page of its own for a fault, which may load what its content security policy allows.
    pub(crate) fn special(fault: &Fault, body: String, policy: String) -> Self {
        let mut headers = headers(fault);
        headers.push(("Content-Security-Policy", policy));
        headers.push(("Referrer-Policy", "same-origin".into()));
        headers.push(("X-Content-Type-Options", "nosniff".into()));
        Self { status: fault.status(), content_type: HTML, headers, body }
    }

    /// Tells a script that all is well, and gives its browser a cookie.
    pub(crate) fn passed(cookie: String) -> Self {
        let headers = vec![("Cache-Control", "no-store".into()), ("Set-Cookie", cookie)];
        let body = r#"{"passed":true}"#.into();
        Self { status: 200, content_type: "application/json", headers, body }
    }

    /// Sends a browser on to a path, with a cookie.
    pub(crate) fn sends_on(to: &str, cookie: String) -> Self {
        let headers = vec![
            ("Cache-Control", "no-store".into()),
            ("Location", to.to_owned()),
            ("Set-Cookie", cookie),
        ];
        Self { status: 303, content_type: HTML, headers, body: String::new() }
    }

    /// The page as a whole HTTP/1.1 answer that ends the connection.
    pub(crate) fn to_http1(&self, request_id: &str) -> String {
        let extra: String =
            self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let (status, content_type, length) = (self.status, self.content_type, self.body.len());
        let reason = http::StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason());
        format!(
            "HTTP/1.1 {status} {}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\
             X-Request-ID: {request_id}\r\n{extra}Connection: close\r\n\r\n{}",
            reason.unwrap_or("Error"),
            self.body,
        )
    }
}

/// Whether a client shows pages to people.
pub(crate) fn wants_html(accept: &str) -> bool {
    accept.contains("text/html") && !wants_json(accept)
}

fn wants_json(accept: &str) -> bool {
    let json = accept.find("json");
    let html = accept.find("text/html");
    json.is_some_and(|json| html.is_none_or(|html| json < html))
}

fn headers(fault: &Fault) -> Vec<(&'static str, String)> {
    let mut headers = vec![("Cache-Control", "no-store".to_owned())];
    match fault {
        Fault::MethodNotAllowed => headers.push(("Allow", "GET, HEAD".into())),
        Fault::RangeNotSatisfiable(bytes) => {
            headers.push(("Content-Range", format!("bytes */{bytes}")));
        }
        Fault::NoHealthyReplica | Fault::NothingDeployed | Fault::NodeUnreachable => {
            headers.push(("Retry-After", "5".into()));
        }
        Fault::TooManyAtOnce | Fault::Overloaded => headers.push(("Retry-After", "1".into())),
        Fault::AddressDenied => headers.push(("X-Blocked-Reason", "address".into())),
        Fault::CountryDenied => headers.push(("X-Blocked-Reason", "country".into())),
        Fault::ChallengeRequired => headers.push(("X-Challenge-Required", "true".into())),
        Fault::TooManyPasswords(wait) | Fault::TooManyRequests(wait) => {
            headers.push(("Retry-After", wait.to_string()));
        }
        _ => {}
    }
    headers
}

/// A problem document, RFC 9457.
fn problem(fault: &Fault, request_id: &str) -> String {
    let (what, why, next) = fault.words();
    json!({
        "type": "about:blank",
        "title": what,
        "status": fault.status(),
        "detail": why,
        "code": fault.code(),
        "hint": next,
        "request_id": request_id,
    })
    .to_string()
}

fn html(fault: &Fault, request_id: &str) -> String {
    let (what, why, next) = fault.words();
    let (status, why) = (fault.status(), sentence(&why));
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{status} {what}</title>\
         <style>body{{font:16px/1.5 system-ui,sans-serif;max-width:34em;margin:15vh auto;padding:0 1em;\
         color:#222;background:#fff}}small{{color:#666}}@media(prefers-color-scheme:dark)\
         {{body{{color:#ddd;background:#111}}small{{color:#999}}}}</style>\
         <h1>{what}</h1><p>{why} {next}</p><small>{status} · request {request_id}</small></html>"
    )
}

fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_get_json_and_people_get_html() {
        for (accept, json) in [
            ("", false),
            ("*/*", false),
            ("text/html,application/xhtml+xml", false),
            ("application/json", true),
            ("application/problem+json", true),
            ("application/json, text/html;q=0.1", true),
            ("text/html, application/json", false),
        ] {
            let page = Page::new(&Fault::UnknownHost, "01H", accept);
            assert_eq!(page.content_type == "application/problem+json", json, "{accept}");
            assert!(page.body.contains("01H"));
            assert!(page.body.contains("There is no app under this name"));
        }
    }

    #[test]
    fn a_page_can_be_sent_by_hand() {
        let page = Page::new(&Fault::HeadersTooLarge, "01H", "");
        let text = page.to_http1("01H");
        assert!(text.starts_with("HTTP/1.1 431 Request Header Fields Too Large\r\n"), "{text}");
        let (_, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(text.contains(&format!("Content-Length: {}\r\n", body.len())));
    }
}
