//! What of files and names is left after a loss of power.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use temps_simulated_os::{Listing, Synced};

use super::chance::Chance;
use super::world::{is_on, world};

/// How often a name that was not synced is gone.
const NAME_GONE_PERCENT: u64 = 50;
/// How often nothing of a file has come to the disk but its new length.
const ZEROS_PERCENT: u64 = 15;

/// What lasts: of each file so many octets, of each folder these names.
#[derive(Debug, Default)]
pub struct Durable {
    files: BTreeMap<u64, u64>,
    folders: BTreeMap<PathBuf, Listing>,
    /// How folders were when power was lost, where more has been done to them here than in the story.
    limits: BTreeMap<PathBuf, Listing>,
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

    /// A sync had begun and not ended: what was done to its folder since, was not done.
    pub fn limit(&mut self, synced: &Synced) {
        let (folder, listing) = synced.listing();
        self.limits.insert(folder.into(), listing.clone());
    }

    /// Cuts everything below a folder to what is left, and says how many octets are lost. What is left lasts.
    pub fn cut(&mut self, root: &Path, chance: &mut Chance) -> io::Result<u64> {
        let mut lost = 0;
        let mut rest = vec![root.to_path_buf()];
        let (mut files, mut folders) = (BTreeMap::new(), BTreeMap::new());
        while let Some(folder) = rest.pop() {
            if let Some(limit) = self.limits.get(&folder) {
                bring_back(&folder, limit)?;
                go_back(&folder, limit)?;
            }
            let mut names = Listing::new();
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
                    let octets = octets.max(zeros_to);
                    files.insert(known.ino(), octets);
                    names.insert(name, (known.ino(), octets));
                }
            }
            folders.insert(folder, names);
        }
        *self = Self { files, folders, limits: BTreeMap::new() };
        Ok(lost)
    }

    /// Whether a name lasts. Which file has it is no matter: no file takes the place of another with other content.
    fn is_named(&self, folder: &Path, name: &OsString) -> bool {
        self.folders.get(folder).is_some_and(|names| names.contains_key(name))
    }
}

/// Brings back what was removed from a folder.
fn bring_back(folder: &Path, to: &Listing) -> io::Result<()> {
    if !is_on() {
        return Ok(());
    }
    for (name, (inode, _)) in to {
        let removed = world().root.join("removed").join(inode.to_string());
        if removed.exists() {
            fs::rename(removed, folder.join(name))?;
        }
    }
    Ok(())
}

/// Brings the files of a folder back to how they were: the names, and the lengths.
fn go_back(folder: &Path, to: &Listing) -> io::Result<()> {
    let before: BTreeMap<u64, (&OsString, u64)> =
        to.iter().map(|(name, (inode, octets))| (*inode, (name, *octets))).collect();
    for path in sorted(folder)? {
        let known = fs::symlink_metadata(&path)?;
        let name = path.file_name().unwrap_or_default().to_owned();
        if known.is_dir() || has_no_content(&name) {
            continue;
        }
        match before.get(&known.ino()) {
            None => fs::remove_file(&path)?,
            Some((before, octets)) => {
                if *octets < known.len() {
                    OpenOptions::new().write(true).open(&path)?.set_len(*octets)?;
                }
                if **before != name {
                    fs::rename(&path, folder.join(before))?;
                }
            }
        }
    }
    Ok(())
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
        let (path, beside) = (kept.clone(), Listing::new());
        durable.promote(&Synced::File { path, inode, octets: 4, beside });
        let names = Listing::from([(OsString::from("kept"), (inode, 4))]);
        durable.promote(&Synced::Folder { path: dir.path().into(), names });
        let mut chance = Chance::of(1, "cut");
        let octets = durable.cut(dir.path(), &mut chance).unwrap();
        let left = fs::read(&kept).unwrap();
        assert!(left.starts_with(b"0123") && left.len() <= 10);
        assert!(octets <= 16);
        assert_eq!(durable.cut(dir.path(), &mut chance).unwrap(), 0, "what is left lasts");
    }

    #[test]
    fn what_would_have_come_after_a_sync_has_not_come_if_that_did_not_end() {
        let dir = tempfile::tempdir().unwrap();
        let (half, whole, next) =
            (dir.path().join("a.tmp"), dir.path().join("a"), dir.path().join("b"));
        fs::write(&half, b"0123").unwrap();
        let inode = fs::metadata(&half).unwrap().ino();
        let beside = Listing::from([(OsString::from("a.tmp"), (inode, 4))]);
        let (path, octets) = (half.clone(), 4);
        let synced = Synced::File { path, inode, octets, beside };
        fs::rename(&half, &whole).unwrap();
        fs::write(&next, b"45").unwrap();
        let mut durable = Durable::default();
        durable.promote(&Synced::Folder {
            path: dir.path().into(),
            names: synced.listing().1.clone(),
        });
        durable.limit(&synced);
        durable.cut(dir.path(), &mut Chance::of(1, "back")).unwrap();
        assert!(half.exists() && !whole.exists() && !next.exists());
    }
}
