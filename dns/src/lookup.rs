//! Looks names up at the machine's own resolvers, past its hosts file: as the world sees them.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use hickory_proto::op::{Edns, Message, Query};
use hickory_proto::rr::{Name, RecordType};

use crate::answer::{Answer, is_cut};
use crate::limits::PAYLOAD_MAX;
use crate::question::Question;
use crate::resolv_conf::{Upstreams, read};
use crate::upstream::{Errand, Transport};

/// Asks the machine's resolvers.
#[derive(Debug, Clone)]
pub struct Lookup {
    resolv_conf: PathBuf,
    port: u16,
}

impl Lookup {
    /// The resolvers that a file names in the way of resolv.conf(5), at a port; read anew for each look.
    pub fn new(resolv_conf: impl Into<PathBuf>, port: u16) -> Self {
        Self { resolv_conf: resolv_conf.into(), port }
    }

    /// The addresses that a name leads to; none where there is no such name. One family is enough where the other one
    /// cannot be looked up.
    pub async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let (v4, v6) =
            tokio::join!(self.ask(name, RecordType::A), self.ask(name, RecordType::AAAA));
        let found: Vec<IpAddr> =
            [&v4, &v6].into_iter().flatten().flat_map(Answer::addresses).collect();
        match (v4, v6) {
            (Err(error), _) | (_, Err(error)) if found.is_empty() => Err(error),
            _ => Ok(found),
        }
    }

    /// The texts that are kept at a name, each in one piece.
    pub async fn texts(&self, name: &str) -> io::Result<Vec<String>> {
        Ok(self.ask(name, RecordType::TXT).await?.texts().collect())
    }

    /// The port at which servers are asked.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    async fn ask(&self, name: &str, kind: RecordType) -> io::Result<Answer> {
        Answer::read(&self.fetch(name, kind).await?)
    }

    /// The octets of what the machine's resolvers answer.
    pub(crate) async fn fetch(&self, name: &str, kind: RecordType) -> io::Result<Vec<u8>> {
        let upstreams = upstreams(&self.resolv_conf, self.port).await?;
        self.fetch_from(&upstreams, name, kind, true).await
    }

    /// The octets of what servers answer, to whom it may be left to find out.
    pub(crate) async fn fetch_from(
        &self,
        servers: &[SocketAddr],
        name: &str,
        kind: RecordType,
        recursive: bool,
    ) -> io::Result<Vec<u8>> {
        let query = query(name, kind, recursive)?;
        let question = Question::read(&query).map_err(|_| io::ErrorKind::InvalidInput)?;
        let errand = |transport| Errand { question: &question, query: &query, transport };
        let answer = errand(Transport::Udp).run(servers).await;
        let answer = match answer {
            Some(answer) if is_cut(&answer) => errand(Transport::Tcp).run(servers).await,
            answer => answer,
        };
        let silent = match recursive {
            true => "the machine's resolvers do not answer",
            false => "its servers do not answer",
        };
        answer.ok_or_else(|| io::Error::new(io::ErrorKind::TimedOut, silent))
    }
}

async fn upstreams(path: &Path, port: u16) -> io::Result<Upstreams> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || read(&path, port)).await.map_err(io::Error::other)?
}

fn query(name: &str, kind: RecordType, recursive: bool) -> io::Result<Vec<u8>> {
    let name = Name::from_ascii(format!("{name}.")).map_err(io::Error::other)?;
    let mut message = Message::query();
    message.add_query(Query::query(name, kind));
    message.metadata.recursion_desired = recursive;
    // Some resolvers refuse what has EDNS; servers of zones above have long referrals.
    if !recursive {
        let mut edns = Edns::new();
        edns.set_max_payload(PAYLOAD_MAX);
        message.set_edns(edns);
    }
    message.to_vec().map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use hickory_proto::op::ResponseCode;
    use hickory_proto::rr::rdata::{A, TXT};
    use hickory_proto::rr::{RData, Record};
    use tokio::net::UdpSocket;

    use super::*;

    /// A resolver that knows one name, and its configuration.
    async fn resolver() -> (tempfile::TempDir, Lookup) {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = socket.local_addr().unwrap().port();
        tokio::spawn(async move {
            let mut octets = [0; 512];
            while let Ok((length, client)) = socket.recv_from(&mut octets).await {
                let answer = answer(&octets[..length]);
                let _ = socket.send_to(&answer, client as SocketAddr).await;
            }
        });
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("resolv.conf");
        std::fs::write(&path, "nameserver 127.0.0.1\n").unwrap();
        (folder, Lookup::new(path, port))
    }

    fn answer(query: &[u8]) -> Vec<u8> {
        let message = Message::from_vec(query).unwrap();
        let asked = message.queries[0].clone();
        let mut answer = message.into_response();
        let data = match (asked.name().to_ascii().as_str(), asked.query_type()) {
            ("a.example.", RecordType::A) => Some(RData::A(A::new(192, 0, 2, 7))),
            ("a.example.", RecordType::TXT) => {
                Some(RData::TXT(TXT::new(vec!["one ".into(), "text".into()])))
            }
            ("broken.example.", _) => {
                answer.metadata.response_code = ResponseCode::ServFail;
                None
            }
            ("a.example.", _) => None,
            _ => {
                answer.metadata.response_code = ResponseCode::NXDomain;
                None
            }
        };
        answer.answers.extend(data.map(|data| Record::from_rdata(asked.name().clone(), 60, data)));
        answer.to_vec().unwrap()
    }

    #[tokio::test]
    async fn names_are_looked_up_where_the_machine_does() {
        let (_folder, lookup) = resolver().await;
        let addresses = lookup.addresses("a.example").await.unwrap();
        assert_eq!(addresses, [IpAddr::from([192, 0, 2, 7])]);
        assert_eq!(lookup.texts("a.example").await.unwrap(), ["one text"]);
        assert!(lookup.addresses("nobody.example").await.unwrap().is_empty());
        let broken = lookup.addresses("broken.example").await.unwrap_err().to_string();
        assert!(broken.contains("resolvers answer"), "{broken}");
    }

    #[tokio::test]
    async fn a_file_that_is_not_there_is_an_error() {
        assert!(Lookup::new("/nonexistent/resolv.conf", 53).addresses("a.example").await.is_err());
    }
}
