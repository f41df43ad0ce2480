//! The corpus of malformed and ambiguous HTTP/1 requests, sent to an edge before an app that keeps what it gets.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::corpus::{Case, Wanted, WantedRequest, cases};
use crate::support::recorder::{Got, Received, Recorder, requests};
use crate::support::{PATIENCE, TestEdge};

/// How long a client waits for an answer to something unfinished before it ends the connection itself. Nothing depends on
/// it: a request that the edge would hand on after that is seen all the same.
const CHANCE: Duration = Duration::from_millis(50);
/// How long it waits for an answer that must come.
const LONG: Duration = Duration::from_secs(2);
/// Edges that the cases are spread over.
const LANES: usize = 4;
/// Headers that the edge sets itself, or that concern one connection only.
const NOT_END_TO_END: &[&str] = &[
    "connection",
    "content-length",
    "expect",
    "forwarded",
    "http2-settings",
    "keep-alive",
    "proxy",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "x-client-ip",
    "x-environment-id",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-mine",
    "x-project-id",
    "x-real-ip",
    "x-request-id",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_malformed_is_refused_and_what_is_not_arrives_once() {
    let all = cases(include_str!("../corpus/http1.txt"));
    assert!(all.len() > 1_000, "{} cases", all.len());
    let share = all.len().div_ceil(LANES);
    let lanes: Vec<_> = all.chunks(share).map(|c| tokio::spawn(check_all(c.to_vec()))).collect();
    let mut wrong = Vec::new();
    for lane in lanes {
        wrong.extend(lane.await.expect("a lane that ends"));
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), all.len(), wrong.join("\n"));
}

#[tokio::test]
async fn a_connection_that_names_what_an_app_needs_is_refused_with_the_reason() {
    let mut edge = TestEdge::start().await;
    let app = Recorder::start().await;
    edge.app("shop", &[app.addr]).await;
    let head =
        "GET / HTTP/1.1\r\nHost: shop-production.localho.st\r\nConnection: close, Host\r\n\r\n";
    let mut stream = TcpStream::connect(edge.http).await.expect("it listens");
    stream.write_all(head.as_bytes()).await.expect("it takes a head");
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await.expect("an end").expect("text");
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("Connection names a header that may not be named there"), "{answer}");
}

async fn check_all(cases: Vec<Case>) -> Vec<String> {
    let mut edge = TestEdge::start_with(|settings| settings.edge.header_seconds_max = 1).await;
    let app = Recorder::start().await;
    edge.app("shop", &[app.addr]).await;
    let mut wrong = Vec::new();
    for case in cases {
        let answers = send(&edge, &case).await;
        let got = app.take();
        if let Err(why) = judge(&case, &answers, &got) {
            let Case { name, wanted, .. } = case;
            wrong.push(format!(
                "{name}: {why}\n  wanted {wanted:?}\n  {:.900}\n  {answers:.300?}",
                format!("{got:?}")
            ));
        }
    }
    wrong
}

/// Sends the octets, and gives what comes back until the edge closes the connection.
async fn send(edge: &TestEdge, case: &Case) -> String {
    let mut stream = TcpStream::connect(edge.http).await.expect("it listens");
    // The edge may have refused it before it is out.
    let _ = stream.write_all(&case.octets).await;
    let mut answers = Vec::new();
    let ended = match &case.wanted {
        Wanted::Requests(requests) => {
            let answered = read_answers(&mut stream, &mut answers, requests.len());
            let _ = timeout(LONG, answered).await;
            false
        }
        Wanted::Refused => timeout(CHANCE, stream.read_to_end(&mut answers)).await.is_ok(),
        Wanted::Status(_) | Wanted::Harmless => {
            timeout(LONG, stream.read_to_end(&mut answers)).await.is_ok()
        }
    };
    if !ended {
        let _ = stream.shutdown().await;
        let _ = timeout(PATIENCE, stream.read_to_end(&mut answers)).await.expect("an end");
    }
    String::from_utf8_lossy(&answers).into_owned()
}

async fn read_answers(stream: &mut TcpStream, answers: &mut Vec<u8>, count: usize) {
    let answered = |a: &[u8]| a.windows(9).filter(|w| *w == b"HTTP/1.1 ").count() >= count;
    while !(answered(answers) && answers.ends_with(b"ok") || answers.ends_with(b"\r\n\r\n")) {
        if stream.read_buf(answers).await.unwrap_or(0) == 0 {
            return;
        }
    }
}

fn judge(case: &Case, answers: &str, got: &Got) -> Result<(), String> {
    if !got.broken.is_empty() || got.whole.iter().any(|r| r.line.contains("/smuggled")) {
        return Err("something was smuggled".into());
    }
    let status = answers.get(9..12).and_then(|status| status.parse::<u16>().ok());
    match &case.wanted {
        Wanted::Requests(wanted) => return compare(case, wanted, &got.whole),
        Wanted::Harmless => return Ok(()),
        _ if !got.whole.is_empty() => return Err("it was handed on".into()),
        Wanted::Status(wanted) if status != Some(*wanted) => return Err("another answer".into()),
        Wanted::Refused if status.is_some_and(|status| status < 400) => {
            return Err("it was answered".into());
        }
        _ => {}
    }
    match answers.matches("HTTP/1.1 ").count() {
        0 | 1 => Ok(()),
        _ => Err("more than one answer".into()),
    }
}

fn compare(case: &Case, wanted: &[WantedRequest], got: &[Received]) -> Result<(), String> {
    if wanted.len() != got.len() {
        return Err(format!("{} requests arrived", got.len()));
    }
    let (sent, _) = requests(&case.octets);
    for (at, (wanted, got)) in wanted.iter().zip(got).enumerate() {
        if wanted.line != got.line || wanted.body != got.body {
            return Err("it arrived changed".into());
        }
        let there = |name: &String| got.headers.iter().any(|(n, _)| n == name);
        if wanted.without.as_ref().is_some_and(there) {
            return Err("a header arrived that should not".into());
        }
        if sent.get(at).is_some_and(|sent| end_to_end(sent) != end_to_end(got)) {
            return Err(format!("its headers arrived changed: {:?}", end_to_end(&sent[at])));
        }
    }
    Ok(())
}

fn end_to_end(request: &Received) -> Vec<&(String, String)> {
    // With dashes for underscores, as programs read them.
    let own =
        |(name, _): &&(String, String)| !NOT_END_TO_END.contains(&name.replace('_', "-").as_str());
    let mut headers: Vec<_> = request.headers.iter().filter(own).collect();
    headers.sort();
    headers
}
