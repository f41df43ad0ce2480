//! A peer with a good certificate and bad manners.
use std::time::Duration;

use quinn::{Connection, Endpoint, ReadError, ReadExactError, RecvStream};
use temps_mesh::{Incoming, Mesh, Target};

use crate::common::{ANY, Cluster, node};

const WELL_FORMED: &[u8] = b"\0\x01\x02";

/// A raw connection to a node, and the node's end.
async fn raw() -> (Endpoint, Connection, Mesh, Incoming) {
    let cluster = Cluster::new();
    let (mesh, incoming) = node(&cluster, 2);
    let mut client = Endpoint::client(ANY.parse().unwrap()).unwrap();
    client.set_default_client_config(crate::common::trusting_nobody(&cluster.identity(1, &[1])));
    let connection = client.connect(mesh.local_addr(), "node-2").unwrap().await.unwrap();
    (client, connection, mesh, incoming)
}

async fn send(connection: &Connection, bytes: &[u8], end: bool) -> RecvStream {
    let (mut send, recv) = connection.open_bi().await.unwrap();
    send.write_all(bytes).await.unwrap();
    if end {
        send.finish().unwrap();
    } else {
        // Held open; its loss would end the stream's half.
        std::mem::forget(send);
    }
    recv
}

/// The connection still carries a proper stream.
async fn still_good(connection: &Connection, incoming: &mut Incoming) {
    let mut recv = send(connection, WELL_FORMED, false).await;
    let arrival = incoming.next().await.unwrap();
    assert_eq!((arrival.from, arrival.target), (1, Target::Api));
    let _stream = arrival.stream.accept().await.unwrap();
    let mut answer = [0; 2];
    recv.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, [1, 2]);
}

#[tokio::test]
async fn garbage_for_a_header_ends_the_stream_and_nothing_else() {
    let (_client, connection, _mesh, mut incoming) = raw().await;
    for garbage in
        [&b""[..], b"\0", b"\0\0", b"\0\x05\x01a", b"\xff\xff", b"GET / HTTP/1.1\r\n\r\n"]
    {
        let mut recv = send(&connection, garbage, true).await;
        let outcome = recv.read_to_end(100).await;
        assert!(
            matches!(outcome, Err(quinn::ReadToEndError::Read(ReadError::Reset(_)))),
            "{garbage:?}: {outcome:?}"
        );
        still_good(&connection, &mut incoming).await;
    }
}

#[tokio::test]
async fn a_target_of_a_kind_not_known_is_refused_in_words() {
    let (_client, connection, _mesh, mut incoming) = raw().await;
    let mut recv = send(&connection, b"\0\x04\x7fnew", false).await;
    let answer = recv.read_to_end(1000).await.unwrap();
    assert_eq!(answer[..2], [1, 3]);
    assert_eq!(&answer[4..], b"this node does not know such targets");
    still_good(&connection, &mut incoming).await;
}

#[tokio::test]
async fn a_header_that_does_not_come_is_not_waited_for_for_ever() {
    let (_client, connection, _mesh, mut incoming) = raw().await;
    let mut recv = send(&connection, b"\0", false).await;
    let ended = tokio::time::timeout(Duration::from_secs(4), recv.read_exact(&mut [0])).await;
    assert!(matches!(ended, Ok(Err(ReadExactError::ReadError(ReadError::Reset(_))))), "{ended:?}");
    still_good(&connection, &mut incoming).await;
}

#[tokio::test]
async fn packets_of_noise_do_no_harm() {
    let (_client, connection, mesh, mut incoming) = raw().await;
    let socket = tokio::net::UdpSocket::bind(ANY).await.unwrap();
    for seed in 0..2000 {
        let mut noise = crate::common::pattern(seed, 20 + (seed as usize * 7) % 1400);
        if seed % 2 == 0 {
            noise[..5].copy_from_slice(b"\xc3\0\0\0\x01"); // the look of a first packet
        }
        socket.send_to(&noise, mesh.local_addr()).await.unwrap();
    }
    still_good(&connection, &mut incoming).await;
}
