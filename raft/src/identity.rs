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
/// The format of `node.json` that is written.
const FORMAT: u32 = 2;
/// The format before nodes could join: every node is the founder of its own cluster.
const FORMAT_ALONE: u32 = 1;
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
    /// How the node came to its cluster.
    #[serde(default)]
    origin: Origin,
    /// Whether it has begun a log. One that is not there any more was lost, with what this node promised in it.
    #[serde(default)]
    has_log: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Origin {
    /// It made the cluster.
    #[default]
    Founded,
    /// A member let it in.
    Joined,
}

impl Identity {
    /// Who a node is that a member let in.
    pub fn joined(node: NodeId, cluster: String, key: &ClusterKey) -> Self {
        Self::new(node, cluster, key, Origin::Joined)
    }

    fn new(node: NodeId, cluster: String, key: &ClusterKey, origin: Origin) -> Self {
        let sealed = key.seal(rand::random::<[u8; NONCE_LEN]>(), CHECK, &cluster);
        let key_check = sealed.expect("a cluster id is short enough to seal");
        Self { format: FORMAT, node, cluster, key_check, origin, has_log: false }
    }

    /// Whether this node made its cluster. One that did not waits to be fed, however empty its log is.
    pub fn founded(&self) -> bool {
        self.origin == Origin::Founded
    }

    /// Whether it has begun a log.
    pub fn has_log(&self) -> bool {
        self.has_log
    }

    /// `node.json`.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("an identity is plain JSON")
    }
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

/// Keeps in mind, for ever, that this node has begun a log.
pub fn keep_log_begun(folder: &Folder, identity: Identity) -> Result<Identity, RaftError> {
    if identity.has_log {
        return Ok(identity);
    }
    let identity = Identity { has_log: true, ..identity };
    write_file(&folder.identity(), &identity.to_json())?;
    Ok(identity)
}

fn found(folder: &Folder) -> Result<(Identity, ClusterKey), RaftError> {
    if folder.log().exists() {
        return Err(RaftError::IdentityMissing { path: folder.identity() });
    }
    // A join writes the authority first and the identity last.
    if folder.authority().exists() {
        return Err(RaftError::JoinUnfinished { path: folder.root.clone() });
    }
    // Of a machine that founds a cluster its own key is the last.
    if folder.node_key().exists() && !folder.key().exists() {
        return Err(RaftError::JoinRefused { path: folder.node_key() });
    }
    let key = match read_key(&folder.key())? {
        Some(key) => key,
        None => draw_key(&folder.key())?,
    };
    let cluster = hex::encode(rand::random::<[u8; 16]>());
    let identity = Identity::new(FOUNDER, cluster, &key, Origin::Founded);
    make_dir(&folder.raft())?;
    write_file(&folder.identity(), &identity.to_json())?;
    Ok((identity, key))
}

/// Reads who this node is, if it is anybody yet.
pub fn read_identity(path: &Path) -> Result<Option<Identity>, RaftError> {
    let Some(bytes) = read(path)? else { return Ok(None) };
    let damaged = |source| RaftError::IdentityDamaged { path: path.into(), source };
    let identity: Identity = serde_json::from_slice(&bytes).map_err(damaged)?;
    match identity.format {
        FORMAT_ALONE | FORMAT => Ok(Some(identity)),
        found => Err(RaftError::IdentityFormat { path: path.into(), found }),
    }
}

/// Reads the cluster's key, if it is there.
pub fn read_key(path: &Path) -> Result<Option<ClusterKey>, RaftError> {
    let Some(text) = read(path)? else { return Ok(None) };
    let mut octets = [0; CLUSTER_KEY_LEN];
    hex::decode_to_slice(text.trim_ascii(), &mut octets)
        .map_err(|_| RaftError::KeyDamaged { path: path.into() })?;
    Ok(Some(ClusterKey::new(octets)))
}

fn draw_key(path: &Path) -> Result<ClusterKey, RaftError> {
    let key = ClusterKey::new(rand::random());
    write_file(path, &key_text(&key))?;
    Ok(key)
}

/// What `cluster.key` holds.
pub fn key_text(key: &ClusterKey) -> Vec<u8> {
    format!("{}\n", hex::encode(key.octets())).into_bytes()
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, RaftError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(RaftError::file("read", path)(e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLUSTER: &str = "00112233445566778899aabbccddeeff";
    /// Written before nodes could join, with the key 0707….
    const ALONE: &str = r#"{
  "format": 1,
  "node": 1,
  "cluster": "00112233445566778899aabbccddeeff",
  "key_check": "AQEBAQEBAQEBAQEBRtG4hqKN3z3l4OkURgFHBpDDLc159llxO1InBgPRUN1KdfgB+XmmaFg9nPlFxt3n"
}"#;

    fn folder(dir: &tempfile::TempDir) -> Folder {
        let folder = Folder { root: dir.path().into() };
        fs::create_dir_all(folder.raft()).unwrap();
        folder
    }

    #[test]
    fn a_folder_from_before_nodes_could_join_is_its_clusters_founder() {
        let dir = tempfile::tempdir().unwrap();
        let folder = folder(&dir);
        fs::write(folder.identity(), ALONE).unwrap();
        fs::write(folder.key(), format!("{}\n", "07".repeat(CLUSTER_KEY_LEN))).unwrap();
        let (identity, key) = open(&folder).unwrap();
        assert_eq!((identity.node, identity.cluster.as_str()), (FOUNDER, CLUSTER));
        assert!(identity.founded());
        assert_eq!(key.octets(), &[7; CLUSTER_KEY_LEN]);
        assert_eq!(fs::read_to_string(folder.identity()).unwrap(), ALONE);
        fs::write(folder.key(), "08".repeat(CLUSTER_KEY_LEN)).unwrap();
        assert!(matches!(open(&folder), Err(RaftError::KeyWrong { .. })));
    }

    #[test]
    fn a_node_that_joined_stays_one_and_opens_without_a_log() {
        let dir = tempfile::tempdir().unwrap();
        let folder = folder(&dir);
        let key = draw_key(&folder.key()).unwrap();
        let joined = Identity::joined(NodeId(9), CLUSTER.into(), &key);
        fs::write(folder.identity(), joined.to_json()).unwrap();
        let (identity, _) = open(&folder).unwrap();
        assert_eq!((identity.node, identity.founded()), (NodeId(9), false));
        let newer = ALONE.replace("\"format\": 1", "\"format\": 3");
        fs::write(folder.identity(), newer).unwrap();
        assert!(matches!(open(&folder), Err(RaftError::IdentityFormat { found: 3, .. })));
    }

    #[test]
    fn a_new_folder_founds_and_stays_the_founder() {
        let dir = tempfile::tempdir().unwrap();
        let folder = folder(&dir);
        let (founded, _) = open(&folder).unwrap();
        let (again, _) = open(&folder).unwrap();
        assert!(founded.founded() && again.founded());
        assert_eq!(again.cluster, founded.cluster);
    }
}
