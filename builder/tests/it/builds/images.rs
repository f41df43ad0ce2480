//! What a Dockerfile becomes.

use futures::StreamExt;
use temps_state::{Artifact, Source};

use super::bench::{BASE, Bench, deployment, docker, request};

fn image(artifact: &Artifact) -> &str {
    match artifact {
        Artifact::Image { id } => id,
        Artifact::Static { .. } => panic!("it is a static site"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dockerfile_becomes_a_labelled_image() {
    let bench = Bench::new();
    let dockerfile =
        format!("FROM {BASE}\nCOPY . /app\nRUN echo {}; ls -A /app\nEXPOSE 4321\n", deployment());
    let source = bench
        .upload(&[
            ("Dockerfile", &dockerfile),
            (".dockerignore", "*.secret\nnode_modules\n"),
            ("main.txt", "hello"),
            ("key.secret", "no"),
            ("node_modules/x/index.js", "no"),
        ])
        .await;
    let request = request(source);
    let deployment = request.deployment;
    let follower = tokio::spawn(bench.builder.logs().tail(deployment, true).collect::<Vec<_>>());
    let built = bench.run(request).await.unwrap();
    bench.builder.logs().finish(deployment);

    let log = bench.log(deployment);
    assert!(log.contains("build:   main.txt"), "{log}");
    assert!(!log.contains("key.secret") && !log.contains("node_modules"), "{log}");
    assert!(!log.contains(".temps.Dockerfile"), "{log}");
    for line in ["source: unpacking", "detect: preset dockerfile", "build: done in"] {
        assert!(log.contains(line), "{line} in\n{log}");
    }
    assert_eq!(follower.await.unwrap(), bench.builder.logs().last(deployment, usize::MAX));

    assert_eq!(built.config.port, 4321);
    assert_eq!(built.config.preset, "dockerfile");
    let inspected = docker(&["image", "inspect", &format!("temps/builder-test:{deployment}")]);
    assert!(inspected.contains(image(&built.artifact)), "{inspected}");
    assert!(inspected.contains(&format!("\"sh.temps.deployment\": \"{deployment}\"")));
    assert!(inspected.contains("\"sh.temps.managed\": \"true\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_context_target_and_arguments_are_configured() {
    let bench = Bench::new();
    let id = deployment();
    let dockerfile = format!(
        "FROM {BASE} AS first\nARG GREETING\nCOPY inner.txt /\nRUN echo {id}; echo \"$GREETING $(cat /inner.txt)\"\n\
         FROM first AS second\nRUN false\n"
    );
    let config = r#"{"build": {"dockerfile": "docker/app.Dockerfile", "context": "app",
        "target": "first", "args": {"GREETING": "good day"}}}"#;
    let files = [
        ("temps.json", config),
        ("docker/app.Dockerfile", dockerfile.as_str()),
        ("app/inner.txt", "inside"),
    ];
    let source = bench.upload(&files).await;
    let request = request(source);
    let deployment = request.deployment;
    bench.run(request).await.unwrap();
    let log = bench.log(deployment);
    assert!(log.contains("good day inside"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_syntax_line_needs_no_registry() {
    let bench = Bench::new();
    let dockerfile = format!("# syntax=docker/dockerfile:1\nFROM {BASE}\nRUN echo built\n");
    bench.build(&[("Dockerfile", &dockerfile)]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn here_documents_need_no_newer_engine() {
    let bench = Bench::new();
    let dockerfile = format!(
        "FROM {BASE}\nENV NAME=one\nCOPY --chmod=755 <<EOF /a.sh\n#!/bin/sh\necho $NAME of $(id -u)\nEOF\n\
         RUN <<EOF\nset -e\ntest \"$(/a.sh)\" = 'one of 0'\nEOF\nCOPY --link kept.txt /\n"
    );
    let files = [
        ("Dockerfile", dockerfile.as_str()),
        ("kept.txt", ""),
        (".dockerignore", ".*\nDockerfile"),
    ];
    bench.build(&files).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_build_takes_its_steps_from_the_cache() {
    let bench = Bench::new();
    let dockerfile = format!("FROM {BASE}\nCOPY a.txt /\nRUN cat /a.txt && date +%N\n");
    let files = [("Dockerfile", dockerfile.as_str()), ("a.txt", "one")];
    bench.build(&files).await.unwrap();
    let source = bench.upload(&files).await;
    let request = request(source);
    let deployment = request.deployment;
    bench.run(request).await.unwrap();
    let log = bench.log(deployment);
    assert!(log.contains("RUN cat /a.txt && date +%N (cached)"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_there_is_taken_as_it_is() {
    let bench = Bench::new();
    let built = bench.run(request(Source::Image { reference: BASE.into() })).await.unwrap();
    let id = docker(&["image", "inspect", "-f", "{{.Id}}", BASE]);
    assert_eq!(image(&built.artifact), id.trim());
    assert_eq!(built.config.preset, "image");
}
