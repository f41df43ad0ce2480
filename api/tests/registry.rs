//! The registry, as clients and engines use it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop there")]

mod common;

use std::collections::BTreeMap;
use std::io;
use std::process::{Command as Program, Output};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use common::{TestNode, Wires};
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};
use jiff::{SignedDuration, Timestamp};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use temps_api::LocalRegistry;
use temps_builder::{
    BlobDigest, BuildError, Builder, Engine, ImageManifest, PeerPath, PeerStream, Peers,
};
use temps_raft::{Cluster, Proposal};
use temps_state::{
    Actor, Artifact, Command, Deployment, DeploymentId, EnvironmentId, FORMAT, Id, JoinToken,
    JoinTokenId, Node, NodeId, Phase, Reply, Source, TagName,
};
use tokio_util::io::ReaderStream;
use tokio_util::sync::CancellationToken;

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
    docker.ok(&["login", "-u", "reader@example.com", "-p", common::PASSWORD, &address]);
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

fn ask(node: &TestNode, method: Method, path: &str, key: &str) -> reqwest::RequestBuilder {
    node.anonymous(method, path).basic_auth("any", Some(key))
}

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
}

#[track_caller]
fn status(response: &Response, status: u16) {
    assert_eq!(response.status().as_u16(), status, "{}", response.url());
}

async fn refusal(response: Response, code: u16) -> String {
    status(&response, code);
    let errors: Value = response.json().await.unwrap();
    errors["errors"][0]["code"].as_str().unwrap().into()
}

#[tokio::test]
async fn blobs_and_manifests_are_taken_as_the_specification_says() {
    let node = TestNode::start().await;
    let send = async |method: Method, path: &str, body: &'static str| {
        ask(&node, method, path, &node.key).body(body).send().await.unwrap()
    };
    let get = async |path: &str| send(Method::GET, path, "").await;
    let nobody = node.anonymous(Method::GET, "/v2/").send().await.unwrap();
    assert!(header(&nobody, "www-authenticate").starts_with("Basic"));
    assert_eq!(refusal(nobody, 401).await, "UNAUTHORIZED");
    status(&get("/v2/").await, 200);

    // In pieces.
    let begun = send(Method::POST, "/v2/a/b/blobs/uploads/", "").await;
    status(&begun, 202);
    let upload = header(&begun, "location").to_owned();
    let piece = send(Method::PATCH, &upload, "hel").await;
    assert_eq!((piece.status(), header(&piece, "range")), (StatusCode::ACCEPTED, "0-2"));
    let misplaced =
        ask(&node, Method::PATCH, &upload, &node.key).header("content-range", "7-8").body("xx");
    assert_eq!(refusal(misplaced.send().await.unwrap(), 416).await, "BLOB_UPLOAD_INVALID");
    let (hello, config) = (BlobDigest::of(b"hello"), BlobDigest::of(b"{}"));
    let ended = send(Method::PUT, &format!("{upload}?digest={hello}"), "lo").await;
    assert_eq!(header(&ended, "docker-content-digest"), hello.to_string());
    status(&ended, 201);
    // At once, and wrong.
    let path = format!("/v2/a/b/blobs/uploads/?digest={config}");
    assert_eq!(refusal(send(Method::POST, &path, "{} ").await, 400).await, "DIGEST_INVALID");
    status(&send(Method::POST, &path, "{}").await, 201);

    // A blob shows once a tag leads to it.
    let blob = format!("/v2/a/b/blobs/{hello}");
    assert_eq!(refusal(get(&blob).await, 404).await, "BLOB_UNKNOWN");
    let manifest = |layer: &BlobDigest| {
        let text = json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "x", "digest": config.to_string(), "size": 2},
            "layers": [{"mediaType": "x", "digest": layer.to_string(), "size": 5}],
        });
        &*Box::leak(text.to_string().into_boxed_str())
    };
    let lacking = manifest(&BlobDigest::of(b"other"));
    let put = send(Method::PUT, "/v2/a/b/manifests/1.0", lacking).await;
    assert_eq!(refusal(put, 400).await, "MANIFEST_BLOB_UNKNOWN");
    assert_eq!(
        refusal(send(Method::PUT, "/v2/a/b/manifests/1.0", "text").await, 400).await,
        "MANIFEST_INVALID"
    );
    let whole = manifest(&hello);
    let put = send(Method::PUT, "/v2/a/b/manifests/1.0", whole).await;
    let digest = header(&put, "docker-content-digest").to_owned();
    status(&put, 201);
    status(&send(Method::PUT, "/v2/a/b/manifests/0.9", whole).await, 201);
    for reference in ["1.0", &digest] {
        let got = get(&format!("/v2/a/b/manifests/{reference}")).await;
        assert_eq!(header(&got, "content-type"), "application/vnd.oci.image.manifest.v1+json");
        assert_eq!(got.text().await.unwrap(), whole);
    }
    let range = ask(&node, Method::GET, &blob, &node.key).header("range", "bytes=1-3").send();
    let range = range.await.unwrap();
    assert_eq!(header(&range, "content-range"), "bytes 1-3/5");
    assert_eq!((range.status().as_u16(), range.text().await.unwrap().as_str()), (206, "ell"));
    let head = send(Method::HEAD, &blob, "").await;
    assert_eq!((head.status().as_u16(), header(&head, "content-length")), (200, "5"));

    // From one repository into another, but only what may be seen there.
    let mount = format!("/v2/c/blobs/uploads/?mount={hello}&from=a/b");
    status(&send(Method::POST, &mount, "").await, 201);
    let mount = format!("/v2/c/blobs/uploads/?mount={hello}&from=z");
    status(&send(Method::POST, &mount, "").await, 202);
    let page = get("/v2/a/b/tags/list?n=1").await;
    assert_eq!(header(&page, "link"), "</v2/a/b/tags/list?n=1&last=0.9>; rel=\"next\"");
    assert_eq!(page.json::<Value>().await.unwrap()["tags"], json!(["0.9"]));
    for tag in ["1.0", "0.9"] {
        status(&send(Method::DELETE, &format!("/v2/a/b/manifests/{tag}"), "").await, 202);
    }
    assert_eq!(refusal(get("/v2/a/b/tags/list").await, 404).await, "NAME_UNKNOWN");
    assert_eq!(refusal(get("/v2/a/b/manifests/1.0").await, 404).await, "MANIFEST_UNKNOWN");
    assert_eq!(refusal(get("/v2/A/tags/list").await, 404).await, "NAME_INVALID");
    assert_eq!(refusal(send(Method::POST, "/v2/", "").await, 405).await, "UNSUPPORTED");
}

/// Sends octets as a blob of a repository.
async fn push_blob(node: &TestNode, repository: &str, octets: &str) -> BlobDigest {
    let digest = BlobDigest::of(octets.as_bytes());
    let path = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
    let sent = ask(node, Method::POST, &path, &node.key).body(octets.to_owned());
    status(&sent.send().await.unwrap(), 201);
    digest
}

/// An image with one layer; gives what would be put under its tag.
async fn push_parts(node: &TestNode, repository: &str, layer: &str) -> (BlobDigest, String) {
    let config = push_blob(node, repository, "{}").await;
    let digest = push_blob(node, repository, layer).await;
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "x", "digest": config.to_string(), "size": 2},
        "layers": [{"mediaType": "x", "digest": digest.to_string(), "size": layer.len()}],
    });
    (digest, manifest.to_string())
}

async fn put(node: &TestNode, repository: &str, reference: &str, manifest: &str) -> Response {
    let path = format!("/v2/{repository}/manifests/{reference}");
    let sent = ask(node, Method::PUT, &path, &node.key).body(manifest.to_owned());
    sent.send().await.unwrap()
}

async fn get(node: &TestNode, path: &str) -> Response {
    ask(node, Method::GET, path, &node.key).send().await.unwrap()
}

async fn propose(node: &TestNode, command: Command) {
    let actor = Actor::Node { id: node.cluster.node_id() };
    node.cluster.propose(Proposal::new(actor, command)).await.unwrap();
}

/// A node makes the copy that the state asks of it.
async fn copy(node: &TestNode, name: &TagName) {
    let (state, id) = (node.cluster.read_latest().await.unwrap(), node.cluster.node_id());
    let tag = &state.image_tags[name];
    assert!(node.builder.hold_pushed(&state, id, tag).await.unwrap());
    let (name, manifest) = (name.clone(), tag.manifest.clone());
    propose(node, Command::HoldImage { name, manifest, node: id }).await;
}

/// Two nodes; the first one leads.
async fn two() -> (Wires, TestNode, TestNode) {
    let wires = Wires::default();
    let one = TestNode::that_meets(&wires).await;
    let two = one.joined_by(&wires).await;
    (wires, one, two)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pushed_to_one_node_is_had_from_any() {
    let (wires, one, two) = two().await;
    let (layer, manifest) = push_parts(&one, "shop/web", "hello").await;
    status(&put(&one, "shop/web", "1", &manifest).await, 201);
    let blob = format!("/v2/shop/web/blobs/{layer}");

    // At once, before there is a copy; blobs first, as a client may ask several nodes.
    assert_eq!(get(&two, &blob).await.text().await.unwrap(), "hello");
    let got = get(&two, "/v2/shop/web/manifests/1").await;
    let digest = header(&got, "docker-content-digest").to_owned();
    assert_eq!(got.text().await.unwrap(), manifest);
    let head = ask(&two, Method::HEAD, "/v2/shop/web/manifests/1", &two.key).send().await.unwrap();
    assert_eq!((head.status().as_u16(), header(&head, "docker-content-digest")), (200, &*digest));
    let tags = get(&two, "/v2/shop/web/tags/list").await.json::<Value>().await.unwrap();
    assert_eq!(tags["tags"], json!(["1"]));
    let other = BlobDigest::of(b"other");
    one.builder.blobs().put_octets(b"other").unwrap();
    let unknown = get(&two, &format!("/v2/shop/web/blobs/{other}")).await;
    assert_eq!(refusal(unknown, 404).await, "BLOB_UNKNOWN", "no tag leads to it");

    // The other one has a copy, and the first one's is lost.
    let name: TagName = "shop/web:1".parse().unwrap();
    copy(&two, &name).await;
    let holders = two.cluster.state().image_tags[&name].holders.clone();
    assert_eq!(holders, [&one, &two].map(|node| node.cluster.node_id()).into());
    std::fs::remove_dir_all(one.folder.path().join("blobs")).unwrap();
    assert_eq!(get(&one, "/v2/shop/web/manifests/1").await.text().await.unwrap(), manifest);
    assert_eq!(get(&one, &blob).await.text().await.unwrap(), "hello");

    // A push through a node that lacks what the repository has already.
    std::fs::remove_dir_all(one.folder.path().join("blobs")).unwrap();
    let head = ask(&one, Method::HEAD, &blob, &one.key).send().await.unwrap();
    assert_eq!((head.status().as_u16(), header(&head, "content-length")), (200, "5"));
    status(&put(&one, "shop/web", "2", &manifest).await, 201);

    // Nobody who has it can be asked.
    std::fs::remove_dir_all(one.folder.path().join("blobs")).unwrap();
    wires.cut(two.cluster.node_id());
    let away = get(&one, "/v2/shop/web/manifests/1").await;
    assert_eq!(header(&away, "retry-after"), "1");
    assert_eq!(refusal(away, 503).await, "UNAVAILABLE");

    // Tags go through any node: one by its name, others by what they mean.
    let delete = async |node: &TestNode, reference: &str| {
        let path = format!("/v2/shop/web/manifests/{reference}");
        ask(node, Method::DELETE, &path, &node.key).send().await.unwrap()
    };
    status(&put(&two, "shop/web", "3", &manifest).await, 201);
    status(&delete(&two, "1").await, 202);
    assert_eq!(refusal(delete(&one, "1").await, 404).await, "MANIFEST_UNKNOWN");
    assert_eq!(refusal(get(&one, "/v2/shop/web/manifests/1").await, 404).await, "MANIFEST_UNKNOWN");
    status(&delete(&one, &digest).await, 202);
    assert_eq!(refusal(get(&two, "/v2/shop/web/tags/list").await, 404).await, "NAME_UNKNOWN");
    let log = one.get("/api/audit/logs").await.ok();
    assert!(log.to_string().contains("image.push") && log.to_string().contains("image.delete"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_quorum_nothing_is_pushed_and_everything_here_is_pulled() {
    let (_wires, one, two) = two().await;
    let (layer, manifest) = push_parts(&two, "web", "hello").await;
    status(&put(&two, "web", "1", &manifest).await, 201);
    one.cluster.clone().stop().await.unwrap();
    let refused = put(&two, "web", "2", &manifest).await;
    assert_eq!(header(&refused, "retry-after"), "1");
    assert_eq!(refusal(refused, 503).await, "UNAVAILABLE");
    let delete = ask(&two, Method::DELETE, "/v2/web/manifests/1", &two.key).send().await.unwrap();
    assert_eq!(refusal(delete, 503).await, "UNAVAILABLE");
    assert_eq!(get(&two, "/v2/web/manifests/1").await.text().await.unwrap(), manifest);
    let blob = get(&two, &format!("/v2/web/blobs/{layer}")).await;
    assert_eq!(blob.text().await.unwrap(), "hello");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_images_goes_with_all_that_it_names() {
    let (_wires, one, two) = two().await;
    let mut listed = Vec::new();
    for layer in ["amd64", "arm64"] {
        let (_, manifest) = push_parts(&one, "web", layer).await;
        let digest = BlobDigest::of(manifest.as_bytes());
        status(&put(&one, "web", &digest.to_string(), &manifest).await, 201);
        listed.push(json!({"digest": digest.to_string(), "size": manifest.len()}));
    }
    let list = json!({"schemaVersion": 2, "manifests": listed}).to_string();
    status(&put(&one, "web", "1", &list).await, 201);
    copy(&two, &"web:1".parse().unwrap()).await;
    for layer in ["amd64", "arm64"] {
        assert!(two.builder.blobs().has(&BlobDigest::of(layer.as_bytes())));
    }
    let inner = listed[0]["digest"].as_str().unwrap();
    status(&get(&two, &format!("/v2/web/manifests/{inner}")).await, 200);
}

#[tokio::test]
async fn deployments_name_the_registry_of_the_cluster_by_whichever_node_they_ask() {
    let node = TestNode::start().await;
    node.create_project("web").await;
    let (_, manifest) = push_parts(&node, "shop/web", "hello").await;
    status(&put(&node, "shop/web", "1", &manifest).await, 201);
    let host = node.url.trim_start_matches("http://");
    let deploy = async |reference: String| {
        let source = json!({"type": "image", "reference": reference});
        node.post("/api/projects/web/deployments", json!({"source": source})).await
    };
    let made = deploy(format!("{host}/shop/web:1")).await.ok();
    assert_eq!(made["source"]["reference"], "registry.temps.internal/shop/web:1");
    let other = deploy("localhost:1/shop/web:1".into()).await.ok();
    assert_eq!(other["source"]["reference"], "localhost:1/shop/web:1");
    let missing = deploy(format!("{host}/shop/web:2")).await.problem(422, "invalid");
    assert_eq!(missing["field"], "source.reference");
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
