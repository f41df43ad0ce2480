//! Who this node is, and the cluster's key.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use temps_state::{CLUSTER_KEY_LEN, ClusterKey, NONCE_LEN, NodeId, Sealed};

use crate::RaftError;
use crate::folder::{Folder, make_dir, write_file};

/// The node that founds a cluster. Later nodes get the index of the log entry that admits them, which is always
/// greater: entry 0 is the first membership, entry 1 the first leader's.
const FOUNDER: NodeId = NodeId(1);
/// The format of `node.json`.
const FORMAT: u32 = 1;
/// What the key check in `node.json` is sealed for.
const CHECK: &str = "node.json/key_check";

/// `node.json`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Identity {
    format: u32,
    /// This node.
    pub node: NodeId,
    /// The cluster's id: 128 random bits in hex.
    pub cluster: String,
    /// The cluster's id, sealed: opens only with the cluster's key.
    key_check: Sealed,
}

/// Reads who this node is and the cluster's key, or draws both when the folder has no data.
pub fn open(folder: &Folder) -> Result<(Identity, ClusterKey), RaftError> {
    let Some(identity) = read_identity(&folder.identity())? else {
        return found(folder);
    };
    let path = folder.key();
    let key = read_key(&path)?.ok_or_else(|| RaftError::KeyMissing { path: path.clone() })?;
    match key.open(CHECK, &identity.key_check) {
        Ok(cluster) if cluster == identity.cluster => Ok((identity, key)),
        _ => Err(RaftError::KeyWrong { path }),
    }
}

fn found(folder: &Folder) -> Result<(Identity, ClusterKey), RaftError> {
    if folder.log().exists() {
        return Err(RaftError::IdentityMissing { path: folder.identity() });
    }
    let key = match read_key(&folder.key())? {
        Some(key) => key,
        None => draw_key(&folder.key())?,
    };
    let cluster = hex::encode(rand::random::<[u8; 16]>());
    let sealed = key.seal(rand::random::<[u8; NONCE_LEN]>(), CHECK, &cluster);
    let key_check = sealed.expect("a cluster id is short enough to seal");
    let identity = Identity { format: FORMAT, node: FOUNDER, cluster, key_check };
    let json = serde_json::to_vec_pretty(&identity).expect("an identity is plain JSON");
    make_dir(&folder.raft())?;
    write_file(&folder.identity(), &json)?;
    Ok((identity, key))
}

fn read_identity(path: &Path) -> Result<Option<Identity>, RaftError> {
    let Some(bytes) = read(path)? else { return Ok(None) };
    let damaged = |source| RaftError::IdentityDamaged { path: path.into(), source };
    let identity: Identity = serde_json::from_slice(&bytes).map_err(damaged)?;
    match identity.format {
        FORMAT => Ok(Some(identity)),
        found => Err(RaftError::IdentityFormat { path: path.into(), found }),
    }
}

fn read_key(path: &Path) -> Result<Option<ClusterKey>, RaftError> {
    let Some(text) = read(path)? else { return Ok(None) };
    let mut octets = [0; CLUSTER_KEY_LEN];
    hex::decode_to_slice(text.trim_ascii(), &mut octets)
        .map_err(|_| RaftError::KeyDamaged { path: path.into() })?;
    Ok(Some(ClusterKey::new(octets)))
}

fn draw_key(path: &Path) -> Result<ClusterKey, RaftError> {
    let key = ClusterKey::new(rand::random());
    write_file(path, format!("{}\n", hex::encode(key.octets())).as_bytes())?;
    Ok(key)
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, RaftError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(RaftError::file("read", path)(e)),
    }
}
