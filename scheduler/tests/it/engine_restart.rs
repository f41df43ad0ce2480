//! What happens when the container engine is stopped and started again.

use std::net::TcpStream;

use crate::common::config;
use crate::common::dockerd::Dockerd;
use crate::common::home::{Home, eventually};
use temps_state::*;

fn serve() -> RunConfig {
    let command = ["/app", "serve"].map(String::from).into();
    RunConfig { command: Some(command), drain_seconds: 0, ..config() }
}

fn answers(home: &Home, replica: ReplicaId) -> bool {
    let endpoint = home.cluster.state().replicas.get(&replica).and_then(Replica::serving_endpoint);
    endpoint.is_some_and(|endpoint| TcpStream::connect(endpoint).is_ok())
}

/// Whether a replica is down because its node's engine is.
fn is_away(seen: &Observed) -> bool {
    matches!(seen, Observed::Down { failure } if failure.code == FailureCode::EngineUnavailable)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ran_runs_again_and_what_was_frozen_waits_for_its_rollback() {
    let mut engine = Dockerd::start();
    let mut home = Home::new(&engine.socket()).await;
    let first = home.deploy(serve()).await;
    let kept = home.until_live(first).await;
    let live = home.until_live(home.deploy(serve()).await).await;
    eventually("it is frozen", || home.inspect(kept.id, "{{.State.Status}}") == "paused").await;

    engine.stop();
    home.until_observed(live.id, is_away).await;
    engine.start_again();
    eventually("it answers again", || answers(&home, live.id)).await;
    assert_eq!(home.inspect(kept.id, "{{.State.Status}}"), "exited");

    home.propose(Command::RollBack { environment: home.environment, to: first }).await;
    let back = home.until_live(first).await;
    assert!(answers(&home, back.id));

    home.restart_after(|| engine.stop()).await;
    home.until_observed(back.id, is_away).await;
    engine.start_again();
    eventually("it answers once more", || answers(&home, back.id)).await;
}
