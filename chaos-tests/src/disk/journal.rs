//! What was done to a disk and not synced yet, with what it takes to undo it.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use super::Inode;
use super::doomed::Doomed;
use crate::chaos::Chance;

/// What disks write whole or not at all.
const SECTOR_BYTES: u64 = 512;
/// What of one file is remembered at most; beyond it, all of the file is on the disk, synced or not.
const UNSYNCED_BYTES_MAX: usize = 32 * 1024 * 1024;
const UNSYNCED_WRITES_MAX: usize = 50_000;
/// How many names are remembered at most; beyond it the oldest is on the disk.
const UNSYNCED_NAMES_MAX: usize = 50_000;

/// Octets of a file were written, or cut off, where others may have been.
#[derive(Debug)]
struct Written {
    at: u64,
    octets: u64,
    before: Vec<u8>,
    /// How long the file was.
    length: u64,
}

/// What was written to a file, oldest first.
#[derive(Debug)]
struct Unsynced {
    file: Inode,
    writes: Vec<Written>,
    bytes: usize,
    /// What a sync failed to bring to the disk, oldest first.
    doomed: Vec<Doomed>,
}

impl Unsynced {
    /// Takes back whatever is not on the disk, and says how many writes that were.
    fn lose(self) -> io::Result<usize> {
        let (file, count) = (self.file.writable()?, self.writes.len() + self.doomed.len());
        for Written { at, before, length, .. } in self.writes.into_iter().rev() {
            file.set_len(length)?;
            file.write_all_at(&before, at)?;
        }
        self.doomed.into_iter().rev().try_for_each(|doomed| doomed.lose(&file))?;
        Ok(count)
    }
}

/// What happened to a name.
#[derive(Debug)]
enum Named {
    /// It was given to something new.
    Made { folder: Inode, name: OsString },
    /// It went away; what had it is kept.
    Removed { folder: Inode, name: OsString, kept: PathBuf },
    /// It had been another one's.
    Moved { from: (Inode, OsString), to: (Inode, OsString) },
}

/// All of it.
#[derive(Debug)]
pub(super) struct Journal {
    files: HashMap<u64, Unsynced>,
    /// Oldest first.
    names: Vec<Named>,
    /// Where things are kept that may have to come back.
    gone: PathBuf,
    kept: u64,
}

impl Journal {
    /// With an empty folder on the same disk.
    pub fn new(gone: PathBuf) -> Self {
        Self { files: HashMap::new(), names: Vec::new(), gone, kept: 0 }
    }

    /// So many octets are about to be written there.
    pub fn write(&mut self, file: &Inode, at: u64, octets: u64) -> io::Result<()> {
        let length = file.metadata()?.len();
        let there = length.saturating_sub(at).min(octets);
        self.keep(file, Written { at, octets, before: read(file, at, there)?, length })
    }

    /// A file is about to get another length.
    pub fn set_length(&mut self, file: &Inode, to: u64) -> io::Result<()> {
        let length = file.metadata()?.len();
        let (at, octets) = (to.min(length), to.saturating_sub(length));
        self.keep(file, Written { at, octets, before: read(file, at, length - at)?, length })
    }

    fn keep(&mut self, file: &Inode, written: Written) -> io::Result<()> {
        let new =
            || Unsynced { file: file.clone(), writes: Vec::new(), bytes: 0, doomed: Vec::new() };
        let unsynced = self.files.entry(file.number()).or_insert_with(new);
        unsynced.bytes += written.before.len();
        unsynced.writes.push(written);
        if unsynced.bytes > UNSYNCED_BYTES_MAX || unsynced.writes.len() > UNSYNCED_WRITES_MAX {
            self.sync_file(file);
        }
        Ok(())
    }

    /// A name was given to something new.
    pub fn made(&mut self, folder: &Inode, name: &OsStr) {
        self.name(Named::Made { folder: folder.clone(), name: name.into() });
    }

    /// Removes a name, and keeps what has it.
    pub fn remove(&mut self, folder: &Inode, name: &OsStr) -> io::Result<()> {
        self.kept += 1;
        let kept = self.gone.join(self.kept.to_string());
        fs::rename(folder.child(name), &kept)?;
        self.name(Named::Removed { folder: folder.clone(), name: name.into(), kept });
        Ok(())
    }

    /// Something was moved to a name that nothing had.
    pub fn moved(&mut self, from: (&Inode, &OsStr), to: (&Inode, &OsStr)) {
        let owned = |(folder, name): (&Inode, &OsStr)| (folder.clone(), name.to_owned());
        self.name(Named::Moved { from: owned(from), to: owned(to) });
    }

    fn name(&mut self, named: Named) {
        self.names.push(named);
        if self.names.len() > UNSYNCED_NAMES_MAX {
            forget(self.names.remove(0));
        }
    }

    /// What was written to a file since a sync of it was asked for last is on the disk.
    pub fn sync_file(&mut self, file: &Inode) {
        let Some(unsynced) = self.files.get_mut(&file.number()) else { return };
        for Written { at, octets, .. } in unsynced.writes.drain(..) {
            unsynced.doomed.iter_mut().for_each(|doomed| doomed.overwritten(at, octets));
        }
        unsynced.bytes = 0;
        unsynced.doomed.retain(|doomed| !doomed.is_over());
        if unsynced.doomed.is_empty() {
            self.files.remove(&file.number());
        }
    }

    /// A sync of a file failed, and nobody will try again to bring to the disk what it was for.
    pub fn fail_file(&mut self, file: &Inode) {
        let Some(unsynced) = self.files.get_mut(&file.number()) else { return };
        let doomed = unsynced
            .writes
            .drain(..)
            .map(|it| Doomed::new(it.at, it.octets, it.before, it.length))
            .filter(|doomed| !doomed.is_over());
        unsynced.doomed.extend(doomed);
        unsynced.bytes = 0;
        let mut bytes: usize = unsynced.doomed.iter().map(Doomed::bytes).sum();
        while bytes > UNSYNCED_BYTES_MAX {
            bytes -= unsynced.doomed.remove(0).bytes();
        }
    }

    /// The names in a folder are on the disk.
    pub fn sync_folder(&mut self, folder: &Inode) {
        let is_synced = |named: &mut Named| match named {
            Named::Made { folder: it, .. }
            | Named::Removed { folder: it, .. }
            | Named::Moved { to: (it, _), .. } => it.number() == folder.number(),
        };
        self.names.extract_if(.., is_synced).for_each(forget);
    }

    /// Takes back whatever was not synced, and says how many steps that were.
    pub fn lose(&mut self) -> io::Result<u64> {
        let mut count = self.names.len();
        for unsynced in std::mem::take(&mut self.files).into_values() {
            count += unsynced.lose()?;
        }
        std::mem::take(&mut self.names).into_iter().rev().try_for_each(undo)?;
        Ok(count as u64)
    }

    /// Leaves of the newest write to each file only a part, and of everything else all; says how many writes were torn.
    pub fn tear(&mut self, number: u64) -> io::Result<u64> {
        let mut chance = Chance::from_seed(number);
        let mut torn = 0;
        for mut unsynced in std::mem::take(&mut self.files).into_values() {
            let doomed = std::mem::take(&mut unsynced.doomed);
            let file = unsynced.file.writable()?;
            doomed.into_iter().rev().try_for_each(|doomed| doomed.lose(&file))?;
            let Some(last) = unsynced.writes.last().filter(|last| last.octets > 0) else {
                continue;
            };
            torn += u64::from(tear(&unsynced.file, last, &mut chance)?);
        }
        std::mem::take(&mut self.names).into_iter().for_each(forget);
        Ok(torn)
    }
}

fn read(file: &Inode, at: u64, octets: u64) -> io::Result<Vec<u8>> {
    let mut there = vec![0; usize::try_from(octets).map_err(io::Error::other)?];
    if !there.is_empty() {
        file.writable()?.read_exact_at(&mut there, at)?;
    }
    Ok(there)
}

/// What is done for good needs nothing kept.
fn forget(named: Named) {
    if let Named::Removed { kept, .. } = named {
        // What stays there is in nobody's way.
        let _ = fs::remove_file(&kept).or_else(|_| fs::remove_dir_all(&kept));
    }
}

fn undo(named: Named) -> io::Result<()> {
    let undone = match named {
        Named::Made { folder, name } => {
            let path = folder.child(name);
            // A folder goes with all that is in it: nobody knows where that is.
            fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path))
        }
        Named::Removed { folder, name, kept } => fs::rename(kept, folder.child(name)),
        Named::Moved { from, to } => fs::rename(to.0.child(to.1), from.0.child(from.1)),
    };
    // Where a part of what was done was synced, the rest may have nothing left to undo.
    undone
        .or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

/// Leaves the beginning of what was written at the end of a file: to any octet, or whole sectors and zeros behind.
fn tear(file: &Inode, last: &Written, chance: &mut Chance) -> io::Result<bool> {
    let Written { at, octets, before, length } = last;
    let end = at + octets;
    if file.metadata()?.len() != end {
        return Ok(false);
    }
    let file = file.writable()?;
    let (mut cut, is_short) = (at + chance.within(0, octets - 1), chance.percent(50));
    if !is_short {
        cut = cut.next_multiple_of(SECTOR_BYTES).min(end);
    }
    file.set_len(cut)?;
    let there = usize::try_from(cut - at).unwrap_or(usize::MAX).min(before.len());
    file.write_all_at(&before[there..], at + there as u64)?;
    file.set_len(if is_short { cut.max(*length) } else { end })?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::Path;

    use super::*;

    fn journal(dir: &Path) -> (Inode, Journal) {
        fs::create_dir(dir.join("gone")).unwrap();
        fs::create_dir(dir.join("files")).unwrap();
        (Inode::at(&dir.join("files")).unwrap(), Journal::new(dir.join("gone")))
    }

    fn create(journal: &mut Journal, root: &Inode, name: &str) -> Inode {
        fs::write(root.child(name), b"").unwrap();
        journal.made(root, name.as_ref());
        Inode::at(&root.child(name)).unwrap()
    }

    fn append(journal: &mut Journal, file: &Inode, text: &[u8]) {
        let end = file.metadata().unwrap().len();
        journal.write(file, end, text.len() as u64).unwrap();
        fs::OpenOptions::new().append(true).open(file.path()).unwrap().write_all(text).unwrap();
    }

    fn names(root: &Inode) -> Vec<String> {
        let all = fs::read_dir(root.path()).unwrap();
        let mut names: Vec<String> =
            all.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_was_not_synced_is_lost_and_the_rest_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let (root, mut journal) = journal(dir.path());
        let file = create(&mut journal, &root, "a");
        append(&mut journal, &file, b"synced");
        journal.sync_file(&file);
        journal.sync_folder(&root);
        append(&mut journal, &file, b" and not");
        journal.write(&file, 0, 2).unwrap();
        file.writable().unwrap().write_all_at(b"XX", 0).unwrap();
        journal.set_length(&file, 3).unwrap();
        file.writable().unwrap().set_len(3).unwrap();
        create(&mut journal, &root, "b");
        fs::rename(root.child("a"), root.child("c")).unwrap();
        journal.moved((&root, "a".as_ref()), (&root, "c".as_ref()));
        journal.remove(&root, "c".as_ref()).unwrap();
        assert_eq!(names(&root), ["b"]);
        assert_eq!(journal.lose().unwrap(), 6);
        assert_eq!(names(&root), ["a"]);
        assert_eq!(fs::read(root.child("a")).unwrap(), b"synced");
        assert_eq!(journal.lose().unwrap(), 0);
    }

    #[test]
    fn a_file_that_was_replaced_comes_back_until_its_folder_is_synced() {
        let dir = tempfile::tempdir().unwrap();
        let (root, mut journal) = journal(dir.path());
        for is_synced in [false, true] {
            fs::write(root.child("a"), b"old").unwrap();
            let new = create(&mut journal, &root, "new");
            append(&mut journal, &new, b"new");
            journal.sync_file(&new);
            journal.remove(&root, "a".as_ref()).unwrap();
            fs::rename(root.child("new"), root.child("a")).unwrap();
            journal.moved((&root, "new".as_ref()), (&root, "a".as_ref()));
            if is_synced {
                journal.sync_folder(&root);
            }
            journal.lose().unwrap();
            let left = if is_synced { b"new" } else { b"old" };
            assert_eq!(fs::read(root.child("a")).unwrap(), left);
        }
        assert_eq!(fs::read_dir(dir.path().join("gone")).unwrap().count(), 0);
    }

    #[test]
    fn what_a_sync_failed_to_write_is_lost_unless_it_is_written_again() {
        let dir = tempfile::tempdir().unwrap();
        let (root, mut journal) = journal(dir.path());
        let file = create(&mut journal, &root, "a");
        journal.sync_folder(&root);
        append(&mut journal, &file, b"synced");
        journal.sync_file(&file);
        append(&mut journal, &file, b" and failed");
        journal.fail_file(&file);
        journal.sync_file(&file);
        assert_eq!(journal.lose().unwrap(), 1);
        assert_eq!(fs::read(root.child("a")).unwrap(), b"synced");
        append(&mut journal, &file, b" and again");
        journal.fail_file(&file);
        journal.write(&file, 0, 16).unwrap();
        file.writable().unwrap().write_all_at(b"synced and again", 0).unwrap();
        journal.sync_file(&file);
        assert_eq!(journal.lose().unwrap(), 0);
        assert_eq!(fs::read(root.child("a")).unwrap(), b"synced and again");
    }

    #[test]
    fn of_the_last_write_a_part_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let (root, mut journal) = journal(dir.path());
        let (mut shorter, mut zeros) = (0, 0);
        for number in 0..40 {
            let file = create(&mut journal, &root, &number.to_string());
            append(&mut journal, &file, &[1; 700]);
            append(&mut journal, &file, &[2; 700]);
            assert_eq!(journal.tear(number).unwrap(), 1);
            let left = fs::read(file.path()).unwrap();
            assert_eq!(left[..700], [1; 700], "all before the last write is there");
            let written = left[700..].iter().take_while(|octet| **octet == 2).count();
            assert!(left[700 + written..].iter().all(|octet| *octet == 0));
            shorter += u32::from(left.len() < 1400);
            zeros += u32::from(left.len() == 1400 && written < 700);
        }
        assert!(shorter > 5 && zeros > 5, "{shorter} shorter, {zeros} with zeros");
    }
}
