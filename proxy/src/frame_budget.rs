//! How many frames an HTTP/2 client may send that ask for work and bring nothing. Pure.
//!
//! A request that is reset at once, a ping, a setting, an empty frame: each costs the edge more than the client, and none
//! counts against the bound of open streams (CVE-2023-44487, CVE-2019-9512 and its kin). So every such frame is paid for
//! from a budget, which grows with time and with what the client is sent, as honest frames of that kind follow from that.

use std::time::Duration;

use crate::budget::{Budget, RESET_COST};

/// Octets of a frame's head (RFC 9113 §4.1).
const HEAD: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;

/// Follows the frames of one connection.
#[derive(Debug)]
pub(crate) struct FrameBudget {
    budget: Budget,
    head: [u8; HEAD],
    head_octets: usize,
    /// Octets of the preface or of a frame that are still to come.
    skip: usize,
}

impl FrameBudget {
    /// A full budget, before a preface of this many octets.
    pub(crate) fn new(preface: usize) -> Self {
        Self { budget: Budget::new(), head: [0; HEAD], head_octets: 0, skip: preface }
    }

    /// Notes octets that the client is sent.
    pub(crate) fn sent(&mut self, octets: usize) {
        self.budget.sent(octets);
    }

    /// Pays for what has arrived, `at` this age of the connection; false once the budget does not suffice.
    pub(crate) fn pay(&mut self, mut arrived: &[u8], at: Duration) -> bool {
        self.budget.fill(at);
        while !arrived.is_empty() {
            let skipped = self.skip.min(arrived.len());
            self.skip -= skipped;
            arrived = &arrived[skipped..];
            let taken = (HEAD - self.head_octets).min(arrived.len());
            self.head[self.head_octets..][..taken].copy_from_slice(&arrived[..taken]);
            self.head_octets += taken;
            arrived = &arrived[taken..];
            if self.head_octets == HEAD {
                let [a, b, c, kind, ..] = self.head;
                self.skip = u32::from_be_bytes([0, a, b, c]) as usize;
                self.head_octets = 0;
                if !self.budget.pay(cost(kind, self.skip)) {
                    return false;
                }
            }
        }
        true
    }
}

fn cost(kind: u8, length: usize) -> u64 {
    match kind {
        DATA | HEADERS if length > 0 => 0,
        RST_STREAM => RESET_COST,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::BUDGET_MAX;

    fn frame(kind: u8, length: u8) -> Vec<u8> {
        let mut frame = vec![0, 0, length, kind, 0, 0, 0, 0, 1];
        frame.extend(vec![0; usize::from(length)]);
        frame
    }

    /// How many of these frames in a row a fresh budget pays for, at most a million.
    fn paid(frames: &[u8], sent: usize, pause: Duration) -> usize {
        let mut budget = FrameBudget::new(0);
        (0..100_000)
            .take_while(|n| {
                budget.sent(sent);
                budget.pay(frames, pause * *n)
            })
            .count()
    }

    #[test]
    fn floods_end() {
        let at_once = Duration::ZERO;
        assert_eq!(paid(&frame(6, 8), 0, at_once), 4_000, "pings");
        assert_eq!(paid(&frame(0, 0), 0, at_once), 4_000, "empty data");
        assert_eq!(paid(&frame(4, 6), 9, at_once), 4_654, "settings, whose answers give little");
        let reset = [frame(HEADERS, 30), frame(RST_STREAM, 4)].concat();
        assert_eq!(paid(&reset, 0, at_once), 200);
        assert!(paid(&reset, 100, Duration::from_millis(1)) < 500, "resets after answers");
    }

    #[test]
    fn honest_clients_go_on() {
        let at_once = Duration::ZERO;
        let window = frame(8, 4);
        assert_eq!(paid(&window, 16 << 10, at_once), 100_000, "a download");
        assert_eq!(paid(&frame(0, 20), 0, at_once), 100_000, "small messages");
        assert_eq!(paid(&frame(HEADERS, 30), 0, at_once), 100_000, "requests");
        let reset = [frame(HEADERS, 30), frame(RST_STREAM, 4)].concat();
        assert_eq!(paid(&reset, 50, Duration::from_millis(100)), 100_000, "ten resets a second");
    }

    #[test]
    fn pieces_do_not_matter() {
        let frames = [vec![1; 24], frame(0, 50), frame(6, 8), frame(3, 4), frame(1, 200)].concat();
        for piece in 1..frames.len() {
            let mut budget = FrameBudget::new(24);
            assert!(frames.chunks(piece).all(|piece| budget.pay(piece, Duration::ZERO)));
            assert_eq!(budget.budget.left(), BUDGET_MAX - 1 - RESET_COST, "{piece}");
        }
    }
}
