//! Secrets reach the steps that ask for them, and stay nowhere.

use std::io::Read;
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};

use super::bench::{BASE, Bench, deployment, docker, request};

const SECRET: &str = "correct-horse-battery-staple";

/// Whether the octets of an image, all its layers and its configuration, contain a text.
fn image_contains(reference: &str, text: &str) -> bool {
    let mut save = Command::new("docker")
        .args(["image", "save", reference])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut octets = Vec::new();
    save.stdout.take().unwrap().read_to_end(&mut octets).unwrap();
    assert!(save.wait().unwrap().success() && octets.len() > 1 << 20);
    octets.windows(text.len()).any(|window| window == text.as_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_reaches_its_step_and_stays_nowhere() {
    let bench = Bench::new();
    let dockerfile = format!(
        "FROM {BASE}\n\
         RUN echo {}\n\
         RUN --mount=type=secret,id=temps-env . /run/secrets/temps-env \\\n\
         && echo \"token: $API_TOKEN\" && printf %s \"$API_TOKEN\" | sha256sum\n\
         RUN test ! -e /run/secrets/temps-env && test -z \"$API_TOKEN\"\n\
         RUN --mount=type=secret,id=temps-ca test ! -e /run/secrets/temps-ca\n",
        deployment()
    );
    let source = bench.upload(&[("Dockerfile", &dockerfile)]).await;
    let mut request = request(source);
    request.variables.insert("API_TOKEN".parse().unwrap(), SECRET.into());
    assert!(!format!("{request:?}").contains(SECRET));
    let deployment = request.deployment;
    bench.run(request).await.unwrap();

    let log = bench.log(deployment);
    assert!(log.contains("token: •••"), "{log}");
    assert!(log.contains(&hex::encode(Sha256::digest(SECRET))), "{log}");
    assert!(!log.contains(SECRET));
    let image = format!("temps/builder-test:{deployment}");
    assert!(!docker(&["image", "history", "--no-trunc", &image]).contains(SECRET));
    assert!(!docker(&["image", "inspect", &image]).contains(SECRET));
    assert!(!docker(&["image", "inspect", &image]).contains("temps.invalid"));
    assert!(image_contains(&image, &deployment.to_string()), "the search finds what is there");
    assert!(!image_contains(&image, SECRET));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_does_not_tell_a_secret() {
    let bench = Bench::new();
    let dockerfile = format!(
        "FROM {BASE}\nRUN --mount=type=secret,id=temps-env . /run/secrets/temps-env; \
         echo \"denied: $API_TOKEN\"; exit 9\n"
    );
    let source = bench.upload(&[("Dockerfile", &dockerfile)]).await;
    let mut request = request(source);
    request.variables.insert("API_TOKEN".parse().unwrap(), SECRET.into());
    let error = bench.run(request).await.unwrap_err();
    let message = error.failure(Vec::new()).message;
    assert!(message.contains("exit code 9: denied: •••"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn certificate_authorities_reach_the_steps_that_ask() {
    let bench = Bench::new();
    let dockerfile = format!(
        "FROM {BASE}\nRUN --mount=type=secret,id=temps-ca echo {}; cat /run/secrets/temps-ca\n",
        deployment()
    );
    let source = bench.upload(&[("Dockerfile", &dockerfile)]).await;
    let mut request = request(source);
    request.limits.ca_certificates = "-----BEGIN CERTIFICATE-----\nabc\n".into();
    let deployment = request.deployment;
    bench.run(request).await.unwrap();
    assert!(bench.log(deployment).contains("BEGIN CERTIFICATE"));
}
