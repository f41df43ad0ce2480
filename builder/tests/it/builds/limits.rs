//! What a build may use, and how it is ended.

use std::time::{Duration, Instant};

use temps_builder::BuildError;
use temps_state::FailureCode;
use tokio_util::sync::CancellationToken;

use super::bench::{BASE, Bench, SOON, deployment, request, runs, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_step_over_its_memory_is_killed_and_named() {
    let bench = Bench::new();
    // `tail` keeps the line it reads, and this one does not end.
    let dockerfile =
        format!("FROM {BASE}\nRUN echo {}; head -c 600M /dev/zero | tail | wc -c\n", deployment());
    let source = bench.upload(&[("Dockerfile", &dockerfile)]).await;
    let mut request = request(source);
    request.limits.memory_mib = 96;
    let deployment = request.deployment;
    let result = bench.run(request).await;
    let log = bench.log(deployment);
    // The shell's own status is that of `wc`, so the step itself may pass without the kernel's help.
    assert!(!log.contains("629145600"), "it did not get the memory:\n{log}");
    if let Err(error) = result {
        assert_eq!(error.failure(vec![]).code, FailureCode::BuildFailed);
        assert!(error.to_string().contains("96 MiB"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_over_its_memory_fails_the_build() {
    let bench = Bench::new();
    let dockerfile =
        format!("FROM {BASE}\nRUN echo {}; head -c 600M /dev/zero | exec tail\n", deployment());
    let source = bench.upload(&[("Dockerfile", &dockerfile)]).await;
    let mut request = request(source);
    request.limits.memory_mib = 96;
    let error = bench.run(request).await.unwrap_err();
    let failure = error.failure(Vec::new());
    assert!(matches!(error, BuildError::OutOfMemory { memory_mib: 96, .. }), "{error}");
    assert!(failure.message.contains("RUN echo") && failure.message.contains("96 MiB"));
    assert!(failure.hint.contains("memory of builds"), "{}", failure.hint);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_gets_no_more_of_the_processor_than_it_may() {
    let bench = Bench::new();
    let script = "#!/bin/sh\n(while :; do :; done) & sleep 4; kill $!; wait $!; times\n";
    let dockerfile = format!("FROM {BASE}\nCOPY spin /\nRUN echo {}; /spin\n", deployment());
    let source = bench.upload(&[("Dockerfile", &dockerfile), ("spin", script)]).await;
    let mut request = request(source);
    request.limits.cpu_millis = 200;
    let deployment = request.deployment;
    bench.run(request).await.unwrap();
    let log = bench.log(deployment);
    let times: Vec<&str> = log.lines().filter(|l| l.starts_with("build:   0m")).collect();
    let children = times.last().unwrap_or_else(|| panic!("no times in\n{log}"));
    let user = children.trim_start_matches("build:   0m").split('s').next().unwrap();
    let seconds: f64 = user.parse().unwrap();
    assert!(seconds < 2.0, "a fifth of 4 s, and got {seconds} s");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_over_its_time_is_ended() {
    let bench = Bench::new();
    let id = deployment();
    let dockerfile = format!("FROM {BASE}\nRUN echo {id}; sleep 7654{}\n", std::process::id());
    let source = bench.upload(&[("Dockerfile", &dockerfile)]).await;
    let mut request = request(source);
    request.limits.timeout_seconds = 10;
    let begun = Instant::now();
    let error = bench.run(request).await.unwrap_err();
    assert_eq!(error.failure(vec![]).code, FailureCode::BuildTimedOut);
    assert!(begun.elapsed() < Duration::from_secs(10) + SOON);
    let sleeper = format!("sleep 7654{}", std::process::id());
    until("the end of the step", || !runs(&sleeper)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_build_stops_what_it_runs() {
    let bench = Bench::new();
    let sleeper = format!("sleep 8765{}", std::process::id());
    let dockerfile = format!("FROM {BASE}\nRUN echo {}; {sleeper}\n", deployment());
    let source = bench.upload(&[("Dockerfile", &dockerfile)]).await;
    let request = request(source);
    let deployment = request.deployment;
    let cancel = CancellationToken::new();
    let build = tokio::spawn({
        let (builder, cancel) = (bench.builder.clone(), cancel.clone());
        async move { builder.build(request, cancel).await }
    });
    until("the step", || runs(&sleeper)).await;
    cancel.cancel();
    let begun = Instant::now();
    assert!(matches!(build.await.unwrap(), Err(BuildError::Cancelled)));
    assert!(begun.elapsed() < Duration::from_secs(2));
    until("the end of the step", || !runs(&sleeper)).await;
    assert!(bench.log(deployment).contains("cancelled"));
    let left = std::fs::read_dir(bench.data().join("work")).unwrap().count();
    assert_eq!(left, 0, "the work folder is gone");
}
