//! Who asks: logging in, and what proves it with every request.

use reqwest::header::{self, HeaderMap};
use reqwest::{Method, RequestBuilder};

use super::call::Call;
use super::{Client, path};
use crate::error::CliError;

/// Who asks.
#[derive(Clone)]
pub enum Credentials {
    /// Nobody who is known.
    Nobody,
    /// Whoever has this API key.
    Key(String),
    /// Whoever logged in with a password.
    Session {
        /// The session's cookie.
        cookie: String,
        /// What proves that a change was meant.
        csrf_token: String,
    },
}

impl Client {
    /// Logs in with a password; the client that comes back holds the session.
    pub async fn log_in(&self, email: &str, password: &str) -> Result<Self, CliError> {
        let path = path(&["auth", "login"]);
        let body = serde_json::json!({"email": email, "password": password});
        let response =
            self.send(&Call { body: Some(&body), ..Call::new(Method::POST, &path) }).await?;
        let cookie = session_cookie(response.headers());
        let answer = self.answer(response).await?;
        let csrf_token = answer.value["csrf_token"].as_str().unwrap_or_default().to_string();
        match cookie {
            Some(cookie) => {
                let credentials = Credentials::Session { cookie, csrf_token };
                Ok(Self { credentials, ..self.clone() })
            }
            None => Err(self.unreadable("the answer to the login has no session cookie")),
        }
    }

    /// A request with what proves who asks.
    pub(super) fn authenticated(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.credentials {
            Credentials::Nobody => request,
            Credentials::Key(key) => request.bearer_auth(key),
            Credentials::Session { cookie, csrf_token } => {
                request.header(header::COOKIE, cookie).header("x-csrf-token", csrf_token)
            }
        }
    }
}

fn session_cookie(headers: &HeaderMap) -> Option<String> {
    let cookies =
        headers.get_all(header::SET_COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = cookies.filter_map(|cookie| cookie.split(';').next());
    pairs.map(str::trim).find(|pair| pair.starts_with("session=")).map(str::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append("set-cookie", "theme=dark; Path=/".parse().unwrap());
        headers.append("set-cookie", "session=abc; HttpOnly; SameSite=Lax".parse().unwrap());
        assert_eq!(session_cookie(&headers).as_deref(), Some("session=abc"));
        assert_eq!(session_cookie(&HeaderMap::new()), None);
    }
}
