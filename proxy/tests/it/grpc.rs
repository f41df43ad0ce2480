//! gRPC: HTTP/2 on the whole way, so that trailers arrive.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::{Buf, Bytes};
use futures::StreamExt;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, BodyStream, Empty, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2::SendRequest;
use hyper::header::HeaderMap;
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use crate::support::upstream::Upstream;
use crate::support::{PATIENCE, TestEdge, host, http3};

type Body = BoxBody<Bytes, hyper::Error>;
type Frames = mpsc::Sender<Result<Frame<Bytes>, Infallible>>;

/// A server that speaks HTTP/2 only: sends every piece back and ends with trailers, or has trailers alone.
async fn grpc_app() -> (SocketAddr, AbortOnDropHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let addr = listener.local_addr().expect("an address");
    let task = tokio::spawn(async move {
        let mut connections = tokio::task::JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            connections.spawn(server.serve_connection(TokioIo::new(stream), service_fn(answer)));
        }
    });
    (addr, AbortOnDropHandle::new(task))
}

async fn answer(request: Request<Incoming>) -> Result<Response<Body>, hyper::Error> {
    let response = Response::builder().header("content-type", "application/grpc");
    if request.uri().path() == "/none" {
        let response = response.header("grpc-status", "5").body(Empty::new());
        return Ok(response.expect("an answer").map(|body| body.map_err(|n| match n {}).boxed()));
    }
    assert_eq!(request.version(), Version::HTTP_2);
    let te = request.headers()["te"].clone();
    assert!(request.headers().contains_key("x-request-id"));
    let pieces = BodyStream::new(request.into_body())
        .filter(|frame| std::future::ready(frame.as_ref().map_or(true, |frame| frame.is_data())));
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().expect("a value"));
    trailers.insert("x-te", te);
    let end = futures::stream::once(async { Ok(Frame::trailers(trailers)) });
    Ok(response.body(BodyExt::boxed(StreamBody::new(pieces.chain(end)))).expect("an answer"))
}

async fn client<B>(edge: &TestEdge) -> SendRequest<B>
where
    B: hyper::body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let stream = TokioIo::new(TcpStream::connect(edge.http).await.expect("it listens"));
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.expect("HTTP/2");
    tokio::spawn(connection);
    sender
}

fn request<B>(app: &str, path: &str, body: B) -> Request<B> {
    Request::post(format!("http://{}{path}", host(app)))
        .header("content-type", "application/grpc+proto")
        .header("te", "trailers")
        .body(body)
        .expect("a request")
}

#[tokio::test]
async fn trailers_arrive() {
    let mut edge = TestEdge::start().await;
    let (addr, _app) = grpc_app().await;
    edge.app("rpc", &[addr]).await;
    let mut client = client(&edge).await;
    for _ in 0..3 {
        let body = Full::new(Bytes::from_static(b"\0\0\0\0\x02hi"));
        let answer = client.send_request(request("rpc", "/echo", body)).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert!(answer.headers().contains_key("x-request-id"));
        let whole = answer.into_body().collect().await.unwrap();
        let trailers = whole.trailers().expect("trailers").clone();
        assert_eq!(
            (&trailers["grpc-status"], &trailers["x-te"]),
            (&"0".parse().unwrap(), &"trailers".parse().unwrap())
        );
        assert_eq!(&whole.to_bytes()[..], b"\0\0\0\0\x02hi");
    }
    let answer = client.send_request(request("rpc", "/none", Full::default())).await.unwrap();
    assert_eq!(answer.headers()["grpc-status"], "5");
}

#[tokio::test]
async fn messages_stream_both_ways() {
    let mut edge = TestEdge::start().await;
    let (addr, _app) = grpc_app().await;
    edge.app("rpc", &[addr]).await;
    let mut client = client(&edge).await;
    let (frames, body): (Frames, _) = mpsc::channel(1);
    let body = StreamBody::new(tokio_stream(body));
    let answer = client.send_request(request("rpc", "/echo", body));
    frames.send(Ok(Frame::data(Bytes::from_static(b"0")))).await.unwrap();
    let mut answer = timeout(PATIENCE, answer).await.unwrap().unwrap().into_body();
    for n in 0..5 {
        let frame = timeout(PATIENCE, answer.frame()).await.unwrap().unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), n.to_string());
        frames.send(Ok(Frame::data((n + 1).to_string().into()))).await.unwrap();
    }
    drop(frames);
    let rest = answer.collect().await.unwrap();
    assert_eq!(rest.trailers().unwrap()["grpc-status"], "0");
}

/// An app that answers as fast as it is asked stops reading while nobody reads its answers, and the edge sends on no more
/// while the app reads none: whoever writes and reads at once must not be held up by that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_messages_go_both_ways_at_once() {
    const PIECE: usize = 256 << 10;
    const PIECES: usize = 128;
    let mut edge = TestEdge::start().await;
    let (addr, _app) = grpc_app().await;
    edge.app("rpc", &[addr]).await;
    let mut client = client(&edge).await;
    let (frames, body): (Frames, _) = mpsc::channel(1);
    let sends = tokio::spawn(async move {
        for _ in 0..PIECES {
            let piece = Frame::data(Bytes::from(vec![7; PIECE]));
            frames.send(Ok(piece)).await.expect("the edge takes it");
        }
    });
    let body = StreamBody::new(tokio_stream(body));
    let answer = client.send_request(request("rpc", "/echo", body)).await.unwrap();
    let whole = timeout(PATIENCE, answer.into_body().collect()).await.expect("no hang").unwrap();
    assert_eq!(whole.trailers().unwrap()["grpc-status"], "0");
    assert_eq!(whole.to_bytes().len(), PIECE * PIECES);
    sends.await.unwrap();
}

fn tokio_stream<T: Send + 'static>(
    receiver: mpsc::Receiver<T>,
) -> futures::stream::BoxStream<'static, T> {
    futures::stream::unfold(receiver, |mut receiver| async {
        receiver.recv().await.map(|item| (item, receiver))
    })
    .boxed()
}

#[tokio::test]
async fn an_app_that_speaks_only_http1_keeps_all_else() {
    let mut edge = TestEdge::start().await;
    let app = Upstream::start("one").await;
    edge.app("shop", &[app.addr]).await;
    let h2 = edge.builder(&["shop"]).http2_prior_knowledge().build().unwrap();
    let json = h2.post(edge.url("shop", "/echo")).header("content-type", "application/json");
    assert!(json.send().await.unwrap().text().await.unwrap().starts_with("POST /echo HTTP/1.1"));
    let h1 = edge.client(&["shop"]).post(edge.url("shop", "/echo"));
    let answer = h1.header("content-type", "application/grpc").send().await.unwrap();
    assert!(answer.text().await.unwrap().starts_with("POST /echo HTTP/1.1"));
    let grpc = h2.post(edge.url("shop", "/echo")).header("content-type", "application/grpc");
    assert_eq!(grpc.send().await.unwrap().status(), 502);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_comes_over_http3_too() {
    let mut edge = http3::edge_with(|_| {}).await;
    let (addr, _app) = grpc_app().await;
    edge.app("rpc", &[addr]).await;
    let mut client = http3::Client::open(&edge, &host("rpc")).await;
    let call = |path| {
        let (mut head, ()) = request("rpc", path, ()).into_parts();
        head.uri = format!("https://{}{path}", host("rpc")).parse().unwrap();
        Request::from_parts(head, ())
    };
    let mut stream = client.send(call("/echo")).await;
    for n in 0..5 {
        stream.send_data(n.to_string().into()).await.unwrap();
        if n == 0 {
            let head = timeout(PATIENCE, stream.recv_response()).await.unwrap().unwrap();
            assert_eq!(head.status(), 200);
        }
        let mut piece = timeout(PATIENCE, stream.recv_data()).await.unwrap().unwrap().unwrap();
        assert_eq!(piece.copy_to_bytes(piece.remaining()), n.to_string());
    }
    stream.finish().await.unwrap();
    assert!(stream.recv_data().await.unwrap().is_none());
    let trailers = stream.recv_trailers().await.unwrap().expect("trailers");
    assert_eq!(
        (&trailers["grpc-status"], &trailers["x-te"]),
        (&"0".parse().unwrap(), &"trailers".parse().unwrap())
    );
    let answer = client.ask(call("/none"), b"").await;
    assert_eq!(answer.header("grpc-status"), Some("5"));
}
