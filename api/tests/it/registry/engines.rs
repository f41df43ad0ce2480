//! Images that go in and out of engines: by people's own client, and from node to node.

use std::collections::BTreeMap;
use std::io;
use std::process::{Command as Program, Output};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use temps_api::LocalRegistry;
use temps_builder::{
    BlobDigest, BuildError, Builder, Engine, ImageManifest, PeerPath, PeerStream, Peers,
};
use temps_raft::{Cluster, Proposal};
use temps_state::{
    Actor, Artifact, Command, Deployment, DeploymentId, EnvironmentId, FORMAT, Id, JoinToken,
    JoinTokenId, Node, NodeId, Phase, Reply, Source,
};
use tokio_util::io::ReaderStream;
use tokio_util::sync::CancellationToken;

use super::ask;
use crate::common::TestNode;

const ENGINE: &str = "/var/run/docker.sock";

/// The engine's own client, with credentials of its own. The images that it made are gone when it is.
struct Docker(tempfile::TempDir, Mutex<Vec<String>>);

impl Drop for Docker {
    fn drop(&mut self) {
        let images = std::mem::take(&mut *self.1.lock().unwrap());
        for image in images {
            self.run(&["rmi", "-f", &image]);
        }
    }
}

impl Docker {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap(), Mutex::default())
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let config = self.0.path().to_str().unwrap();
        let words = ["60", "docker", "--config", config];
        Program::new("timeout").args(words).args(arguments).output().unwrap()
    }

    #[track_caller]
    fn ok(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {told}");
        String::from_utf8(output.stdout).unwrap().trim().into()
    }

    #[track_caller]
    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(!output.status.success(), "{arguments:?} should have failed");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Makes a small image of its own; gives its id.
    fn image(&self, content: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let unique = format!("{content} {} {:?}", std::process::id(), Timestamp::now());
        std::fs::write(folder.path().join("file"), unique.repeat(2_000)).unwrap();
        let tar = folder.path().join("image.tar");
        let mut pack = Program::new("tar");
        pack.arg("cf").arg(&tar).arg("-C").arg(folder.path()).arg("file");
        assert!(pack.status().unwrap().success());
        let image = self.ok(&["import", tar.to_str().unwrap()]);
        self.1.lock().unwrap().push(image.clone());
        image
    }

    fn has(&self, image: &str) -> bool {
        self.run(&["image", "inspect", image]).status.success()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_push_and_pull_with_the_docker_client() {
    let (node, docker) = (TestNode::start().await, Docker::new());
    let address = node.url.trim_start_matches("http://").to_owned();
    let image = docker.image("for people");
    let name = format!("{address}/team/app");
    let (one, built) = (format!("{name}:1"), format!("{address}/temps/web:1"));
    docker.ok(&["tag", &image, &one]);
    docker.ok(&["tag", &image, &built]);
    let refused = docker.refused(&["push", &one]);
    assert!(refused.contains("no basic auth credentials"), "{refused}");

    docker.ok(&["login", "-u", "any", "-p", &node.key, &address]);
    docker.ok(&["push", &one]);
    assert!(docker.refused(&["push", &built]).contains("denied"));
    assert_eq!(docker.ok(&["push", &one]).matches("Layer already exists").count(), 1);
    docker.ok(&["rmi", &one, &built]);
    assert!(!docker.has(&image));
    docker.ok(&["pull", &one]);
    assert_eq!(docker.ok(&["inspect", "-f", "{{.Id}}", &one]), image);

    let reader = node.user_key("reader").await;
    docker.ok(&["logout", &address]);
    docker.ok(&["login", "-u", "reader@example.com", "-p", crate::common::PASSWORD, &address]);
    docker.ok(&["pull", &one]);
    let two = format!("{name}:2");
    docker.ok(&["tag", &image, &two]);
    assert!(docker.refused(&["push", &two]).contains("denied"));
    docker.ok(&["logout", &address]);
    docker.refused(&["login", "-u", "any", "-p", "tk_wrong", &address]);
    docker.ok(&["rmi", &one, &two]);

    let tags = ask(&node, Method::GET, "/v2/team/app/tags/list", &reader).send().await.unwrap();
    assert_eq!(tags.json::<Value>().await.unwrap(), json!({"name": "team/app", "tags": ["1"]}));
}

/// The other nodes, in this process.
#[derive(Clone, Default)]
struct Wire(Arc<Mutex<BTreeMap<NodeId, Builder>>>);

impl Peers for Wire {
    fn get(
        &self,
        node: NodeId,
        path: String,
        from: u64,
    ) -> BoxFuture<'static, io::Result<PeerStream>> {
        let found = self.0.lock().unwrap().get(&node).cloned();
        async move {
            let builder = found.ok_or(io::ErrorKind::ConnectionRefused)?;
            match PeerPath::read(&path).unwrap() {
                PeerPath::Blob(digest) => {
                    let opened = builder.blobs().read_from(&digest, from).await?;
                    Ok(ReaderStream::new(opened.ok_or(io::ErrorKind::NotFound)?.0).boxed())
                }
                PeerPath::Manifest { repository, tag } => {
                    let lent = builder.lend(&repository, &tag).await.map_err(io::Error::other)?;
                    let lent = Bytes::from(lent.ok_or(io::ErrorKind::NotFound)?);
                    Ok(stream::iter([Ok(lent)]).boxed())
                }
                PeerPath::Site(_) => Err(io::ErrorKind::NotFound.into()),
            }
        }
        .boxed()
    }
}

/// A builder with its own registry on loopback.
async fn builder(folder: &tempfile::TempDir, wire: &Wire, cluster: &Cluster) -> Builder {
    let registry = LocalRegistry::bind(folder.path()).await.unwrap();
    let builder = Builder::open(folder.path(), Engine::on_socket(ENGINE)).unwrap();
    let builder = builder.with_peers(Arc::new(wire.clone())).with_registry(registry.own());
    tokio::spawn(registry.serve(builder.clone(), cluster.clone(), CancellationToken::new()));
    builder
}

/// Lets the cluster know of one node more.
async fn admit(cluster: &Cluster) -> NodeId {
    let (now, me) = (Timestamp::now(), Actor::Node { id: cluster.node_id() });
    let token = JoinToken {
        id: JoinTokenId::from_parts(1, 1),
        key: "token".into(),
        created_at: now,
        expires_at: now + SignedDuration::from_hours(1),
        uses_left: 1,
    };
    let propose =
        async |command| cluster.propose(Proposal::new(me.clone(), command)).await.unwrap().reply;
    propose(Command::CreateJoinToken { token }).await;
    let node =
        Node { key: "key".into(), format: FORMAT.into(), ..Node::new(NodeId(0), "other", now) };
    let admitted =
        propose(Command::AdmitNode { token_key: "token".into(), node: node.clone() }).await;
    let Reply::Node { id } = admitted else { panic!("{admitted:?}") };
    propose(Command::RecordNode { node: Node { id, ..node } }).await;
    id
}

async fn deployment(node: &TestNode, image: &str, holder: NodeId) -> Deployment {
    let project = node.create_project("web").await;
    Deployment {
        id: temps_raft::fresh_id::<DeploymentId>(),
        number: 1,
        project: project["id"].as_str().unwrap().parse().unwrap(),
        environment: EnvironmentId::from_parts(1, 1),
        source: Source::Image { reference: "x".into() },
        revision: None,
        created_by: Actor::Node { id: holder },
        created_at: Timestamp::now(),
        phase: Phase::Starting,
        history: vec![],
        config: None,
        artifact: Some(Artifact::Image { id: image.into() }),
        variables: BTreeMap::new(),
        built_on: None,
        architecture: None,
        holders: [holder].into(),
        returned: vec![],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_goes_from_the_engine_of_one_node_into_that_of_another() {
    let (node, docker, wire) = (TestNode::start().await, Docker::new(), Wire::default());
    let (f1, f2) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (here, there) =
        (builder(&f1, &wire, &node.cluster).await, builder(&f2, &wire, &node.cluster).await);
    let (me, other) = (node.cluster.node_id(), admit(&node.cluster).await);
    wire.0.lock().unwrap().insert(other, there.clone());
    let image = docker.image("between nodes");
    let deployment = deployment(&node, &image, other).await;
    let state = node.cluster.state();
    let tag = format!("temps/web:{}", deployment.id);
    let begin = || {
        docker.run(&["rmi", "-f", &image]);
        assert!(!docker.has(&image));
    };

    // The other node's copy is made when somebody asks for it.
    assert!(here.hold(&state, me, &deployment).await.unwrap(), "the engine has it");
    let digest = BlobDigest::read(&image).unwrap();
    let manifest = there.lend("temps/web", digest.hex()).await.unwrap().unwrap();
    let layer = ImageManifest::read(&manifest).unwrap().layers[0].digest.clone();
    let named = docker.ok(&["images", "--no-trunc"]);
    let is_left = |line: &str| line.starts_with("127.0.0.1") && line.contains(&image);
    assert!(there.blobs().has(&layer) && !named.lines().any(is_left), "{named}");
    std::fs::remove_dir_all(f1.path().join("blobs")).unwrap();
    std::fs::remove_dir_all(f1.path().join("registry")).unwrap();

    begin();
    here.provide_image(&state, &deployment).await.unwrap();
    assert_eq!(docker.ok(&["inspect", "-f", "{{.Id}}", &tag]), image);
    let named = docker.ok(&["images", "--no-trunc"]);
    assert!(here.blobs().has(&layer) && !named.lines().any(is_left), "{named}");

    // A disk that changed what it kept.
    begin();
    let bytes = here.blobs().size(&layer).unwrap() as usize;
    std::fs::write(here.blobs().path(&layer), vec![7; bytes]).unwrap();
    here.provide_image(&state, &deployment).await.unwrap();
    assert!(docker.has(&image) && here.hold(&state, me, &deployment).await.unwrap());

    // A disk that lost everything: first the copy alone, then the image from it.
    begin();
    std::fs::remove_dir_all(f1.path().join("blobs")).unwrap();
    assert!(here.hold(&state, me, &deployment).await.unwrap());
    assert!(here.blobs().has(&layer) && !docker.has(&image));
    wire.0.lock().unwrap().clear();
    here.provide_image(&state, &deployment).await.unwrap();
    assert!(docker.has(&image));

    begin();
    std::fs::remove_dir_all(f1.path().join("blobs")).unwrap();
    assert!(!here.hold(&state, me, &deployment).await.unwrap());
    let missing = here.provide_image(&state, &deployment).await;
    let Err(error @ BuildError::ImageMissing { .. }) = missing else { panic!("{missing:?}") };
    assert!(error.message().contains(&format!("node {other}: connection refused")), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loopback_registry_wants_its_own_password() {
    let (node, wire) = (TestNode::start().await, Wire::default());
    let folder = tempfile::tempdir().unwrap();
    let _builder = builder(&folder, &wire, &node.cluster).await;
    let port = std::fs::read_to_string(folder.path().join("registry.port")).unwrap();
    let url = format!("http://127.0.0.1:{port}/v2/");
    let http = reqwest::Client::new();
    for request in [http.get(&url), http.get(&url).basic_auth("temps", Some(&node.key))] {
        assert_eq!(request.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
    }
}
