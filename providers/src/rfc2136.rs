//! Any server that takes dynamic updates (RFC 2136) signed with a key (TSIG, RFC 8945), over TCP. What is in a zone is
//! learnt by a transfer (RFC 5936): a query cannot tell a name's own records from a wildcard's.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::tsig::TsigAlgorithm;
use hickory_proto::rr::rdata::{A, AAAA, TXT};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType, TSigVerifier, TSigner};
use jiff::Timestamp;
use serde::Deserialize;
use temps_state::RecordKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::{JoinError, JoinSet, spawn_blocking};
use tokio::time::timeout;

use crate::change::fitting;
use crate::outcome::Failure;
use crate::secret::Secret;
use crate::text::pieces;
use crate::{Change, Listing, ProviderError, RecordSet};

/// How long an exchange may take, and every message of a transfer.
const EXCHANGE_MAX: Duration = Duration::from_secs(10);
/// How long a transfer may take, which has as many messages as the zone needs.
const TRANSFER_MAX: Duration = Duration::from_secs(60);
/// How long connecting may take.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// The most octets of a transfer.
const TRANSFER_BYTES_MAX: usize = 64 << 20;
/// How far the clocks may be apart, in seconds (RFC 8945 §10).
const FUDGE: u16 = 300;
/// The most octets of an update, below the 64 KiB that a message may have.
const UPDATE_BYTES_MAX: usize = 48_000;
/// What a change takes besides its records, and a record besides its value, with a name of 255 octets in each: two
/// prerequisites and one deletion.
const CHANGE_BYTES: usize = 3 * RECORD_BYTES;
const RECORD_BYTES: usize = 270;

/// A key that a server knows.
#[derive(Clone)]
pub(crate) struct Rfc2136 {
    server: String,
    signer: TSigner,
}

#[derive(Deserialize)]
pub(crate) struct Credentials {
    /// The primary server, as HOST:PORT.
    server: String,
    /// The key's name.
    key: String,
    /// The key's algorithm.
    algorithm: Option<String>,
    /// The key in Base64.
    secret: Secret,
}

/// A connection to the server.
struct Line {
    stream: TcpStream,
    verifier: TSigVerifier,
}

impl Rfc2136 {
    pub(crate) fn new(credentials: Credentials) -> Result<Self, ProviderError> {
        let wrong = |why: &str| ProviderError::Credentials(why.into());
        let Credentials { server, key, algorithm, secret } = credentials;
        let octets = STANDARD.decode(secret.expose());
        let octets = octets.map_err(|_| wrong("the secret is no Base64"))?;
        let name = Name::from_ascii(&key).map_err(|_| wrong("the key's name is none"))?;
        let algorithm = match algorithm.as_deref().unwrap_or("hmac-sha256") {
            "hmac-sha256" => TsigAlgorithm::HmacSha256,
            "hmac-sha384" => TsigAlgorithm::HmacSha384,
            "hmac-sha512" => TsigAlgorithm::HmacSha512,
            _ => return Err(wrong("the algorithm is not hmac-sha256, hmac-sha384 or hmac-sha512")),
        };
        if server.rsplit_once(':').is_none_or(|(_, port)| port.parse::<u16>().is_err()) {
            return Err(wrong("the server is not HOST:PORT, such as ns1.example.com:53"));
        }
        let signer = TSigner::new(octets, algorithm, name, FUDGE);
        let signer = signer.map_err(|_| wrong("the algorithm cannot be used"))?;
        Ok(Self { server, signer })
    }

    pub(crate) async fn list(&self, zone: &str) -> Result<Listing, ProviderError> {
        in_time(TRANSFER_MAX, self.transfer(zone)).await
    }

    /// How many of the first changes go together, all or none.
    pub(crate) fn fitting(changes: &[Change]) -> usize {
        fitting(changes, UPDATE_BYTES_MAX, |change| {
            let values = change.after().into_iter().flat_map(|set| &set.values).map(String::len);
            CHANGE_BYTES + values.map(|octets| RECORD_BYTES + octets).sum::<usize>()
        })
    }

    pub(crate) async fn send(&self, zone: &str, changes: &[Change]) -> Result<(), Failure> {
        Ok(in_time(EXCHANGE_MAX, self.update(zone, changes)).await?)
    }

    async fn transfer(&self, zone: &str) -> Result<Listing, ProviderError> {
        let mut message = Message::new(rand::random(), MessageType::Query, OpCode::Query);
        message.add_query(Query::query(name(zone)?, RecordType::AXFR));
        let Line { stream, mut verifier } = self.ask(message).await?;
        // Servers hang up within moments on whoever does not read on: what came is looked at beside that.
        let (tell, mut told) = mpsc::unbounded_channel();
        let mut reading = JoinSet::new();
        reading.spawn(read_on(stream, tell));
        let (mut listing, mut ends) = (Listing::default(), 0);
        // The zone's first record is its last one, too.
        while ends < 2 {
            let next = in_time(EXCHANGE_MAX, async { told.recv().await.unwrap_or_else(endless) });
            let (octets, zone) = (next.await?, zone.to_owned());
            let looking = spawn_blocking(move || {
                let answer = read(&mut verifier, &octets, &zone);
                (verifier, answer)
            });
            let broken = |error: JoinError| ProviderError::Failing { why: error.to_string() };
            let (back, answer) = looking.await.map_err(broken)?;
            verifier = back;
            let answer = answer?;
            if answer.answers.is_empty() {
                return endless();
            }
            for record in &answer.answers {
                ends += usize::from(record.record_type() == RecordType::SOA);
                add(&mut listing, record);
            }
        }
        Ok(listing)
    }

    async fn update(&self, zone: &str, changes: &[Change]) -> Result<(), ProviderError> {
        let mut message = Message::new(rand::random(), MessageType::Query, OpCode::Update);
        message.add_query(Query::query(name(zone)?, RecordType::SOA));
        for change in changes {
            describe(&mut message, change)?;
        }
        self.ask(message).await?.receive(zone).await.map(drop)
    }

    async fn ask(&self, mut message: Message) -> Result<Line, ProviderError> {
        let now = u64::try_from(Timestamp::now().as_second()).unwrap_or_default();
        let garbled = |error| ProviderError::garbled(&error);
        let verifier = message.finalize(&self.signer, now).map_err(garbled)?;
        let octets = message.to_vec().map_err(garbled)?;
        let length = u16::try_from(octets.len());
        let length = length.map_err(|_| ProviderError::refused("the update is too long"))?;
        let unreachable = |error| ProviderError::unreachable(&error);
        let late = |_| ProviderError::Unreachable { why: "no connection in time".into() };
        let stream = timeout(CONNECT_MAX, TcpStream::connect(&self.server)).await.map_err(late)?;
        let mut stream = stream.map_err(unreachable)?;
        let framed = [&length.to_be_bytes()[..], &octets].concat();
        stream.write_all(&framed).await.map_err(|error| ProviderError::failing(&error))?;
        let unsigned = || ProviderError::Garbled { why: "the request was not signed".into() };
        Ok(Line { stream, verifier: verifier.ok_or_else(unsigned)? })
    }
}

impl Line {
    /// The next message, if the server says with its signature that all is well.
    async fn receive(&mut self, zone: &str) -> Result<Message, ProviderError> {
        let octets = next(&mut self.stream).await?;
        read(&mut self.verifier, &octets, zone)
    }
}

/// The octets of the next message.
async fn next(stream: &mut TcpStream) -> Result<Vec<u8>, ProviderError> {
    let failing = |error| ProviderError::failing(&error);
    let length = stream.read_u16().await.map_err(failing)?;
    let mut octets = vec![0; usize::from(length)];
    stream.read_exact(&mut octets).await.map_err(failing)?;
    Ok(octets)
}

/// Octets in front of each message that tell its length.
const LENGTH_OCTETS: usize = 2;

/// Reads message after message, as many as a transfer may have, for as long as somebody wants them.
async fn read_on(
    mut stream: TcpStream,
    tell: mpsc::UnboundedSender<Result<Vec<u8>, ProviderError>>,
) {
    let mut left = TRANSFER_BYTES_MAX;
    loop {
        let next = next(&mut stream).await;
        let rest =
            next.as_ref().ok().and_then(|octets| left.checked_sub(octets.len() + LENGTH_OCTETS));
        if tell.send(next).is_err() {
            return;
        }
        let Some(rest) = rest else { return };
        left = rest;
    }
}

/// A message, if the server says with its signature that all is well.
fn read(verifier: &mut TSigVerifier, octets: &[u8], zone: &str) -> Result<Message, ProviderError> {
    let message = Message::from_vec(octets).map_err(|error| ProviderError::garbled(&error))?;
    // A server that does not know the key cannot sign its refusal.
    if message.response_code != ResponseCode::NoError {
        return Err(of_code(message.response_code, zone));
    }
    let verified = verifier.verify(octets);
    verified.map_err(|_| ProviderError::unauthorized("the answer's signature is wrong"))?;
    Ok(message)
}

fn endless<T>() -> Result<T, ProviderError> {
    Err(ProviderError::Garbled { why: "the transfer does not end".into() })
}

async fn in_time<T>(
    most: Duration,
    exchange: impl Future<Output = Result<T, ProviderError>>,
) -> Result<T, ProviderError> {
    let late = || ProviderError::Failing { why: "none in time".into() };
    timeout(most, exchange).await.unwrap_or_else(|_| Err(late()))
}

fn of_code(code: ResponseCode, zone: &str) -> ProviderError {
    match code {
        ResponseCode::NotAuth | ResponseCode::NotZone | ResponseCode::NXDomain => {
            let said = format!(
                "it serves no zone {zone}, or does not know the key, or the clocks differ ({code})"
            );
            ProviderError::unauthorized(&said)
        }
        ResponseCode::Refused => {
            let said = "the key may not transfer and update the zone (REFUSED)";
            ProviderError::unauthorized(said)
        }
        ResponseCode::YXDomain | ResponseCode::YXRRSet => {
            let said = "records that were not there a moment ago are in the way, or an alias is";
            ProviderError::refused(said)
        }
        ResponseCode::ServFail => ProviderError::Failing { why: code.to_string() },
        other => ProviderError::refused(&other.to_string()),
    }
}

fn name(text: &str) -> Result<Name, ProviderError> {
    let mut name = Name::from_ascii(text)
        .map_err(|_| ProviderError::refused(&format!("{text} is no name")))?;
    name.set_fqdn(true);
    Ok(name)
}

fn add(listing: &mut Listing, record: &Record) {
    let name = record.name.to_ascii();
    let kind = record.record_type().to_string();
    let value = match &record.data {
        RData::A(A(address)) => address.to_string(),
        RData::AAAA(AAAA(address)) => address.to_string(),
        RData::TXT(text) => String::from_utf8_lossy(&text.txt_data.concat()).into_owned(),
        _ => String::new(),
    };
    listing.add(&name, &kind, record.ttl, &value, None);
}

/// Writes a change into an update. A set that is to be new must not be there, so that nobody else's is lost.
fn describe(message: &mut Message, change: &Change) -> Result<(), ProviderError> {
    let (set, records) = match change {
        Change::Put { set, .. } => (set, records(set)?),
        Change::Delete { before } => (&before.set, vec![]),
    };
    let (owner, kind) = (name(&set.name)?, of_kind(set.kind));
    let bare = |class, kind| {
        let mut record = Record::update0(owner.clone(), 0, kind);
        record.dns_class = class;
        record
    };
    if let Change::Put { before, .. } = change {
        message.add_answer(bare(DNSClass::NONE, RecordType::CNAME));
        if before.is_none() {
            message.add_answer(bare(DNSClass::NONE, kind));
        }
    }
    message.add_authority(bare(DNSClass::ANY, kind));
    message.add_authorities(records);
    Ok(())
}

fn of_kind(kind: RecordKind) -> RecordType {
    match kind {
        RecordKind::A => RecordType::A,
        RecordKind::Aaaa => RecordType::AAAA,
        RecordKind::Txt => RecordType::TXT,
    }
}

fn records(set: &RecordSet) -> Result<Vec<Record>, ProviderError> {
    let owner = name(&set.name)?;
    let wrong = |value: &str| ProviderError::refused(&format!("{value} is no address"));
    let record = |value: &String| {
        let data = match set.kind {
            RecordKind::A => RData::A(A(value.parse().map_err(|_| wrong(value))?)),
            RecordKind::Aaaa => RData::AAAA(AAAA(value.parse().map_err(|_| wrong(value))?)),
            RecordKind::Txt => RData::TXT(TXT::from_bytes(
                pieces(value).iter().map(|one| one.as_bytes()).collect(),
            )),
        };
        Ok(Record::from_rdata(owner.clone(), set.ttl, data))
    };
    set.values.iter().map(record).collect()
}
