//! Tells the client of a WebSocket that the edge stops, or that its app is gone, between two frames of the app. Pure but
//! for the wait.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::watch;

/// What a frame is that says that its sender closes (RFC 6455 §5.2).
const CLOSE: u8 = 0x8;
/// A Close frame that says 1001, "going away" (RFC 6455 §5.5.1).
pub(crate) const GOING_AWAY: &[u8] = &[0x88, 2, 0x03, 0xe9];
/// Octets of an answer's head that are looked at.
const HEAD_MAX: usize = 64 << 10;
/// Octets of a frame's head at most, and at least.
const FRAME_HEAD: std::ops::RangeInclusive<usize> = 2..=14;

/// Waits for the edge to stop, while it follows what a client is sent.
pub(crate) struct Farewell {
    stop: Pin<Box<dyn Future<Output = ()> + Send + Sync>>,
    stopped: bool,
    sent: Sent,
    /// Whether the app has said that it closes.
    closes: bool,
    /// How much of [`GOING_AWAY`] is out.
    said: usize,
}

/// What a client was sent so far.
enum Sent {
    /// A part of an answer's head.
    Head(Vec<u8>),
    /// A part of a frame's head; nothing between two frames.
    Frame(Vec<u8>),
    /// A frame but for this many octets.
    Payload(u64),
    /// Something that is no WebSocket.
    Other,
}

impl Farewell {
    /// For a client that asked for a WebSocket.
    pub(crate) fn new(mut stop: watch::Receiver<bool>) -> Self {
        let stop = Box::pin(async move {
            let _ = stop.wait_for(|stop| *stop).await;
        });
        Self { stop, stopped: false, sent: Sent::Head(Vec::new()), closes: false, said: 0 }
    }

    /// What is to be sent now; nothing before the edge stops, in the middle of a frame, and once it is out.
    pub(crate) fn poll_words(&mut self, cx: &mut Context<'_>) -> Poll<&'static [u8]> {
        if !self.stopped && self.stop.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.stopped = true;
        match self.last_words() {
            [] => Poll::Pending,
            words => Poll::Ready(words),
        }
    }

    /// What is to be sent before the connection is closed, where nothing told the client why: nothing in the middle of a
    /// frame, and behind the app's own farewell.
    pub(crate) fn last_words(&self) -> &'static [u8] {
        let between = matches!(&self.sent, Sent::Frame(head) if head.is_empty());
        if between && !self.closes { &GOING_AWAY[self.said..] } else { &[] }
    }

    /// Notes that so many of the words are out.
    pub(crate) fn said(&mut self, octets: usize) {
        self.said += octets;
    }

    /// Whether the words are begun: nothing that the app sends may follow them.
    pub(crate) fn is_begun(&self) -> bool {
        self.said > 0
    }

    /// Notes what the client was sent.
    pub(crate) fn note(&mut self, mut octets: &[u8]) {
        while !octets.is_empty() {
            let taken = match &mut self.sent {
                Sent::Other => return,
                Sent::Payload(left) => {
                    let taken = (*left).min(octets.len() as u64);
                    *left -= taken;
                    taken as usize
                }
                Sent::Head(head) | Sent::Frame(head) => {
                    head.push(octets[0]);
                    1
                }
            };
            octets = &octets[taken..];
            self.closes |= matches!(&self.sent, Sent::Frame(head) if is_close(head));
            self.sent.settle();
        }
    }
}

impl Sent {
    /// Goes on to what comes next, where something is whole.
    fn settle(&mut self) {
        let next = match self {
            Self::Head(head) if head.ends_with(b"\r\n\r\n") => after_head(head),
            Self::Head(head) if head.len() >= HEAD_MAX => Self::Other,
            Self::Frame(head) => match payload(head) {
                Some(0) => Self::Frame(Vec::new()),
                Some(length) => Self::Payload(length),
                None => return,
            },
            Self::Payload(0) => Self::Frame(Vec::new()),
            _ => return,
        };
        *self = next;
    }
}

/// What follows an answer: frames, the answer proper after an interim one, or something else.
fn after_head(head: &[u8]) -> Sent {
    match head.get(9..12) {
        Some(b"101") => Sent::Frame(Vec::new()),
        Some([b'1', ..]) => Sent::Head(Vec::new()),
        _ => Sent::Other,
    }
}

fn is_close(head: &[u8]) -> bool {
    head.first().is_some_and(|first| first & 0xf == CLOSE)
}

/// The length of a frame's payload, once its head is whole (RFC 6455 §5.2).
fn payload(head: &[u8]) -> Option<u64> {
    let short = head.get(1)? & 0x7f;
    let mask = if head[1] & 0x80 == 0 { 0 } else { 4 };
    let (octets, length) = match short {
        126 => (2, u64::from(u16::from_be_bytes(head.get(2..4)?.try_into().ok()?))),
        127 => (8, u64::from_be_bytes(head.get(2..10)?.try_into().ok()?)),
        _ => (0, u64::from(short)),
    };
    let whole = FRAME_HEAD.start() + octets + mask;
    (head.len() >= whole).then_some(length)
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    const SWITCH: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";

    /// Whether the words may be sent after these octets, once the edge stops.
    fn may_speak(octets: &[u8], piece: usize) -> bool {
        let (_stop, stopped) = watch::channel(true);
        let mut farewell = Farewell::new(stopped);
        octets.chunks(piece).for_each(|piece| farewell.note(piece));
        farewell.poll_words(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn the_words_are_said_between_frames_only() {
        let long = [&[0x82, 126, 0, 200][..], &[7; 200]].concat();
        let huge = [&[0x02, 127, 0, 0, 0, 0, 0, 1, 0, 0][..], &[7; 65_536]].concat();
        for (after, may) in [
            (vec![], true),
            (vec![0x81], false),
            (vec![0x81, 2, b'h'], false),
            (vec![0x81, 2, b'h', b'i'], true),
            (vec![0x89, 0], true),
            (vec![0x81, 0x82, 1, 2, 3, 4, 5, 6], true),
            (long[..150].to_vec(), false),
            (long, true),
            (huge, true),
        ] {
            for interim in [&b""[..], b"HTTP/1.1 103 Early Hints\r\n\r\n"] {
                let octets = [interim, SWITCH, &after].concat();
                for piece in [1, 7, 100_000] {
                    assert_eq!(
                        may_speak(&octets, piece),
                        may,
                        "{:?}",
                        &after[..after.len().min(9)]
                    );
                }
            }
        }
        assert!(!may_speak(b"HTTP/1.1 200 OK\r\n\r\n", 1));
        assert!(!may_speak(&SWITCH[..20], 1));
    }

    #[test]
    fn they_are_said_at_the_end_unless_the_app_said_its_own() {
        let last_words = |octets: &[u8]| {
            let mut farewell = Farewell::new(watch::channel(false).1);
            octets.chunks(3).for_each(|piece| farewell.note(piece));
            farewell.last_words()
        };
        assert_eq!(last_words(SWITCH), GOING_AWAY);
        assert_eq!(last_words(&[SWITCH, &[0x81, 2, b'h', b'i']].concat()), GOING_AWAY);
        assert_eq!(last_words(&[SWITCH, &[0x81, 2, b'h']].concat()), b"");
        assert_eq!(last_words(&[SWITCH, &[0x88, 2, 0x03, 0xe8]].concat()), b"");
        assert_eq!(last_words(b"HTTP/1.1 200 OK\r\n\r\n"), b"");
    }

    #[test]
    fn they_wait_for_the_stop_and_are_said_once() {
        let (stop, stopped) = watch::channel(false);
        let mut farewell = Farewell::new(stopped);
        let cx = &mut Context::from_waker(Waker::noop());
        farewell.note(SWITCH);
        assert!(farewell.poll_words(cx).is_pending());
        stop.send_replace(true);
        assert_eq!(farewell.poll_words(cx), Poll::Ready(GOING_AWAY));
        farewell.said(3);
        assert_eq!(farewell.poll_words(cx), Poll::Ready(&GOING_AWAY[3..]));
        farewell.said(1);
        assert!(farewell.is_begun() && farewell.poll_words(cx).is_pending());
    }
}
