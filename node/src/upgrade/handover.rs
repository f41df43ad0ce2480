//! What passes between a node's process and the one that follows it: the listening sockets one way, and word of how it
//! went the other. The new process finds its end of the line as its standard input, so that no path can be taken by
//! somebody else, and nothing but the system's own calls carries descriptors.

use std::io::{self, IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use temps_proxy::EdgeSockets;
use tokio::io::AsyncReadExt;
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// Tells a process that it follows another, and which file is the program that an upgrade replaces.
const INSTALLED_ENV: &str = "TEMPS_HANDOVER";
/// Tells it that it is the program that ran before, which serves whether or not it finds the cluster.
const BACK_ENV: &str = "TEMPS_HANDOVER_BACK";
/// The most sockets that are handed over: HTTP, the API, HTTPS.
const SOCKETS_MAX: usize = 3;
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
}

impl Sockets {
    /// A second handle on the same sockets.
    pub fn try_clone(&self) -> io::Result<Self> {
        let EdgeSockets { http, https } = &self.edge;
        let https = https.as_ref().map(TcpListener::try_clone).transpose()?;
        Ok(Self {
            edge: EdgeSockets { http: http.try_clone()?, https },
            api: self.api.try_clone()?,
        })
    }

    fn send(&self, line: &UnixStream) -> io::Result<()> {
        let mut all: Vec<BorrowedFd<'_>> = vec![self.edge.http.as_fd(), self.api.as_fd()];
        all.extend(self.edge.https.as_ref().map(AsFd::as_fd));
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !control.push(SendAncillaryMessage::ScmRights(&all)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        sendmsg(line, &[IoSlice::new(b"s")], &mut control, SendFlags::empty())?;
        Ok(())
    }

    fn receive(line: &UnixStream) -> io::Result<Self> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut octet = [0];
        let mut octets = [IoSliceMut::new(&mut octet)];
        recvmsg(line, &mut octets, &mut control, RecvFlags::CMSG_CLOEXEC)?;
        let mut received = control.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(sockets) => Some(sockets),
            _ => None,
        });
        let mut sockets = received.next().into_iter().flatten().map(TcpListener::from);
        let (Some(http), Some(api)) = (sockets.next(), sockets.next()) else {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "no sockets came"));
        };
        Ok(Self { edge: EdgeSockets { http, https: sockets.next() }, api })
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
pub struct Released(tokio::net::UnixStream);

impl Released {
    /// Waits for the end of the line.
    pub async fn wait(mut self) {
        // A line that breaks has ended.
        let _ = self.0.read_to_end(&mut Vec::new()).await;
    }
}

impl Predecessor {
    /// The process that started this one to follow it, if one did, and what it leaves to this one.
    pub fn find() -> io::Result<Option<(Self, Sockets)>> {
        let Some(installed) = std::env::var_os(INSTALLED_ENV) else { return Ok(None) };
        let line = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        line.set_read_timeout(Some(SOCKETS_WITHIN))?;
        let sockets = Sockets::receive(&line)?;
        let goes_back = std::env::var_os(BACK_ENV).is_some();
        Ok(Some((Self { line, installed: installed.into(), goes_back }, sockets)))
    }

    /// Says that this process serves now.
    pub fn tell_ready(mut self) -> io::Result<Released> {
        self.line.write_all(READY)?;
        self.line.shutdown(std::net::Shutdown::Write)?;
        self.line.set_nonblocking(true)?;
        Ok(Released(tokio::net::UnixStream::from_std(self.line)?))
    }

    /// Says why this process ends instead of serving.
    pub fn tell_failed(mut self, why: &str) {
        // It sees that this process ends, at the least.
        let _ = self.line.write_all(why.as_bytes());
        let _ = self.line.shutdown(std::net::Shutdown::Write);
    }
}

/// Why a new process did not take over.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// It could not be started.
    #[error("it could not be started: {0}")]
    Start(#[source] io::Error),
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
    /// Starts `program` as this process was started, with the sockets; returns it once it serves.
    pub async fn start(
        program: &Path,
        installed: &Path,
        sockets: &Sockets,
        goes_back: bool,
    ) -> Result<Self, Failed> {
        let spawned = Self::spawn(program, installed, sockets, goes_back);
        let mut successor = spawned.map_err(Failed::Start)?;
        let word = timeout(READY_WITHIN, successor.word()).await;
        let failed = match word {
            Ok(word) if word == READY => return Ok(successor),
            Ok(word) if word.is_empty() => Failed::Ended,
            Ok(word) => Failed::Said(String::from_utf8_lossy(&word).trim().into()),
            Err(_) => Failed::Slow,
        };
        // It holds the data folder for as long as it lives.
        let _ = successor.child.kill().await;
        Err(failed)
    }

    fn spawn(
        program: &Path,
        installed: &Path,
        sockets: &Sockets,
        goes_back: bool,
    ) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        sockets.send(&ours)?;
        ours.set_nonblocking(true)?;
        let mut command = Command::new(program);
        command.args(std::env::args_os().skip(1)).env(INSTALLED_ENV, installed);
        match goes_back {
            true => command.env(BACK_ENV, "1"),
            false => command.env_remove(BACK_ENV),
        };
        // Until it is let go, it ends with this process's wish for it: a signal, say.
        command.stdin(Stdio::from(OwnedFd::from(theirs))).kill_on_drop(true);
        let child = command.spawn()?;
        Ok(Self { child, line: tokio::net::UnixStream::from_std(ours)? })
    }

    /// What it says, until it has said everything or has ended.
    async fn word(&mut self) -> Vec<u8> {
        let mut word = Vec::new();
        // A line that breaks says as much as one that ends.
        let _ = (&mut self.line).take(WORD_BYTES_MAX).read_to_end(&mut word).await;
        word
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
    use std::io::Read;
    use std::net::TcpStream;

    use super::*;

    fn listener() -> TcpListener {
        TcpListener::bind("127.0.0.1:0").unwrap()
    }

    fn sockets(https: bool) -> Sockets {
        let edge = EdgeSockets { http: listener(), https: https.then(listener) };
        Sockets { edge, api: listener() }
    }

    #[test]
    fn sockets_arrive_as_what_they_were() {
        for https in [true, false] {
            let (ours, theirs) = UnixStream::pair().unwrap();
            let sent = sockets(https);
            sent.send(&ours).unwrap();
            let got = Sockets::receive(&theirs).unwrap();
            let address = |socket: &TcpListener| socket.local_addr().unwrap();
            assert_eq!(address(&got.edge.http), address(&sent.edge.http));
            assert_eq!(address(&got.api), address(&sent.api));
            assert_eq!(got.edge.https.as_ref().map(address), sent.edge.https.as_ref().map(address));
            let at = address(&sent.edge.http);
            drop(sent);
            TcpStream::connect(at).unwrap();
            got.edge.http.accept().unwrap();
        }
    }

    #[test]
    fn a_line_without_sockets_is_an_error() {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        ours.write_all(b"x").unwrap();
        assert!(Sockets::receive(&theirs).is_err());
    }

    #[test]
    fn what_went_wrong_is_told() {
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let predecessor = Predecessor { line: theirs, installed: "/x".into(), goes_back: false };
        predecessor.tell_failed("the data folder is broken");
        let mut said = String::new();
        ours.read_to_string(&mut said).unwrap();
        assert_eq!(said, "the data folder is broken");
    }

    #[tokio::test]
    async fn a_program_that_ends_or_is_not_there_does_not_follow() {
        let sockets = sockets(false);
        let installed = Path::new("/nowhere");
        let failed = Successor::start(Path::new("/bin/false"), installed, &sockets, false).await;
        assert!(matches!(failed, Err(Failed::Ended)));
        let failed =
            Successor::start(Path::new("/nowhere/temps"), installed, &sockets, false).await;
        assert!(matches!(failed, Err(Failed::Start(_))));
    }
}
