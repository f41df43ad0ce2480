//! Nodes that get another program, one after the other, while the others still run the one before.

use std::collections::BTreeSet;
use std::panic::resume_unwind;
use std::path::PathBuf;

use tokio::task::spawn_blocking;

use crate::chaos::Field;
use crate::{Client, GroundError, write_other_binary};

/// Gives all nodes the program under test, which they may have run before, but as another file by its digest. Whoever takes
/// the place of a node from now on begins with it, too.
pub(super) async fn roll(field: &Field) -> Result<(), GroundError> {
    let next = write_next(field).await?;
    let before = programs(field).await;
    let said = next.to_string_lossy();
    field.ground.temps(&["upgrade", "--json", "--binary", &said]).await?;
    let after = programs(field).await;
    if after.len() != 1 || !after.is_disjoint(&before) {
        return Err(GroundError::NoEffect(format!("nodes run {after:?}, and ran {before:?}")));
    }
    for node in field.ground.nodes() {
        node.begin_with(&next)?;
    }
    Ok(())
}

/// The program under test, as a file that nobody had before.
async fn write_next(field: &Field) -> Result<PathBuf, GroundError> {
    let (path, program) = (field.ground.folder().join("next"), field.binary.clone());
    let (at, mark) = (path.clone(), field.number().to_string());
    let written = spawn_blocking(move || write_other_binary(&program, &at, &mark)).await;
    let written = written.unwrap_or_else(|panic| resume_unwind(panic.into_panic()));
    written.map(|()| path.clone()).map_err(|source| GroundError::Folder { path, source })
}

/// The digests of what the nodes run, by their own word.
async fn programs(field: &Field) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for node in 1..=field.nodes {
        let path = format!("/nodes/n{node}/upgrade?consistency=stale");
        if let Ok(answer) = Client::get(&field.client, node, &path).await {
            all.extend(answer.body["binary"].as_str().map(str::to_owned));
        }
    }
    all
}
