//! The configuration file: what is read from it, and what is said of a wrong one.

use crate::common::{recipe, same_as_golden, tree};
use temps_presets::{AppConfig, json_schema};
use temps_state::{CronJob, HealthCheck, Resources, RunConfig};

#[test]
fn every_key_is_read() {
    let config = r#"{
        "$schema": "https://example.com/temps.schema.json", "preset": "dockerfile", "port": 8080, "drainSeconds": 5,
        "health": {"path": "/healthz", "status": 204, "intervalSeconds": 0.5, "timeoutSeconds": 2, "threshold": 3, "deadlineSeconds": 90},
        "resources": {"cpu": 0.25, "memory": "1.5Gi", "pids": 64},
        "beforeDeploy": ["./migrate", "./seed"],
        "cron": [{"name": "nightly", "path": "/jobs/nightly", "schedule": "0 3 * * *"}, {"path": "/tick", "schedule": "*/5 * * * MON-FRI"}],
        "start": "node ."
    }"#;
    let files = [("temps.json", config), ("Dockerfile", "FROM a")];
    let config = AppConfig::read(&tree(&files)).expect("it is right");
    let cron = |name: &str, path: &str, schedule: &str| CronJob {
        name: name.into(),
        path: path.into(),
        schedule: schedule.into(),
    };
    let expect = RunConfig {
        preset: "dockerfile".into(),
        port: 8080,
        port_assumed: false,
        command: Some(vec!["/bin/sh".into(), "-c".into(), "node .".into()]),
        health: HealthCheck {
            path: Some("/healthz".into()),
            status: Some(204),
            interval_ms: 500,
            timeout_ms: 2_000,
            threshold: 3,
            deadline_seconds: 90,
        },
        resources: Resources { cpu_millis: 250, memory_mib: 1_536, pids: 64 },
        node_labels: Default::default(),
        before_deploy: vec!["./migrate".into(), "./seed".into()],
        cron: vec![
            cron("nightly", "/jobs/nightly", "0 3 * * *"),
            cron("/tick", "/tick", "*/5 * * * MON-FRI"),
        ],
        drain_seconds: 5,
    };
    assert_eq!(config.run_config(&recipe(&files), Some(9)), expect);
}

#[test]
fn nothing_configured_means_defaults() {
    let recipe = recipe(&[("index.html", "")]);
    let config = AppConfig::default();
    let run = config.run_config(&recipe, None);
    assert_eq!((run.port, run.drain_seconds, run.command), (3000, 30, None));
    assert_eq!((run.health, run.resources), (HealthCheck::default(), Resources::default()));
    assert_eq!(config.run_config(&recipe, Some(81)).port, 81);
}

#[test]
fn yaml_and_the_old_spellings() {
    let text = "build:\n  outputDir: out\nhealth:\n  interval: 10\n  timeout: 1\n  retries: 4\nbeforeDeploy: ./migrate\nresources: {memory: 256}\n";
    let config = AppConfig::read(&tree(&[(".temps.yaml", text)])).expect("it is right");
    let run = config.run_config(&recipe(&[("index.html", "")]), None);
    assert_eq!(
        (run.health.interval_ms, run.health.timeout_ms, run.health.threshold),
        (10_000, 1_000, 4)
    );
    assert_eq!((run.before_deploy, run.resources.memory_mib), (vec!["./migrate".to_owned()], 256));
    assert!(AppConfig::read(&tree(&[(".temps.yaml", "# nothing\n")])).is_ok());
}

#[test]
fn a_wrong_file_is_explained() {
    for (file, text, expect) in [
        (
            "temps.json",
            "{\n  \"prot\": 1\n}",
            "temps.json:2:8: unknown key `prot`; did you mean `port`?",
        ),
        (
            "temps.json",
            r#"{"build": {"outputDirectori": "x"}}"#,
            "temps.json:1:28: unknown key `build.outputDirectori`; did you mean `outputDirectory`?",
        ),
        (
            "temps.json",
            r#"{"cron": [{"path": "/", "schedule": "0 3 * * *", "when": 1}]}"#,
            "temps.json:1:55: unknown key `cron[0].when`; known keys here are name, path, schedule",
        ),
        (
            "temps.json",
            r#"{"env": {"A": "b"}}"#,
            "temps.json:1:6: unknown key `env`; variables are not kept in the file: set them with `temps env set NAME=value`",
        ),
        (
            "temps.json",
            r#"{"port": 70000}"#,
            "temps.json:1:15: `port`: 70000 is not a whole number from 1 to 65535",
        ),
        (
            "temps.json",
            r#"{"port": "80"}"#,
            "temps.json:1:14: `port`: \"80\" is not a whole number from 1 to 65535",
        ),
        (
            "temps.json",
            r#"{"resources": {"memory": "lots"}}"#,
            "temps.json:1:32: `resources.memory`: \"lots\" is not an amount of memory: write `512Mi`, `1Gi` or a number of MiB, at least 16",
        ),
        (
            "temps.json",
            r#"{"cron": [{"path": "/", "schedule": "hourly"}]}"#,
            "temps.json:1:45: `cron[0].schedule`: `hourly` is not a schedule: five fields are needed, such as `0 3 * * *`",
        ),
        (
            "temps.json",
            r#"{"cron": [{"path": "/", "schedule": "99 3 * * *"}]}"#,
            "temps.json:1:49: `cron[0].schedule`: `99 3 * * *` is not a schedule: ",
        ),
        (
            "temps.json",
            r#"{"health": {"path": "healthz"}}"#,
            "temps.json:1:30: `health.path`: `healthz` is not a path: it starts with `/` and has no spaces",
        ),
        (
            "temps.json",
            r#"{"build": []}"#,
            "temps.json: `build`: a list is given where keys are expected",
        ),
        (
            "temps.json",
            r#"{"build": "x"}"#,
            "temps.json:1:13: `build`: invalid type: string \"x\", expected an object with keys",
        ),
        (
            "temps.json",
            r#"{"build": {"dockerfile": "../Dockerfile"}}"#,
            "temps.json:1:41: `build.dockerfile`: `../Dockerfile` is not a path inside the source",
        ),
        (
            "temps.json",
            r#"{"start": "a\nb"}"#,
            "is not a command on one line: join several with `&&`",
        ),
        ("temps.json", "{\n  \"port\": 1,\n}", "temps.json:3:1 cannot be parsed: trailing comma"),
        ("temps.json", "[]", "temps.json: a list is given where keys are expected"),
        (
            ".temps.yaml",
            "port: eighty\n",
            ".temps.yaml:1:1: `port`: \"eighty\" is not a whole number from 1 to 65535",
        ),
        (
            ".temps.yaml",
            "# an app\nport: 80\nhealth:\n  path: /\n  pat: /\n",
            ".temps.yaml:5:3: unknown key `health.pat`; did you mean `path`?",
        ),
        (
            ".temps.yaml",
            "healt: {}\n",
            ".temps.yaml:1:1: unknown key `healt`; did you mean `health`?",
        ),
        (".temps.yaml", "port: [\n", ".temps.yaml:2:1 cannot be parsed: "),
    ] {
        let error = AppConfig::read(&tree(&[(file, text)])).expect_err(text).to_string();
        assert!(error.contains(expect), "{text}\n{error}\n{expect}");
    }
    let both = AppConfig::read(&tree(&[("temps.json", "{}"), (".temps.yaml", "")]));
    assert_eq!(
        both.expect_err("two files").to_string(),
        "both temps.json and .temps.yaml are present: keep one of them"
    );
}

#[test]
fn the_schema_is_published_as_it_is() {
    let text = serde_json::to_string_pretty(&json_schema()).expect("a schema is JSON") + "\n";
    same_as_golden("../../../docs/temps.schema.json", &text);
}
