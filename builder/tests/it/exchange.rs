//! Nodes that get blobs, sources and sites from each other: builders in one process, with faults between them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use temps_builder::{
    BlobDigest, BuildError, Builder, Engine, PeerPath, PeerStream, Peers, UPLOAD_BYTES_MAX,
};
use temps_state::NodeId;
use tokio_util::io::ReaderStream;

/// What happens to the octets of a node on their way.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// One is wrong.
    Corrupt,
    /// They end with an error after so many.
    CutAfter(usize),
}

/// All nodes, and what each was asked for.
#[derive(Default)]
struct Net {
    nodes: Mutex<BTreeMap<NodeId, (Builder, Fault)>>,
    asked: Mutex<Vec<(NodeId, u64)>>,
}

/// A handle for the builders.
#[derive(Clone, Default)]
struct Wire(Arc<Net>);

impl Wire {
    fn set(&self, node: u64, builder: &Builder, fault: Fault) {
        self.0.nodes.lock().unwrap().insert(NodeId(node), (builder.clone(), fault));
    }

    fn asked(&self) -> Vec<(NodeId, u64)> {
        std::mem::take(&mut *self.0.asked.lock().unwrap())
    }
}

impl Peers for Wire {
    fn get(
        &self,
        node: NodeId,
        path: String,
        from: u64,
    ) -> BoxFuture<'static, io::Result<PeerStream>> {
        self.0.asked.lock().unwrap().push((node, from));
        let found = self.0.nodes.lock().unwrap().get(&node).cloned();
        async move {
            let (builder, fault) = found.ok_or(io::ErrorKind::ConnectionRefused)?;
            let stream: PeerStream = match PeerPath::read(&path).unwrap() {
                PeerPath::Blob(digest) => {
                    let opened = builder.blobs().read_from(&digest, from).await?;
                    ReaderStream::new(opened.ok_or(io::ErrorKind::NotFound)?.0).boxed()
                }
                PeerPath::Site(site) => {
                    builder.lend_site(&site, from).ok_or(io::ErrorKind::NotFound)?.boxed()
                }
                PeerPath::Manifest { .. } => return Err(io::ErrorKind::NotFound.into()),
            };
            let octets: Vec<Bytes> = stream.map(Result::unwrap).collect().await;
            let mut octets = octets.concat();
            let mut end = None;
            match fault {
                Fault::Corrupt if !octets.is_empty() => octets[0] ^= 1,
                Fault::CutAfter(bytes) if octets.len() > bytes => {
                    octets.truncate(bytes);
                    end = Some(Err(io::ErrorKind::ConnectionReset.into()));
                }
                _ => {}
            }
            let pieces: Vec<_> = octets.chunks(999).map(|c| Ok(c.to_vec().into())).collect();
            Ok(stream::iter(pieces).chain(stream::iter(end)).boxed())
        }
        .boxed()
    }
}

fn builder(folder: &tempfile::TempDir, wire: &Wire) -> Builder {
    let engine = Engine::on_socket("/nonexistent/docker.sock");
    Builder::open(folder.path(), engine).unwrap().with_peers(Arc::new(wire.clone()))
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn nodes(ids: &[u64]) -> Vec<NodeId> {
    ids.iter().copied().map(NodeId).collect()
}

fn data() -> Vec<u8> {
    (0..100_000_u32).flat_map(|n| n.to_le_bytes()).collect()
}

#[tokio::test]
async fn a_blob_that_one_node_has_wrong_is_taken_from_another() {
    let (wire, f1, f2, f3) = (Wire::default(), folder(), folder(), folder());
    let (me, bad, good) = (builder(&f1, &wire), builder(&f2, &wire), builder(&f3, &wire));
    let digest = good.blobs().put_octets(&data()).unwrap();
    bad.blobs().put_octets(&data()).unwrap();
    wire.set(2, &bad, Fault::Corrupt);
    wire.set(3, &good, Fault::None);
    me.obtain(&digest, &nodes(&[2, 3])).await.unwrap();
    assert_eq!(fs::read(me.blobs().path(&digest)).unwrap(), data());
    assert_eq!(wire.asked(), [(NodeId(2), 0), (NodeId(3), 0)]);

    let f4 = folder();
    let only_bad = builder(&f4, &wire).obtain(&digest, &nodes(&[2, 9])).await;
    let Err(BuildError::BlobMissing { asked, .. }) = only_bad else { panic!("{only_bad:?}") };
    assert!(asked.contains("node 2: what it sent is not") && asked.contains("node 9"), "{asked}");
}

#[tokio::test]
async fn a_transfer_that_breaks_off_goes_on_where_it_stopped() {
    let (wire, f1, f2) = (Wire::default(), folder(), folder());
    let (me, other) = (builder(&f1, &wire), builder(&f2, &wire));
    let digest = other.blobs().put_octets(&data()).unwrap();
    wire.set(2, &other, Fault::CutAfter(150_000));
    me.obtain(&digest, &nodes(&[2])).await.unwrap();
    assert_eq!(wire.asked(), [(NodeId(2), 0), (NodeId(2), 150_000), (NodeId(2), 300_000)]);
    assert_eq!(me.blobs().size(&digest), Some(400_000));

    // What was there before, and is wrong, is thrown away.
    let f3 = folder();
    let late = builder(&f3, &wire);
    let parts = late.blobs().path(&digest).ancestors().nth(3).unwrap().join("parts");
    fs::write(parts.join(digest.hex()), vec![7; 1_000]).unwrap();
    wire.set(2, &other, Fault::None);
    late.obtain(&digest, &nodes(&[2])).await.unwrap();
    assert_eq!(wire.asked(), [(NodeId(2), 1_000), (NodeId(2), 0)]);
}

#[tokio::test]
async fn many_who_want_the_same_cause_one_transfer() {
    let (wire, f1, f2) = (Wire::default(), folder(), folder());
    let (me, other) = (builder(&f1, &wire), builder(&f2, &wire));
    let digest = other.blobs().put_octets(&data()).unwrap();
    wire.set(2, &other, Fault::None);
    let candidates = nodes(&[2]);
    let all = (0..20).map(|_| me.obtain(&digest, &candidates));
    for obtained in futures::future::join_all(all).await {
        obtained.unwrap();
    }
    assert_eq!(wire.asked().len(), 1);
}

#[tokio::test]
async fn a_node_that_lost_its_folder_gets_sources_and_sites_again() {
    let (wire, f1, f2) = (Wire::default(), folder(), folder());
    let (me, other) = (builder(&f1, &wire), builder(&f2, &wire));
    wire.set(2, &other, Fault::CutAfter(3_000));
    let archive = [&[0x1f, 0x8b][..], &data()].concat();
    let archive = stream::iter([Ok::<_, io::Error>(Bytes::from(archive))]);
    let upload = other.uploads().receive(archive, UPLOAD_BYTES_MAX).await.unwrap();
    let site = site(&f2);

    let lost = me.obtain_upload(&upload.digest, &[]).await;
    assert!(matches!(lost, Err(BuildError::UploadMissing { .. })), "{lost:?}");
    wire.set(2, &other, Fault::None);
    me.obtain_upload(&upload.digest, &nodes(&[7, 2])).await.unwrap();
    assert!(me.uploads().path(&upload.digest).is_file());
    wire.set(2, &other, Fault::CutAfter(3_000));
    me.provide_site(&site, &nodes(&[7, 2])).await.unwrap();
    me.provide_site(&site, &[]).await.unwrap();
    let index = BlobDigest::of(PAGE.repeat(500).as_bytes());
    let served = f1.path().join("static").join(&site).join(index.hex());
    assert_eq!(fs::read_to_string(served).unwrap(), PAGE.repeat(500));

    drop(me);
    fs::remove_dir_all(f1.path()).unwrap();
    let again = builder(&f1, &wire);
    wire.set(2, &other, Fault::None);
    again.obtain_upload(&upload.digest, &nodes(&[2])).await.unwrap();
    again.provide_site(&site, &nodes(&[2])).await.unwrap();
    let gone = again.provide_site(BlobDigest::of(b"x").hex(), &nodes(&[2])).await;
    assert!(matches!(gone, Err(BuildError::BlobMissing { .. })), "{gone:?}");
}

const PAGE: &str = "<p>hello</p>";

/// Writes a site down as a build does, by hand.
fn site(folder: &tempfile::TempDir) -> String {
    let (page, text) = (PAGE.repeat(500), "plain".to_owned());
    let file = |content: &String| temps_state::StaticFile {
        sha256: BlobDigest::of(content.as_bytes()).hex().into(),
        bytes: content.len() as u64,
        encodings: vec![],
    };
    let files = BTreeMap::from([
        ("/index.html".to_owned(), file(&page)),
        ("/a.txt".to_owned(), file(&text)),
    ]);
    let digest = BlobDigest::of(&serde_json::to_vec(&files).unwrap());
    let into = folder.path().join("static").join(digest.hex());
    fs::create_dir_all(&into).unwrap();
    for content in [&page, &text] {
        fs::write(into.join(BlobDigest::of(content.as_bytes()).hex()), content).unwrap();
    }
    let manifest = temps_state::Manifest { built_at: jiff::Timestamp::UNIX_EPOCH, files };
    fs::write(into.join(temps_state::MANIFEST), serde_json::to_vec(&manifest).unwrap()).unwrap();
    digest.hex().into()
}
