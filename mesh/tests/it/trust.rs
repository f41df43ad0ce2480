//! Who may connect to whom.
use std::time::Duration;

use temps_mesh::{MeshError, Target};
use tokio::{io::AsyncReadExt, time::timeout};

use crate::common::{ANY, Cluster, bind, echo_node, node, reaches};

#[tokio::test]
async fn a_node_that_presents_another_nodes_certificate_is_not_talked_to() {
    let cluster = Cluster::new();
    let (one, _) = node(&cluster, 1);
    // Its name passes the verifier, but the members know the certificate as node 9's.
    let (impostor, _incoming) = bind(cluster.identity(9, &[2]), ANY);
    cluster.place(2, impostor.local_addr());
    let outcome = one.open(2, Target::Api).await;
    assert!(matches!(outcome, Err(MeshError::WrongNode { node: 2, .. })), "{outcome:?}");
}

#[tokio::test]
async fn a_node_whose_name_the_verifier_rejects_is_not_talked_to() {
    let cluster = Cluster::new();
    let (one, _) = node(&cluster, 1);
    let three = echo_node(&cluster, 3);
    cluster.place(2, three.local_addr());
    let outcome = one.open(2, Target::Api).await;
    assert!(matches!(outcome, Err(MeshError::Connect { node: 2, .. })), "{outcome:?}");
    assert!(reaches(&one, 3).await);
}

#[tokio::test]
async fn strangers_are_turned_away() {
    let (cluster, other) = (Cluster::new(), Cluster::new());
    let (two, mut to_two) = node(&cluster, 2);
    other.place(2, two.local_addr());
    cluster.place(2, two.local_addr());

    let (foreign, _) = bind(other.identity(1, &[1]), ANY);
    let outcome = foreign.open(2, Target::Api).await;
    assert!(matches!(outcome, Err(MeshError::Connect { .. })), "{outcome:?}");

    // Signed by the right authority, but nobody's: the peer, not the verifier, turns it away.
    let (unknown, _) = bind(cluster.unknown_identity(&[5]), ANY);
    let outcome = unknown.open(2, Target::Api).await;
    assert!(matches!(outcome, Err(MeshError::NotAdmitted { .. })), "{outcome:?}");

    assert!(timeout(Duration::from_millis(100), to_two.next()).await.is_err());
}

#[tokio::test]
async fn a_client_of_another_authority_is_turned_away_by_the_server() {
    let (cluster, other) = (Cluster::new(), Cluster::new());
    let (two, mut to_two) = node(&cluster, 2);
    cluster.place(2, two.local_addr());
    let identity = other.identity(1, &[1]);
    let mut client = quinn::Endpoint::client(ANY.parse().unwrap()).unwrap();
    client.set_default_client_config(crate::common::trusting_nobody(&identity));
    let connection = client.connect(two.local_addr(), "node-2").unwrap().await;
    let closed = match connection {
        Ok(connection) => connection.closed().await,
        Err(error) => error,
    };
    assert!(matches!(closed, quinn::ConnectionError::ConnectionClosed(_)), "{closed:?}");
    assert!(timeout(Duration::from_millis(100), to_two.next()).await.is_err());
}

#[tokio::test]
async fn a_node_without_an_address_is_not_looked_for() {
    let (one, _) = node(&Cluster::new(), 1);
    let outcome = one.open(2, Target::Api).await;
    assert!(matches!(outcome, Err(MeshError::NoAddress { node: 2 })), "{outcome:?}");
}

#[tokio::test]
async fn a_removed_node_loses_the_connection_it_has() {
    let cluster = Cluster::new();
    let (one, _two) = (echo_node(&cluster, 1), echo_node(&cluster, 2));
    let mut stream = one.open(2, Target::Api).await.unwrap();
    cluster.remove(2);
    let ended = timeout(Duration::from_secs(4), stream.read_u8()).await.expect("it is closed");
    assert!(ended.is_err());
    let outcome = one.open(2, Target::Api).await;
    assert!(matches!(outcome, Err(MeshError::WrongNode { node: 2, .. })), "{outcome:?}");
}
