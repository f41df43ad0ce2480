//! `temps status`: how the cluster is.

use jiff::Timestamp;

use super::context::Context;
use super::nodes::nodes_table;
use crate::client::path;
use crate::error::CliError;
use crate::table::pairs;
use crate::view::{self, DnsZone, FailingCertificate, FailingDnsProvider, Node, Status};
use crate::when::{ago, span};

pub async fn run(context: &Context) -> Result<(), CliError> {
    let client = context.client()?;
    let value = client.get(&path(&["status"])).await?.value;
    context.output.try_answer(&value, || Ok(about(client.url(), &view::read(&value)?)))
}

fn about(url: &str, status: &Status) -> String {
    let replicas = format!("{} of {} healthy", status.replicas.healthy, status.replicas.wanted);
    let edges = status.nodes.iter().filter(|node| node.edge_applied_index.is_some()).count();
    let about = pairs([
        ("cluster", status.cluster_id.clone()),
        ("asked", format!("{} at {url}", label(status, &status.node))),
        ("leader", leader(status)),
        ("projects", view::plain(&status.projects)),
        ("replicas", replicas),
        ("edges", format!("{edges} of {} answer", status.nodes.len())),
        ("applied", format!("log entry {}", status.applied_index)),
        (
            "edge here",
            format!("port {}, log entry {}", status.edge.http_port, status.edge.applied_index),
        ),
        ("version", status.version.clone()),
        ("up", span(status.uptime_seconds)),
    ]);
    let troubles = engine_problems(&status.nodes)
        + &avoided(&status.nodes)
        + &failing(&status.failing_certificates, Timestamp::now())
        + &failing_providers(&status.failing_dns_providers, Timestamp::now())
        + &zones(&status.dns_zones);
    format!("{about}\n\n{}\n\n{}{troubles}", nodes_table(&status.nodes), status.may_lose_text)
}

/// A line for every node that cannot run or build anything now.
fn engine_problems(nodes: &[Node]) -> String {
    let problem = |node: &Node| {
        let (label, why) = (node.label(), node.engine());
        format!("\n{label}: {why}. Nothing is built or started there; try: systemctl start docker")
    };
    nodes.iter().filter(|node| !node.engine_answers()).map(problem).collect()
}

/// A line for everything that a node is not given now although its engine answers.
fn avoided(nodes: &[Node]) -> String {
    let line = |node: &Node, avoided| format!("\n{}: {avoided}", node.label());
    nodes.iter().flat_map(|node| node.avoided().map(move |avoided| line(node, avoided))).collect()
}

/// A line for every name whose certificate cannot be had or renewed, or was brought and ends.
fn failing(certificates: &[FailingCertificate], now: Timestamp) -> String {
    let line = |one: &FailingCertificate| {
        let name = &one.name;
        let ends = match one.ends {
            Some(ends) if ends <= now => "its certificate has ended".into(),
            Some(ends) => format!("its certificate ends {}", ago(now, ends)),
            None => "it gets no certificate".to_owned(),
        };
        let why = one.error.as_deref().unwrap_or("the reason is not known");
        if one.brought {
            return format!("\n{name}: {ends}: {why}");
        }
        let what = if one.ends.is_some() { ends + " and cannot be renewed" } else { ends };
        let failed =
            if one.failures == 1 { "once".into() } else { format!("{} times", one.failures) };
        let next = one.retry_at.map_or_else(|| "now".into(), |at| ago(now, at));
        format!("\n{name}: {what}: {why} (failed {failed}, tried again {next})")
    };
    certificates.iter().map(line).collect()
}

/// A line for every account with a DNS provider whose records are not as they should be.
fn failing_providers(accounts: &[FailingDnsProvider], now: Timestamp) -> String {
    let line = |FailingDnsProvider { name, error, since }: &FailingDnsProvider| {
        let since = since.map_or_else(String::new, |since| format!(" (since {})", ago(now, since)));
        format!("\nDNS provider {name}: {error}{since}")
    };
    accounts.iter().map(line).collect()
}

/// A line for every zone that is not delegated to the nodes there are.
fn zones(zones: &[DnsZone]) -> String {
    let line = |zone: &DnsZone| {
        let DnsZone { zone: name, faults, .. } = zone;
        let faults: Vec<&str> = faults.iter().map(|fault| fault.why.as_str()).collect();
        match faults[..] {
            _ if zone.is_undelegated() => {
                format!(
                    "\nzone {name}: not delegated to the nodes yet; see temps dns zones show {name}"
                )
            }
            _ if !zone.is_wrong() => String::new(),
            _ => format!("\nzone {name}: {}; see temps dns zones show {name}", faults.join("; ")),
        }
    };
    zones.iter().map(line).collect()
}

fn leader(status: &Status) -> String {
    match status.quorum {
        true if !status.leader.is_null() => label(status, &status.leader),
        _ => "none: there is no quorum".into(),
    }
}

fn label(status: &Status, id: &serde_json::Value) -> String {
    let node = status.nodes.iter().find(|node| node.id == *id);
    node.map_or_else(|| format!("node {}", view::plain(id)), Node::label)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_account_whose_records_are_not_as_they_should_be_is_told() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let since = Timestamp::from_second(1_000_000 - 7_200).ok();
        let (name, error) = ("cf".to_owned(), "example.com: no".to_owned());
        let told = failing_providers(&[FailingDnsProvider { name, error, since }], now);
        assert_eq!(told, "\nDNS provider cf: example.com: no (since 2h ago)");
        assert_eq!(failing_providers(&[], now), "");
    }

    #[test]
    fn a_zone_that_leads_elsewhere_is_told() {
        let zone = |status: &str, whys: &[&str]| {
            let faults: Vec<_> = whys.iter().map(|why| json!({"why": why})).collect();
            let zone = json!({"zone": "a.example", "status": status, "faults": faults});
            view::read::<DnsZone>(&zone).unwrap()
        };
        for (zone, told) in [
            (zone("right", &[]), ""),
            (zone("unknown", &[]), ""),
            (
                zone("undelegated", &[]),
                "\nzone a.example: not delegated to the nodes yet; see temps dns zones show a.example",
            ),
            (
                zone("wrong", &["one", "two"]),
                "\nzone a.example: one; two; see temps dns zones show a.example",
            ),
        ] {
            assert_eq!(zones(&[zone]), told);
        }
    }

    #[test]
    fn a_certificate_that_cannot_be_renewed_is_told_with_what_is_left() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let ends = |seconds: i64| Timestamp::from_second(1_000_000 + seconds).ok();
        let one = |ends| FailingCertificate {
            name: "a.example.com".into(),
            ends,
            brought: false,
            failures: 3,
            error: Some("no".into()),
            retry_at: ends.filter(|at| *at > now),
        };
        for (ends, said) in [
            (None, "it gets no certificate: no (failed 3 times, tried again now)"),
            (
                ends(7_200),
                "its certificate ends in 2h and cannot be renewed: no (failed 3 times, tried again in 2h)",
            ),
            (
                ends(-1),
                "its certificate has ended and cannot be renewed: no (failed 3 times, tried again now)",
            ),
        ] {
            assert_eq!(failing(&[one(ends)], now), format!("\na.example.com: {said}"));
        }
        let brought = FailingCertificate { brought: true, ..one(ends(7_200)) };
        let said = "\na.example.com: its certificate ends in 2h: no";
        assert_eq!(failing(&[brought], now), said);
    }

    #[test]
    fn an_engine_that_is_away_is_told_of_its_node() {
        let fine = Node { id: 1.into(), name: "n1".into(), ..Node::default() };
        let away = Some("the container engine does not answer".to_string());
        let node =
            Node { id: 2.into(), name: "n2".into(), engine_problem: away, ..Node::default() };
        let told = engine_problems(&[fine, node]);
        assert!(told.starts_with("\nnode 2 (n2): the container engine does not answer."), "{told}");
        assert_eq!(told.lines().count(), 2);
    }
}
