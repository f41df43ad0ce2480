//! Following a domain until every node shows its certificate.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::report;
use crate::client::{Client, path};
use crate::error::CliError;
use crate::output::Output;
use crate::steps::Steps;
use crate::view::{self, Domain, Look, Verification};

/// The pause between two looks.
const PAUSE: Duration = Duration::from_secs(2);
/// A try for a certificate that is made within this time is waited for.
const SOON: SignedDuration = SignedDuration::from_secs(10);

/// How far a domain is.
#[derive(Debug, PartialEq, Eq)]
enum Stage {
    /// Something has to happen first: the step, and what it waits for.
    Waits(&'static str, String),
    /// There is nothing more to wait for.
    Served,
    /// It will not get on by itself.
    Stuck(String),
}

/// Looks again and again until the domain is served, cannot be, or the time is over; gives it as it is then.
pub async fn follow(
    output: Output,
    client: &Client,
    name: &str,
    within: Duration,
) -> Result<Value, CliError> {
    let until = Instant::now() + within;
    let mut steps = Steps::new(output);
    let mut told = String::new();
    let mut first = true;
    loop {
        let (value, stage) = look(client, name, std::mem::take(&mut first)).await?;
        match stage {
            Stage::Served => {
                steps.finish();
                return Ok(value);
            }
            Stage::Waits(step, why) if Instant::now() < until => {
                steps.enter(step);
                if told != why {
                    steps.wait_for(&why);
                    told = why;
                }
            }
            Stage::Waits(_, why) | Stage::Stuck(why) => {
                steps.fail();
                return Err(unserved(&view::read(&value)?, why));
            }
        }
        sleep(PAUSE).await;
    }
}

fn unserved(domain: &Domain, why: String) -> CliError {
    let next = report::next(domain)
        .unwrap_or_else(|| format!("temps domains show {}", report::word(&domain.name)));
    CliError::blocked(format!("{} is not served with a certificate yet", domain.name), why, next)
}

/// The domain, and how far it is. One that no node has seen lead here yet is looked at anew, and at first one that fails,
/// too: whoever asks may have mended what was wrong.
async fn look(client: &Client, name: &str, first: bool) -> Result<(Value, Stage), CliError> {
    let mut value = client.get(&path(&["domains", name])).await?.value;
    let mut looks = Vec::new();
    if value["status"] == "waiting_for_dns" || first && value["status"] == "failing" {
        let (mut answer, seen) = verify(client, name).await?;
        value = answer["domain"].take();
        looks.push(seen.look);
    } else if value["status"] == "active" {
        looks = super::look(client, name).await?;
    }
    let stage = stage(&view::read(&value)?, &looks, Timestamp::now());
    Ok((value, stage))
}

/// Looks once whether a name leads to the cluster.
pub async fn verify(client: &Client, name: &str) -> Result<(Value, Verification), CliError> {
    let value = client.post(&path(&["domains", name, "verify"]), &json!({})).await?.value;
    let read = view::read(&value)?;
    Ok((value, read))
}

fn stage(domain: &Domain, looks: &[Look], now: Timestamp) -> Stage {
    let why = report::waits_for(domain).unwrap_or_default();
    match domain.status.as_str() {
        "failing" if is_tried_soon(domain, now) => Stage::Waits("certificate", why),
        "waiting_for_dns" => {
            let sights: Vec<String> = looks.iter().map(report::sight).collect();
            Stage::Waits("DNS", if sights.is_empty() { why } else { sights.join("; ") })
        }
        "waiting_for_certificate" => Stage::Waits("certificate", why),
        "without_certificate" | "failing" => Stage::Stuck(why),
        _ => match without_certificate(looks) {
            nodes if nodes.is_empty() => Stage::Served,
            nodes => Stage::Waits("edges", format!("{} does not show it yet", nodes.join(", "))),
        },
    }
}

fn is_tried_soon(domain: &Domain, now: Timestamp) -> bool {
    let Some(order) = domain.order.as_ref().filter(|order| order.error.is_some()) else {
        return false;
    };
    order.under_way || order.retry_at.is_none_or(|at| at.duration_since(now) < SOON)
}

/// The nodes that say that their edges show no certificate.
fn without_certificate(looks: &[Look]) -> Vec<String> {
    let without = looks.iter().filter(|look| look.answered && look.certificate.is_none());
    without.map(|look| look.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(status: &str, looks: Value) -> Stage {
        let order = json!({"error": "refused", "retry_at": "2100-01-01T00:00:00Z"});
        let domain = view::read(&json!({"name": "a", "status": status, "order": order})).unwrap();
        stage(&domain, &view::items(&looks).unwrap(), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_try_that_comes_soon_is_waited_for() {
        let at = |seconds| json!(Timestamp::from_second(seconds).unwrap());
        for (order, waits) in [
            (json!({"error": "refused", "retry_at": at(1_005)}), true),
            (json!({"error": "refused", "retry_at": at(900)}), true),
            (json!({"error": "refused", "retry_at": at(1_060)}), false),
            (json!({"error": "refused", "retry_at": at(1_060), "under_way": true}), true),
            (json!({"error": "refused"}), true),
            (Value::Null, false),
        ] {
            let domain = json!({"name": "a", "status": "failing", "order": order});
            let domain = view::read(&domain).unwrap();
            let now = Timestamp::from_second(1_000).unwrap();
            let stage = stage(&domain, &[], now);
            assert_eq!(matches!(stage, Stage::Waits("certificate", _)), waits, "{order}");
        }
    }

    #[test]
    fn a_domain_is_followed_until_every_edge_shows_its_certificate() {
        let look = |name: &str, answered: bool, certificate: Option<&str>| json!({"name": name, "answered": answered, "certificate": certificate});
        let shows = look("n1", true, Some("2100-01-01T00:00:00Z"));
        let waits = |step, why: &str| Stage::Waits(step, why.into());
        let address = json!([{"name": "n1", "answered": true}]);
        for (status, looks, wanted) in [
            ("waiting_for_dns", address, waits("DNS", "the name has no address")),
            (
                "without_certificate",
                json!([]),
                Stage::Stuck("none was brought, and none is asked for (acme.enabled)".into()),
            ),
            (
                "active",
                json!([shows, look("n2", true, None)]),
                waits("edges", "n2 does not show it yet"),
            ),
            ("active", json!([shows, look("n2", false, None)]), Stage::Served),
            ("active", json!([]), Stage::Served),
        ] {
            assert_eq!(at(status, looks), wanted, "{status}");
        }
        assert!(matches!(at("waiting_for_certificate", json!([])), Stage::Waits("certificate", _)));
        assert!(
            matches!(at("failing", json!([])), Stage::Stuck(why) if why.starts_with("refused"))
        );
    }
}
