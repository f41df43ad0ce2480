//! What a join leaves in the data folder, in the order in which it is written: a crash in between leaves a folder that
//! the same join finishes, and that starts as nothing else.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use temps_proto::join::Admitted;
use temps_state::{CLUSTER_KEY_LEN, ClusterKey, NodeId};

use super::JoinError;
use crate::RaftError;
use crate::folder::{Folder, make_dir, write_file};
use crate::identity::{Identity, key_text, read_identity, read_key};
use crate::trust::{Token, from_pem};

/// One file to be written.
pub struct File {
    path: PathBuf,
    octets: Vec<u8>,
}

/// The node that the folder is already, if it is one of the token's cluster. Refuses a folder of another cluster.
pub fn joined_before(folder: &Folder, token: &Token) -> Result<Option<Identity>, JoinError> {
    let elsewhere = || JoinError::BelongsElsewhere { path: folder.root.clone() };
    let identity = read_identity(&folder.identity())?;
    let begun = match fs::read_to_string(folder.authority()) {
        Ok(pem) => Some(token.pins(&from_pem(&pem)?)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(e) => return Err(RaftError::file("read", &folder.authority())(e).into()),
    };
    if identity.is_none() && folder.log().exists() {
        return Err(RaftError::IdentityMissing { path: folder.identity() }.into());
    }
    let has_data = identity.is_some() || folder.key().exists();
    match begun {
        Some(false) => Err(elsewhere()),
        None if has_data => Err(elsewhere()),
        _ => Ok(identity),
    }
}

/// What to write for a machine that was admitted. The identity comes last: it makes the folder a node's.
pub fn files(folder: &Folder, admitted: &Admitted) -> Option<[File; 4]> {
    let octets: [u8; CLUSTER_KEY_LEN] = admitted.cluster_key[..].try_into().ok()?;
    let key = ClusterKey::new(octets);
    let identity = Identity::joined(NodeId(admitted.node), admitted.cluster.clone(), &key);
    let file = |path, octets: &[u8]| File { path, octets: octets.to_vec() };
    Some([
        file(folder.authority(), admitted.authority.as_bytes()),
        file(folder.certificate(), admitted.certificate.as_bytes()),
        file(folder.key(), &key_text(&key)),
        file(folder.identity(), &identity.to_json()),
    ])
}

/// Writes files one after the other. Blocks.
pub fn write(files: &[File]) -> Result<(), RaftError> {
    for File { path, octets } in files {
        make_dir(path.parent().unwrap_or(Path::new(".")))?;
        write_file(path, octets)?;
    }
    Ok(())
}

/// Whether the cluster's key is another one than the folder has: it must not be overwritten.
pub fn has_other_key(folder: &Folder, admitted: &Admitted) -> Result<bool, RaftError> {
    let key = read_key(&folder.key())?;
    Ok(key.is_some_and(|key| key.octets()[..] != admitted.cluster_key[..]))
}
