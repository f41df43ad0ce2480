//! One request to a replica, over its own connection.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http::{Request, StatusCode};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use temps_state::HealthCheck;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::health::Answer;

/// How a request failed.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Nothing listens.
    #[error("the connection is refused")]
    Refused,
    /// It could not be connected to.
    #[error("it cannot be connected to: {0}")]
    Connect(io::Error),
    /// It did not answer in time.
    #[error("no answer within {} ms", .0.as_millis())]
    Late(Duration),
    /// It closed the connection without an answer.
    #[error("it closes the connection without an answer")]
    Closed,
    /// It answered, and not in HTTP/1.
    #[error("its answer is not HTTP: {0}")]
    NotHttp(hyper::Error),
}

/// Sends a request and reads the answer's status.
pub async fn send(
    to: SocketAddr,
    request: Request<String>,
    within: Duration,
) -> Result<StatusCode, ProbeError> {
    timeout(within, exchange(to, request)).await.map_err(|_| ProbeError::Late(within))?
}

async fn exchange(to: SocketAddr, request: Request<String>) -> Result<StatusCode, ProbeError> {
    let stream = connect(to).await?;
    let said = |error: hyper::Error| match error.is_parse() {
        true => ProbeError::NotHttp(error),
        false => ProbeError::Closed,
    };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(said)?;
    let answer = async { sender.send_request(request).await.map(|response| response.status()) };
    let mut answer = std::pin::pin!(answer);
    let ended = tokio::select! {
        biased;
        status = &mut answer => return status.map_err(said),
        ended = connection => ended,
    };
    // The connection may end in the very moment in which the answer arrives.
    answer.await.map_err(|error| said(ended.err().unwrap_or(error)))
}

async fn connect(to: SocketAddr) -> Result<TcpStream, ProbeError> {
    TcpStream::connect(to).await.map_err(|error| match error.kind() {
        io::ErrorKind::ConnectionRefused => ProbeError::Refused,
        _ => ProbeError::Connect(error),
    })
}

/// Checks a replica once. Without a path any answer to `GET /` is good, and once it is known to answer, so is a mere
/// connection: an app's home page may be dear.
pub async fn check(to: SocketAddr, host: &str, check: &HealthCheck, answered: bool) -> Answer {
    let within = Duration::from_millis(check.timeout_ms.max(1).into());
    if check.path.is_none() && answered {
        let connected = timeout(within, connect(to)).await;
        return judge(
            check,
            connected.unwrap_or(Err(ProbeError::Late(within))).map(|_| StatusCode::OK),
        );
    }
    let request = Request::get(check.path.as_deref().unwrap_or("/"))
        .header(http::header::HOST, host)
        .header(http::header::USER_AGENT, "temps-health")
        .header(http::header::CONNECTION, "close")
        .body(String::new());
    match request {
        Ok(request) => judge(check, send(to, request, within).await),
        Err(error) => Answer::Bad(format!("its path cannot be asked for: {error}")),
    }
}

/// What an answer means.
fn judge(check: &HealthCheck, answer: Result<StatusCode, ProbeError>) -> Answer {
    let any = check.path.is_none();
    match answer {
        Err(ProbeError::Refused) => Answer::PortClosed,
        Err(ProbeError::NotHttp(_)) if any => Answer::Good,
        Err(error) => Answer::Bad(error.to_string()),
        Ok(_) if any => Answer::Good,
        Ok(status) => match check.status {
            Some(wanted) if status.as_u16() == wanted => Answer::Good,
            Some(wanted) => Answer::Bad(format!("it answers {status} rather than {wanted}")),
            None if status.is_success() || status.is_redirection() => Answer::Good,
            None => Answer::Bad(format!("it answers {status}")),
        },
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Asks a server that answers this and closes.
    async fn ask(answer: &'static str, check_path: Option<&str>) -> Answer {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let to = listener.local_addr().expect("it has an address");
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await?;
            let asked = stream.read(&mut [0; 1024]).await?;
            assert!(asked > 0, "nobody asked");
            stream.write_all(answer.as_bytes()).await
        });
        let path = check_path.map(str::to_owned);
        let health = HealthCheck { path, timeout_ms: 2_000, ..HealthCheck::default() };
        let seen = check(to, "app.test", &health, false).await;
        server.await.expect("it does not panic").expect("it answers");
        seen
    }

    #[tokio::test]
    async fn an_answer_is_judged_by_its_status_only_when_a_path_is_asked_for() {
        let ok = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        let error = "HTTP/1.1 500 Oh\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(ask(ok, Some("/healthz")).await, Answer::Good);
        assert_eq!(ask(error, None).await, Answer::Good);
        assert_eq!(ask("something else\r\n", None).await, Answer::Good);
        let bad = Answer::Bad("it answers 500 Internal Server Error".into());
        assert_eq!(ask(error, Some("/healthz")).await, bad);
        let closed = Answer::Bad("it closes the connection without an answer".into());
        assert_eq!(ask("", None).await, closed);
    }
}
