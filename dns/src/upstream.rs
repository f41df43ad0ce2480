//! Asks the machine's resolvers. Queries and answers pass octet for octet, but for the id: what a client and a resolver
//! agree on is theirs.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use hickory_proto::op::ResponseCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::limits::{FORWARD_MAX, TRIES_MAX, TRY_MAX};
use crate::question::{Question, answers};

/// What a query came by, and goes on by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// One datagram.
    Udp,
    /// A connection.
    Tcp,
}

/// A query on its way.
pub(crate) struct Errand<'a> {
    /// What it asks.
    pub(crate) question: &'a Question,
    /// Its octets.
    pub(crate) query: &'a [u8],
    /// What it came by.
    pub(crate) transport: Transport,
}

impl Errand<'_> {
    /// The first good answer, else the last bad one, else nothing.
    pub(crate) async fn run(&self, upstreams: &[SocketAddr]) -> Option<Vec<u8>> {
        let mut last = None;
        let tries = async {
            for server in upstreams.iter().cycle().take(TRIES_MAX.min(upstreams.len() * 2)) {
                match timeout(TRY_MAX, self.ask(*server)).await {
                    Ok(Ok(answer)) if !is_failure(&answer) => return Some(answer),
                    Ok(Ok(answer)) => last = Some(answer),
                    Ok(Err(error)) => tracing::debug!(%server, %error, "a resolver did not answer"),
                    Err(_) => tracing::debug!(%server, "a resolver did not answer in time"),
                }
            }
            None
        };
        timeout(FORWARD_MAX, tries).await.ok().flatten().or(last)
    }

    async fn ask(&self, server: SocketAddr) -> io::Result<Vec<u8>> {
        // A fresh id and a fresh port: whoever wants to answer in the resolver's place must guess both.
        let id: [u8; 2] = rand::random();
        let mut query = self.query.to_vec();
        query[..2].copy_from_slice(&id);
        let mut answer = match self.transport {
            Transport::Udp => self.ask_by_datagram(server, &query).await?,
            Transport::Tcp => self.ask_by_connection(server, &query).await?,
        };
        answer[..2].copy_from_slice(&self.query[..2]);
        Ok(answer)
    }

    async fn ask_by_datagram(&self, server: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
        let any = match server {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let socket = UdpSocket::bind(any).await?;
        socket.connect(server).await?;
        socket.send(query).await?;
        // One octet more than the client takes shows that there are more.
        let mut answer = vec![0; self.question.datagram_max() + 1];
        loop {
            let length = socket.recv(&mut answer).await?;
            if answers(&answer[..length], query, self.question.end) {
                answer.truncate(length);
                return Ok(answer);
            }
        }
    }

    async fn ask_by_connection(&self, server: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(server).await?;
        write_message(&mut stream, query).await?;
        let length = stream.read_u16().await?;
        let mut answer = vec![0; length.into()];
        stream.read_exact(&mut answer).await?;
        match answers(&answer, query, self.question.end) {
            true => Ok(answer),
            false => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

/// Writes a message with its length before it, RFC 1035 §4.2.2, in one piece.
pub(crate) async fn write_message(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(|_| io::ErrorKind::InvalidData)?;
    stream.write_all(&[&length.to_be_bytes(), message].concat()).await
}

/// Whether another resolver may know better.
fn is_failure(answer: &[u8]) -> bool {
    let code = answer.get(3).map_or(0, |flags| flags & 0x0f);
    [ResponseCode::ServFail, ResponseCode::Refused].iter().any(|failure| failure.low() == code)
}
