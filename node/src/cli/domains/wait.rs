//! Following a domain until every node shows its certificate.

use std::time::{Duration, Instant};

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
    loop {
        let (value, stage) = look(client, name).await?;
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

/// The domain, and how far it is. One that no node has seen lead here yet is looked at anew.
async fn look(client: &Client, name: &str) -> Result<(Value, Stage), CliError> {
    let mut value = client.get(&path(&["domains", name])).await?.value;
    let mut looks = Vec::new();
    if value["status"] == "waiting_for_dns" {
        let (mut answer, seen) = verify(client, name).await?;
        value = answer["domain"].take();
        looks.push(seen.look);
    } else if value["status"] == "active" {
        looks = super::look(client, name).await?;
    }
    let stage = stage(&view::read(&value)?, &looks);
    Ok((value, stage))
}

/// Looks once whether a name leads to the cluster.
pub async fn verify(client: &Client, name: &str) -> Result<(Value, Verification), CliError> {
    let value = client.post(&path(&["domains", name, "verify"]), &json!({})).await?.value;
    let read = view::read(&value)?;
    Ok((value, read))
}

fn stage(domain: &Domain, looks: &[Look]) -> Stage {
    let why = report::waits_for(domain).unwrap_or_default();
    match domain.status.as_str() {
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

/// The nodes that say that their edges show no certificate.
fn without_certificate(looks: &[Look]) -> Vec<String> {
    let without = looks.iter().filter(|look| look.answered && look.certificate.is_none());
    without.map(|look| look.name.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(status: &str, looks: Value) -> Stage {
        let order = json!({"error": "refused"});
        let domain = view::read(&json!({"name": "a", "status": status, "order": order})).unwrap();
        stage(&domain, &view::items(&looks).unwrap())
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
            ("failing", json!([]), Stage::Stuck("refused".into())),
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
    }
}
