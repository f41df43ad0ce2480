//! What a newcomer costs: a cluster of three with a large state takes changes while a fourth node joins and is fed.
//! Prints the longest time between two acknowledged changes before and during that.
//!
//!     newcomer [MEGABYTES]      100, with the binary in TEMPS_BIN

use std::process::ExitCode;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use temps_chaos_tests::{Client, Ground, GroundError, Options, RECOVERY, Start, Writes, until};

const NODES: usize = 3;
const MEGABYTES: u64 = 100;
/// What one change brings: values as long as they may be, as many as one log entry holds.
const VALUE_BYTES: usize = 60 << 10;
const VALUES: usize = 2;
/// Values that one project gets.
const VALUES_PER_PROJECT: usize = 60;
/// Sealed values are written in Base64.
const SEALED: f64 = 4.0 / 3.0;
/// For how long changes are measured before the newcomer is there, and at least while it is.
const SPAN: Duration = Duration::from_secs(20);
/// The most that a change may stall.
const STALL_TARGET: Duration = Duration::from_secs(1);

#[tokio::main]
async fn main() -> ExitCode {
    let megabytes = std::env::args().nth(1).map_or(Ok(MEGABYTES), |text| text.parse());
    let Ok(megabytes) = megabytes else {
        eprintln!("usage: newcomer [MEGABYTES]");
        return ExitCode::from(2);
    };
    match measure(megabytes).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn measure(megabytes: u64) -> Result<(), GroundError> {
    let ground = Ground::up(NODES + 1, Options::without_images(Start::First)).await?;
    let peer = ground.node(1).peer();
    for number in 2..=NODES {
        ground.node(number).join(peer, &ground.token().await?).await?;
    }
    let client = ground.client()?;
    until("three nodes keep up", RECOVERY, async || client.is_whole(1, NODES).await).await?;
    fill(&client, megabytes).await?;

    let before = Writes::start(client.clone(), &[1, 2, 3], "before");
    tokio::time::sleep(SPAN).await;
    let before = before.stop().await;

    let during = Writes::start(client.clone(), &[1, 2, 3], "during");
    let joining = Instant::now();
    ground.node(NODES + 1).join(peer, &ground.token().await?).await?;
    let knows_all = async || client.names(NODES + 1).await.len() == NODES + 1;
    until("the newcomer is fed", RECOVERY, knows_all).await?;
    let fed = joining.elapsed();
    tokio::time::sleep(SPAN.saturating_sub(fed)).await;
    let during = during.stop().await;

    println!("a state of {megabytes} MB; the newcomer knew it {fed:.1?} after its join began");
    for (when, written) in [("before", before), ("while it joined", during)] {
        println!(
            "{when}: {} changes, longest time between two {:.0?} (target: {STALL_TARGET:?})",
            written.acknowledged.len(),
            written.longest_gap
        );
    }
    ground.down().await
}

/// Sets variables until the state is so large.
async fn fill(client: &Client, megabytes: u64) -> Result<(), GroundError> {
    let value = "v".repeat(VALUE_BYTES);
    let octets = VALUE_BYTES as f64 * SEALED;
    let wanted = (megabytes as f64 * 1e6 / octets).ceil() as usize;
    for first in (0..wanted).step_by(VALUES) {
        let project = format!("large-{}", first / VALUES_PER_PROJECT);
        if first.is_multiple_of(VALUES_PER_PROJECT) {
            client.post(1, "/projects", &json!({"name": project}), None).await?;
        }
        let variable = |n: usize| json!({"name": format!("V{n}"), "value": value});
        let variables: Vec<Value> = (first..first + VALUES).map(variable).collect();
        let path = format!("/projects/{project}/environments/production/env-vars");
        client.put(1, &path, &json!({"variables": variables})).await?;
    }
    Ok(())
}
