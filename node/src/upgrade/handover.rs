//! What passes between a node's process and the one that follows it: the new one asks for the listening sockets, gets
//! them, and says how it went. It finds its end of the line as its standard input, so that no path can be taken by
//! somebody else, and nothing but the system's own calls carries descriptors. Whoever never asks never has a socket, and
//! whoever has them without serving yet ends with the process before.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use temps_dns::AuthoritySockets;
use temps_proxy::EdgeSockets;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// Tells a process that it follows another, and which file is the program that an upgrade replaces.
const INSTALLED_ENV: &str = "TEMPS_HANDOVER";
/// Tells it that it is the program that ran before, which serves whether or not it finds the cluster.
const BACK_ENV: &str = "TEMPS_HANDOVER_BACK";
/// Tells it that it gets the sockets once it asks; a process before that does not say so sends them unasked.
const ASKED_ENV: &str = "TEMPS_HANDOVER_ASKED";
/// The most sockets that are handed over: HTTP, the API, HTTPS, and two for the DNS.
const SOCKETS_MAX: usize = 5;
/// What is sent with the sockets: a letter for whatever comes after the first two. A program that knows only HTTPS reads
/// the first octet alone.
const FIRST: u8 = b's';
const HTTPS: u8 = b'h';
const DNS: u8 = b'd';
const KINDS_MAX: usize = 8;
/// What a new process says when it wants the sockets.
const ASK: u8 = b'?';
/// How long a new process waits for its sockets.
const SOCKETS_WITHIN: Duration = Duration::from_secs(5);
/// How long a new process may take until it serves; it may have much to load.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// What a process says that serves now; anything else is why it does not.
const READY: &[u8] = b"ready";
/// The most octets of what it says.
const WORD_BYTES_MAX: u64 = 4 << 10;

/// The sockets that a node's process leaves to the next.
#[derive(Debug)]
pub struct Sockets {
    /// The edge's.
    pub edge: EdgeSockets,
    /// The API's.
    pub api: TcpListener,
    /// Those at which it answers for the cluster's zones.
    pub dns: Option<AuthoritySockets>,
}

impl Sockets {
    /// A second handle on the same sockets.
    pub fn try_clone(&self) -> io::Result<Self> {
        let EdgeSockets { http, https } = &self.edge;
        let https = https.as_ref().map(TcpListener::try_clone).transpose()?;
        Ok(Self {
            edge: EdgeSockets { http: http.try_clone()?, https },
            api: self.api.try_clone()?,
            dns: self.dns.as_ref().map(AuthoritySockets::try_clone).transpose()?,
        })
    }

    async fn send(&self, line: &UnixStream) -> io::Result<()> {
        line.async_io(Interest::WRITABLE, || self.try_send(line)).await
    }

    fn try_send(&self, line: &UnixStream) -> io::Result<()> {
        let mut all: Vec<BorrowedFd<'_>> = vec![self.edge.http.as_fd(), self.api.as_fd()];
        let mut kinds = vec![FIRST];
        if let Some(https) = &self.edge.https {
            all.push(https.as_fd());
            kinds.push(HTTPS);
        }
        if let Some(AuthoritySockets { udp, tcp }) = &self.dns {
            all.extend([udp.as_fd(), tcp.as_fd()]);
            kinds.push(DNS);
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !control.push(SendAncillaryMessage::ScmRights(&all)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        sendmsg(line, &[IoSlice::new(&kinds)], &mut control, SendFlags::empty())?;
        Ok(())
    }

    async fn receive(line: &UnixStream) -> io::Result<Self> {
        let received = line.async_io(Interest::READABLE, || Self::try_receive(line));
        timeout(SOCKETS_WITHIN, received).await?
    }

    fn try_receive(line: &UnixStream) -> io::Result<Self> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut kinds = [0; KINDS_MAX];
        let mut octets = [IoSliceMut::new(&mut kinds)];
        let length = recvmsg(line, &mut octets, &mut control, RecvFlags::CMSG_CLOEXEC)?.bytes;
        let mut received = control.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(sockets) => Some(sockets),
            _ => None,
        });
        let sockets = received.next().into_iter().flatten();
        Self::sorted(&kinds[..length], sockets)
            .ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "no sockets came"))
    }

    /// The sockets by what was said of them. A program that knows no kinds sends HTTPS alone.
    fn sorted(kinds: &[u8], mut sockets: impl Iterator<Item = OwnedFd>) -> Option<Self> {
        let (http, api) = (sockets.next()?.into(), sockets.next()?.into());
        let has = |kind| kinds.contains(&kind);
        let https = if has(HTTPS) || kinds == [FIRST] { sockets.next() } else { None };
        let dns = if has(DNS) { Some((sockets.next()?, sockets.next()?)) } else { None };
        let dns = dns.map(|(udp, tcp)| AuthoritySockets { udp: udp.into(), tcp: tcp.into() });
        let https = https.map(TcpListener::from);
        Some(Self { edge: EdgeSockets { http, https }, api, dns })
    }
}

/// The process before this one, which serves until this one does.
#[derive(Debug)]
pub struct Predecessor {
    line: UnixStream,
    /// The file that an upgrade replaces.
    pub installed: PathBuf,
    /// Whether this is the program that ran before, because a newer one did not come up.
    pub goes_back: bool,
}

/// Resolves when the process before has done all it does for this one.
pub struct Released(UnixStream);

impl Released {
    /// Waits for the end of the line.
    pub async fn wait(mut self) {
        over(&mut self.0).await;
    }
}

/// Waits for the end of a line, or for its breaking.
async fn over(line: &mut UnixStream) {
    let _ = tokio::io::copy(line, &mut tokio::io::sink()).await;
}

impl Predecessor {
    /// The process that started this one to follow it, if one did, and what it leaves to this one. Needs a runtime.
    pub async fn find() -> io::Result<Option<(Self, Sockets)>> {
        let Some(installed) = std::env::var_os(INSTALLED_ENV) else { return Ok(None) };
        let line = open(io::stdin().as_fd().try_clone_to_owned()?)?;
        let goes_back = std::env::var_os(BACK_ENV).is_some();
        let mut predecessor = Self { line, installed: installed.into(), goes_back };
        let sockets = match std::env::var_os(ASKED_ENV) {
            Some(_) => predecessor.ask().await?,
            None => Sockets::receive(&predecessor.line).await?,
        };
        Ok(Some((predecessor, sockets)))
    }

    async fn ask(&mut self) -> io::Result<Sockets> {
        self.line.write_u8(ASK).await?;
        Sockets::receive(&self.line).await
    }

    /// Resolves when it ended before this process serves: this one ends then, too, and leaves the ports to whoever the
    /// node is started by.
    pub async fn ended(&mut self) {
        over(&mut self.line).await;
    }

    /// Says that this process serves now.
    pub async fn tell_ready(mut self) -> io::Result<Released> {
        self.line.write_all(READY).await?;
        self.line.shutdown().await?;
        Ok(Released(self.line))
    }

    /// Says why this process ends instead of serving.
    pub async fn tell_failed(mut self, why: &str) {
        // It sees that this process ends, at the least.
        let _ = self.line.write_all(why.as_bytes()).await;
        let _ = self.line.shutdown().await;
    }
}

/// An end of a line.
fn open(end: OwnedFd) -> io::Result<UnixStream> {
    let end = std::os::unix::net::UnixStream::from(end);
    end.set_nonblocking(true)?;
    UnixStream::from_std(end)
}

/// Why a new process did not take over.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// It could not be started.
    #[error("it could not be started: {0}")]
    Start(#[source] io::Error),
    /// It could not be given the sockets.
    #[error("it could not be given the listening sockets: {0}")]
    Sockets(#[source] io::Error),
    /// It said why it would not serve.
    #[error("it said: {0}")]
    Said(String),
    /// It ended without a word.
    #[error("it ended without a word; the node's log has what it printed")]
    Ended,
    /// It did not serve in time.
    #[error("it did not serve within {} s", READY_WITHIN.as_secs())]
    Slow,
}

/// The process that follows this one.
#[derive(Debug)]
pub struct Successor {
    child: Child,
    line: tokio::net::UnixStream,
}

impl Successor {
    /// Starts `program` as this process was started, and gives it the sockets; returns it once it serves.
    pub async fn start(
        program: &Path,
        installed: &Path,
        sockets: &Sockets,
        goes_back: bool,
    ) -> Result<Self, Failed> {
        let mut successor = Self::spawn(program, installed, goes_back).map_err(Failed::Start)?;
        let serving = timeout(READY_WITHIN, successor.serve(sockets)).await;
        let Err(failed) = serving.unwrap_or(Err(Failed::Slow)) else { return Ok(successor) };
        // It holds the data folder for as long as it lives.
        let _ = successor.child.kill().await;
        Err(failed)
    }

    fn spawn(program: &Path, installed: &Path, goes_back: bool) -> io::Result<Self> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        let mut command = Command::new(program);
        command.args(std::env::args_os().skip(1)).env(INSTALLED_ENV, installed);
        command.env(ASKED_ENV, "1");
        match goes_back {
            true => command.env(BACK_ENV, "1"),
            false => command.env_remove(BACK_ENV),
        };
        // Until it is let go, it ends with this process's wish for it: a signal, say.
        command.stdin(Stdio::from(OwnedFd::from(theirs))).kill_on_drop(true);
        Ok(Self { child: command.spawn()?, line: open(ours.into())? })
    }

    /// Gives it the sockets once it asks for them, and waits until it says that it serves.
    async fn serve(&mut self, sockets: &Sockets) -> Result<(), Failed> {
        let mut word = Vec::new();
        match self.line.read_u8().await {
            Ok(ASK) => sockets.send(&self.line).await.map_err(Failed::Sockets)?,
            Ok(other) => word.push(other),
            Err(_) => return Err(Failed::Ended),
        }
        // A line that breaks says as much as one that ends.
        let _ = (&mut self.line).take(WORD_BYTES_MAX).read_to_end(&mut word).await;
        match word.as_slice() {
            READY => Ok(()),
            [] => Err(Failed::Ended),
            why => Err(Failed::Said(String::from_utf8_lossy(why).trim().into())),
        }
    }

    /// Lets it go on for itself. It learns that everything is done for it.
    pub fn release(self) {
        drop(self.line);
        // Dropped, it would be ended.
        std::mem::forget(self.child);
    }

    /// Its process id; `None` once it has ended.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    fn listener() -> TcpListener {
        TcpListener::bind("127.0.0.1:0").unwrap()
    }

    fn sockets(https: bool, dns: bool) -> Sockets {
        let edge = EdgeSockets { http: listener(), https: https.then(listener) };
        let udp = || std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let dns = dns.then(|| AuthoritySockets { udp: udp(), tcp: listener() });
        Sockets { edge, api: listener(), dns }
    }

    /// This process's end of a line as a new process has it, and the other one.
    fn line() -> (Predecessor, UnixStream) {
        let (theirs, ours) = UnixStream::pair().unwrap();
        (Predecessor { line: theirs, installed: "/x".into(), goes_back: false }, ours)
    }

    #[tokio::test]
    async fn sockets_arrive_as_what_they_were_once_they_are_asked_for() {
        for (https, dns) in [(true, true), (true, false), (false, true), (false, false)] {
            let (mut predecessor, mut ours) = line();
            let sent = sockets(https, dns);
            let giving = async {
                assert_eq!(ours.read_u8().await.unwrap(), ASK);
                sent.send(&ours).await.unwrap();
            };
            let (got, ()) = tokio::join!(predecessor.ask(), giving);
            let got = got.unwrap();
            let address = |socket: &TcpListener| socket.local_addr().unwrap();
            assert_eq!(address(&got.edge.http), address(&sent.edge.http));
            assert_eq!(address(&got.api), address(&sent.api));
            assert_eq!(got.edge.https.as_ref().map(address), sent.edge.https.as_ref().map(address));
            let dns = |sockets: &Sockets| {
                let AuthoritySockets { udp, tcp } = sockets.dns.as_ref()?;
                Some((udp.local_addr().unwrap(), tcp.local_addr().unwrap()))
            };
            assert_eq!(dns(&got), dns(&sent));
            let at = address(&sent.edge.http);
            drop(sent);
            TcpStream::connect(at).unwrap();
            got.edge.http.accept().unwrap();
        }
    }

    #[test]
    fn a_program_that_knows_no_kinds_sends_https_or_not() {
        for https in [true, false] {
            let EdgeSockets { http, https: secure } = sockets(https, false).edge;
            let all = [Some(http), Some(listener()), secure].into_iter().flatten();
            let sorted = Sockets::sorted(b"s", all.map(OwnedFd::from)).unwrap();
            assert_eq!((sorted.edge.https.is_some(), sorted.dns.is_some()), (https, false));
        }
    }

    #[tokio::test]
    async fn a_line_without_sockets_is_an_error() {
        let (mut predecessor, mut ours) = line();
        ours.write_all(b"x").await.unwrap();
        assert!(predecessor.ask().await.is_err());
        drop(ours);
        assert!(predecessor.ask().await.is_err());
    }

    #[tokio::test]
    async fn what_went_wrong_is_told() {
        let (predecessor, mut ours) = line();
        predecessor.tell_failed("the data folder is broken").await;
        let mut said = String::new();
        ours.read_to_string(&mut said).await.unwrap();
        assert_eq!(said, "the data folder is broken");
    }

    #[tokio::test]
    async fn the_end_of_the_process_before_is_noticed() {
        let (mut predecessor, ours) = line();
        assert!(timeout(Duration::from_millis(50), predecessor.ended()).await.is_err());
        drop(ours);
        timeout(SOCKETS_WITHIN, predecessor.ended()).await.unwrap();
    }

    #[tokio::test]
    async fn whoever_does_not_ask_holds_no_socket() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("hangs");
        std::fs::write(&program, "#!/bin/sh\nexec sleep 60\n").unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&program, mode).unwrap();
        let sockets = sockets(false, false);
        let mut successor = Successor::spawn(&program, Path::new("/x"), false).unwrap();
        let at = sockets.api.local_addr().unwrap();
        let waiting = timeout(Duration::from_millis(200), successor.serve(&sockets));
        assert!(waiting.await.is_err());
        assert!(successor.child.try_wait().unwrap().is_none(), "it runs still");
        drop(sockets);
        TcpListener::bind(at).unwrap();
    }

    #[tokio::test]
    async fn a_program_that_ends_or_is_not_there_does_not_follow() {
        let sockets = sockets(false, false);
        let installed = Path::new("/nowhere");
        let failed = Successor::start(Path::new("/bin/false"), installed, &sockets, false).await;
        assert!(matches!(failed, Err(Failed::Ended)));
        let failed =
            Successor::start(Path::new("/nowhere/temps"), installed, &sockets, false).await;
        assert!(matches!(failed, Err(Failed::Start(_))));
    }
}
