//! What of files and names is left after a loss of power.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use temps_simulated_os::Synced;

use super::chance::Chance;

/// How often a name that was not synced is gone.
const NAME_GONE_PERCENT: u64 = 50;
/// How often nothing of a file has come to the disk but its new length.
const ZEROS_PERCENT: u64 = 15;

/// What lasts: of each file so many octets, of each folder these names.
#[derive(Debug, Default)]
pub struct Durable {
    files: BTreeMap<u64, u64>,
    folders: BTreeMap<PathBuf, BTreeMap<OsString, u64>>,
}

/// What becomes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It is gone.
    Gone,
    /// So many octets are left, and zeros up to a length.
    Left { octets: u64, zeros_to: u64 },
}

impl Durable {
    /// A sync has ended.
    pub fn promote(&mut self, synced: &Synced) {
        match synced {
            Synced::File { inode, octets, .. } => drop(self.files.insert(*inode, *octets)),
            Synced::Folder { path, names } => {
                self.folders.insert(path.clone(), names.clone());
            }
        }
    }

    /// Cuts everything below a folder to what is left, and says how many octets are lost. What is left lasts.
    pub fn cut(&mut self, root: &Path, chance: &mut Chance) -> io::Result<u64> {
        let mut lost = 0;
        let mut rest = vec![root.to_path_buf()];
        let (mut files, mut folders) = (BTreeMap::new(), BTreeMap::new());
        while let Some(folder) = rest.pop() {
            let mut names = BTreeMap::new();
            for path in sorted(&folder)? {
                let known = fs::symlink_metadata(&path)?;
                if known.is_dir() {
                    rest.push(path);
                    continue;
                }
                let name = path.file_name().unwrap_or_default().to_owned();
                let durable = self.files.get(&known.ino()).copied().unwrap_or_default();
                let fate = match has_no_content(&name) {
                    true => Fate::Left { octets: known.len(), zeros_to: 0 },
                    false => fate(chance, durable, known.len(), self.is_named(&folder, &name)),
                };
                lost += carry_out(fate, &path, known.len())?;
                if let Fate::Left { octets, zeros_to } = fate {
                    files.insert(known.ino(), octets.max(zeros_to));
                    names.insert(name, known.ino());
                }
            }
            folders.insert(folder, names);
        }
        *self = Self { files, folders };
        Ok(lost)
    }

    /// Whether a name lasts. Which file has it is no matter: no file takes the place of another with other content.
    fn is_named(&self, folder: &Path, name: &OsString) -> bool {
        self.folders.get(folder).is_some_and(|names| names.contains_key(name))
    }
}

/// Files that are only there: locks, and where simulated rows are.
fn has_no_content(name: &OsString) -> bool {
    ["lock", "LOCK", super::rows::MARK].iter().any(|known| name == known)
}

fn sorted(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
    let mut paths: Vec<PathBuf> = entries.collect::<io::Result<_>>()?;
    paths.sort();
    Ok(paths)
}

/// What becomes of a file of which `durable` octets of all last, and its name or not.
fn fate(chance: &mut Chance, durable: u64, all: u64, is_named: bool) -> Fate {
    if !is_named && chance.percent(NAME_GONE_PERCENT) {
        return Fate::Gone;
    }
    let durable = durable.min(all);
    if durable < all && chance.percent(ZEROS_PERCENT) {
        return Fate::Left { octets: durable, zeros_to: all };
    }
    Fate::Left { octets: durable + chance.below(all - durable + 1), zeros_to: 0 }
}

fn carry_out(fate: Fate, path: &Path, all: u64) -> io::Result<u64> {
    let Fate::Left { octets, zeros_to } = fate else {
        fs::remove_file(path)?;
        return Ok(all);
    };
    if octets < all {
        let file = OpenOptions::new().write(true).open(path)?;
        file.set_len(octets)?;
        file.set_len(octets.max(zeros_to))?;
    }
    Ok(all - octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_synced_is_left_and_never_more_than_was_written() {
        let mut chance = Chance::of(3, "remains");
        for _ in 0..1000 {
            match fate(&mut chance, 10, 14, true) {
                Fate::Left { octets: 10, zeros_to: 14 } => {}
                Fate::Left { octets, zeros_to: 0 } => assert!((10..=14).contains(&octets)),
                other => panic!("{other:?}"),
            }
            assert_eq!(fate(&mut chance, 9, 9, true), Fate::Left { octets: 9, zeros_to: 0 });
        }
        let gone = (0..100).filter(|_| fate(&mut chance, 9, 9, false) == Fate::Gone).count();
        assert!((20..80).contains(&gone), "{gone} of 100");
    }

    #[test]
    fn a_folder_is_cut_to_what_lasts() {
        let dir = tempfile::tempdir().unwrap();
        let (kept, lost) = (dir.path().join("kept"), dir.path().join("lost"));
        fs::write(&kept, b"0123456789").unwrap();
        fs::write(&lost, b"0123456789").unwrap();
        let inode = fs::metadata(&kept).unwrap().ino();
        let mut durable = Durable::default();
        durable.promote(&Synced::File { path: kept.clone(), inode, octets: 4 });
        let names = BTreeMap::from([(OsString::from("kept"), inode)]);
        durable.promote(&Synced::Folder { path: dir.path().into(), names });
        let mut chance = Chance::of(1, "cut");
        let octets = durable.cut(dir.path(), &mut chance).unwrap();
        let left = fs::read(&kept).unwrap();
        assert!(left.starts_with(b"0123") && left.len() <= 10);
        assert!(octets <= 16);
        assert_eq!(durable.cut(dir.path(), &mut chance).unwrap(), 0, "what is left lasts");
    }
}
