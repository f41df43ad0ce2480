//! Files that are not as they were written. A node may find what it needs elsewhere, or refuse to start and say what to
//! do, which is then done: it may not go on without what it has promised.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::GroundError;
use crate::chaos::Field;
use crate::chaos::chance::Chance;
use crate::chaos::watch::sight;
use crate::wait::until;

use super::{members, processes};

/// What a node stores for itself that is worth damaging: its log, and the state that was made of it.
const FOLDERS: [&str; 2] = ["data/raft/log", "data/raft/state"];
/// The most octets that a file loses.
const CUT_MAX: u64 = 4096;
/// What a node says that is to be replaced.
const ADVICE: &str = "join again with an empty data folder";
/// How long the others may take to have all that a node has that is to be damaged.
const CATCH_UP_MAX: Duration = Duration::from_secs(20);
/// Lines of a node's log in which it says why it does not start.
const LAST_WORDS: usize = 40;

/// How a file is damaged.
pub(super) type Damage = fn(&File, u64, &mut Chance) -> io::Result<()>;

/// Ends these nodes, and damages a file of each.
pub(super) async fn make(
    field: &Field,
    nodes: &[usize],
    damage: Damage,
) -> Result<(), GroundError> {
    processes::kill(field, nodes).await?;
    catch_up(field, nodes).await?;
    for &node in nodes {
        let mut chance = field.chance(&format!("damage {}", field.number()));
        let folder = field.ground.node(node).folder();
        let broken = |source| GroundError::Folder { path: folder.clone(), source };
        damage_one(&folder, damage, &mut chance).map_err(broken)?;
    }
    Ok(())
}

/// Waits until the others have all that these have promised: what a damaged log has lost then, nobody needs it for.
async fn catch_up(field: &Field, gone: &[usize]) -> Result<(), GroundError> {
    let mut since = None;
    until("the others have caught up", CATCH_UP_MAX, async || {
        let Some((leader, term, all)) = agreed(field, gone).await else { return false };
        let (least, most) = (all.iter().min().copied(), all.iter().max().copied());
        // Whoever leads has committed something in its term once more is applied than at first, and with it all before.
        match since {
            Some((known, first)) if known == (leader, term) => least > first,
            _ => {
                since = Some(((leader, term), most));
                false
            }
        }
    })
    .await
    .map(drop)
}

/// Who leads those that are left in which term, if they agree, and what each of them has applied.
pub(super) async fn agreed(field: &Field, gone: &[usize]) -> Option<(usize, u64, Vec<u64>)> {
    let mut sights = Vec::new();
    for node in (1..=field.nodes).filter(|node| !gone.contains(node)) {
        let status = field.client.get(node, "/status").await.ok()?;
        sights.push(sight(node, &status.body)?);
    }
    let first = sights.first()?;
    let leader = first.leader.filter(|leader| !gone.contains(leader))?;
    let agree = sights.iter().all(|it| (it.leader, it.term) == (first.leader, first.term));
    agree.then(|| (leader, first.term, sights.iter().map(|it| it.applied).collect()))
}

fn damage_one(folder: &Path, damage: Damage, chance: &mut Chance) -> io::Result<()> {
    let chosen = chance.pick(&FOLDERS).copied().unwrap_or(FOLDERS[0]);
    let files = with_content(&folder.join(chosen))?;
    let Some((path, length)) = chance.pick(&files) else {
        return Err(io::Error::other(format!("there is nothing in {chosen}")));
    };
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    damage(&file, *length, chance)?;
    file.sync_all()
}

fn with_content(folder: &Path) -> io::Result<Vec<(PathBuf, u64)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let known = entry.metadata()?;
        if known.is_file() && known.len() > 0 {
            files.push((entry.path(), known.len()));
        }
    }
    files.sort();
    Ok(files)
}

/// Turns a bit somewhere in it.
pub(super) fn turn_a_bit(file: &File, length: u64, chance: &mut Chance) -> io::Result<()> {
    let at = chance.within(0, length - 1);
    let mut octet = [0];
    file.read_exact_at(&mut octet, at)?;
    octet[0] ^= 1 << chance.within(0, 7);
    file.write_all_at(&octet, at)
}

/// Cuts off its end.
pub(super) fn cut_short(file: &File, length: u64, chance: &mut Chance) -> io::Result<()> {
    file.set_len(length - chance.within(1, length.min(CUT_MAX)))
}

/// Starts these nodes, and replaces those that refuse, which it returns.
pub(super) async fn undo(field: &Field, nodes: &[usize]) -> Result<Vec<usize>, GroundError> {
    let mut replaced = Vec::new();
    for &number in nodes {
        let node = field.ground.node(number);
        if node.runs().await || node.start().await.is_ok() {
            continue;
        }
        let log = node.log_tail(LAST_WORDS);
        if node.runs().await || !log.contains(ADVICE) {
            return Err(GroundError::Speechless { node: number, log });
        }
        members::remove(field, number, &[number]).await?;
        members::join(field, &[number]).await?;
        replaced.push(number);
    }
    Ok(replaced)
}
