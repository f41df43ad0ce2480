//! What was written before a sync that failed. Kernels tell that once, and take it for written from then on: a later sync
//! does nothing for it, and only what is written once more comes to the disk.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// A write that is seen as long as there is power, and not on the disk.
#[derive(Debug)]
pub(super) struct Doomed {
    /// What was there before it, where nothing was written since.
    lost: Vec<Piece>,
    /// How long the file is on the disk at least.
    length: u64,
}

#[derive(Debug)]
struct Piece {
    at: u64,
    before: Vec<u8>,
}

impl Doomed {
    /// So many octets were written there, where these were, in a file of this length.
    pub fn new(at: u64, octets: u64, mut before: Vec<u8>, length: u64) -> Self {
        // Where nothing was, there are zeros if the file is longer in the end.
        before.resize(before.len().max(usize::try_from(octets).unwrap_or_default()), 0);
        let lost = if octets > 0 { vec![Piece { at, before }] } else { Vec::new() };
        Self { lost, length }
    }

    /// So many octets were written there since, and synced.
    pub fn overwritten(&mut self, at: u64, octets: u64) {
        let end = at + octets;
        self.length = self.length.max(end);
        for Piece { at: from, before } in std::mem::take(&mut self.lost) {
            let place = |moment: u64| {
                usize::try_from(moment.saturating_sub(from)).unwrap_or(usize::MAX).min(before.len())
            };
            let pieces = [(from, &before[..place(at)]), (from.max(end), &before[place(end)..])];
            let left = pieces.into_iter().filter(|(_, before)| !before.is_empty());
            self.lost.extend(left.map(|(at, before)| Piece { at, before: before.to_vec() }));
        }
    }

    /// Whether all of it was written once more.
    pub const fn is_over(&self) -> bool {
        self.lost.is_empty()
    }

    /// What it remembers.
    pub fn bytes(&self) -> usize {
        self.lost.iter().map(|piece| piece.before.len()).sum()
    }

    /// The power is gone, and with it what was written.
    pub fn lose(self, file: &File) -> io::Result<()> {
        let length = file.metadata()?.len().min(self.length);
        file.set_len(length)?;
        self.lost.into_iter().filter(|piece| piece.at < length).try_for_each(|piece| {
            let there = usize::try_from(length - piece.at).unwrap_or(usize::MAX);
            file.write_all_at(&piece.before[..there.min(piece.before.len())], piece.at)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_once_more_is_kept_and_nothing_beside_it() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(b"old and 0123456789", 0).unwrap();
        let mut doomed = Doomed::new(4, 14, b"and".to_vec(), 7);
        doomed.overwritten(10, 4);
        assert!(!doomed.is_over());
        doomed.lose(&file).unwrap();
        let mut left = [0; 14];
        file.read_exact_at(&mut left, 0).unwrap();
        assert_eq!((&left, file.metadata().unwrap().len()), (b"old and\0\0\x002345", 14));
        let mut doomed = Doomed::new(4, 4, b"then".to_vec(), 14);
        doomed.overwritten(0, 14);
        assert!(doomed.is_over());
    }
}
