//! Requests on a schedule, to a real app.

use futures::StreamExt;
use jiff::{SignedDuration, Timestamp};
use temps_scheduler::LogQuery;
use temps_scheduler::cron::Clock;
use temps_state::*;
use tokio_util::sync::CancellationToken;

use crate::common::config;
use crate::common::home::{Home, SOCKET};

#[tokio::test(flavor = "multi_thread")]
async fn a_job_asks_the_app_once_with_the_secret_it_knows() {
    let home = Home::new(SOCKET).await;
    let command = ["/app", "serve"].map(String::from).into();
    let job = CronJob { name: "tick".into(), schedule: "0 0 1 1 *".into(), path: "/tick".into() };
    let config = RunConfig { command: Some(command), cron: vec![job], ..config() };
    let replica = home.until_live(home.deploy(config).await).await;
    let query = LogQuery { follow: true, tail: 100, since: None };
    let lines = home.scheduler.logs(vec![replica.id], query).await.expect("it is here");

    let cancel = CancellationToken::new();
    let mut clock = Clock::new(Timestamp::now(), None);
    clock.ring(&home.cluster, Timestamp::now(), &cancel);
    let later = Timestamp::now() + SignedDuration::from_hours(3 * 366 * 24);
    clock.ring(&home.cluster, later, &cancel);
    clock.ring(&home.cluster, later, &cancel);

    let lines = lines.map(|line| line.text).filter(|line| {
        let of_job = ["tick", "authorization", "x-cron"].iter().any(|word| line.contains(word));
        std::future::ready(of_job)
    });
    let seen: Vec<String> = lines.take(3).collect().await;
    assert_eq!(seen, ["GET /tick HTTP/1.1", "x-cron-job: true", "authorization: Bearer hush"]);
}
