//! Where the name leads, asked of the node as an authority.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::{Count, Place, Visit, said};

/// How long a resolver waits before it asks again.
const BEFORE_AGAIN: Duration = Duration::from_secs(1);
/// Octets of a datagram.
const DATAGRAM_MAX: usize = 1_232;

/// Who asks one question after the other.
pub struct Question {
    place: Place,
    id: u16,
    /// How often it was asked again, as datagrams may get lost; nothing where it comes over TCP.
    again: Option<Count>,
}

impl Question {
    /// One that comes as a datagram, and once more where no answer comes.
    pub fn over_udp(place: Place, again: Count) -> Self {
        Self { place, id: 0, again: Some(again) }
    }

    /// One that comes on a connection of its own, once.
    pub fn over_tcp(place: Place) -> Self {
        Self { place, id: 0, again: None }
    }

    /// A question for addresses (RFC 1035 §4.1).
    fn message(&self) -> Vec<u8> {
        let mut message = self.id.to_be_bytes().to_vec();
        message.extend([0, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        for label in self.place.name.split('.') {
            message.push(label.len() as u8);
            message.extend(label.as_bytes());
        }
        message.extend([0, 0, 1, 0, 1]);
        message
    }

    async fn ask_by_datagram(&self, again: &Count) -> Result<Vec<u8>, String> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await.map_err(said("binding"))?;
        socket.connect(self.place.dns()).await.map_err(said("connecting"))?;
        let mut answer = vec![0; DATAGRAM_MAX];
        for is_second in [false, true] {
            if is_second {
                again.add();
            }
            socket.send(&self.message()).await.map_err(said("asking"))?;
            if let Ok(received) = timeout(BEFORE_AGAIN, socket.recv(&mut answer)).await {
                answer.truncate(received.map_err(said("being answered"))?);
                return Ok(answer);
            }
        }
        Err("no answer to the same question asked twice".into())
    }

    async fn ask_on_connection(&self) -> Result<Vec<u8>, String> {
        let stream = TcpStream::connect(self.place.dns()).await;
        let mut stream = stream.map_err(said("connecting"))?;
        let message = self.message();
        let length = (message.len() as u16).to_be_bytes();
        stream.write_all(&[&length, &message[..]].concat()).await.map_err(said("asking"))?;
        let length = stream.read_u16().await.map_err(said("being answered"))?;
        let mut answer = vec![0; length.into()];
        stream.read_exact(&mut answer).await.map_err(said("being answered"))?;
        Ok(answer)
    }
}

impl Visit for Question {
    async fn visit(&mut self) -> Result<(), String> {
        self.id = self.id.wrapping_add(1);
        let answer = match &self.again {
            Some(again) => self.ask_by_datagram(again).await?,
            None => self.ask_on_connection().await?,
        };
        let id = self.id.to_be_bytes();
        let well = answer.starts_with(&id) && answer[3] & 0xf == 0 && answer[6..8] != [0, 0];
        well.then_some(()).ok_or_else(|| format!("leads nowhere: {answer:?}"))
    }
}
