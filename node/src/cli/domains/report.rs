//! A domain in words: which records to create, what each node sees, what it waits for, and what to do next.

use crate::table::{pairs, table};
use crate::view::{Certificate, Domain, Look, Record, Redirect};
use crate::when::ago_or_dash;

/// How long a delegation may be remembered, in seconds.
const DELEGATION_SECONDS: u32 = 3_600;

/// Domains as a table.
pub fn listed(domains: Vec<Domain>) -> String {
    let rows = domains.into_iter().map(|domain| {
        let Domain { name, project, environment, redirect, status, certificate, .. } = domain;
        let to =
            redirect.map_or_else(|| format!("{project}/{environment}"), |redirect| redirect.to);
        [name, to, spaced(&status), certificate.as_ref().map_or("-".into(), ends)]
    });
    let empty = "No domains. Add one: temps domains add app.example.com --project NAME";
    table(["domain", "leads to", "status", "certificate ends"], rows, empty)
}

/// Everything about a domain: itself, its records, what the nodes see, and the next command.
pub fn whole(domain: &Domain, looks: &[Look]) -> String {
    let mut parts = vec![about(domain), records(domain), seen(looks)];
    parts.extend(next(domain).map(|next| format!("Next: {next}")));
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n")
}

fn about(domain: &Domain) -> String {
    let to = |redirect: &Redirect| format!("{} ({})", redirect.to, redirect.status);
    let redirect = domain.redirect.as_ref().map(to);
    let paths = domain.paths.iter().map(|(prefix, to)| format!("{prefix} to {to}"));
    let certificate = domain.certificate.as_ref();
    let certificate = certificate.map(|one| format!("by {}, ends {}", one.issuer, ends(one)));
    let lines = [
        ("domain", Some(domain.name.clone())),
        ("leads to", Some(format!("{}/{}", domain.project, domain.environment))),
        ("redirects", redirect),
        ("paths", Some(paths.collect::<Vec<_>>().join(", ")).filter(|paths| !paths.is_empty())),
        ("status", Some(status(domain))),
        ("certificate", certificate),
        ("verified", domain.verified_at.map(|at| ago_or_dash(Some(at)))),
        ("added", Some(ago_or_dash(domain.created_at))),
    ];
    pairs(lines.into_iter().filter_map(|(name, value)| Some((name, value?))))
}

/// When a certificate ends.
pub fn ends(certificate: &Certificate) -> String {
    ago_or_dash(certificate.not_after)
}

/// How a domain is, and why.
fn status(domain: &Domain) -> String {
    match waits_for(domain) {
        Some(why) => format!("{}: {why}", spaced(&domain.status)),
        None => spaced(&domain.status),
    }
}

fn spaced(word: &str) -> String {
    word.replace('_', " ").replace("dns", "DNS")
}

/// What has to happen before a domain is served with a certificate; `None` where it is.
pub fn waits_for(domain: &Domain) -> Option<String> {
    Some(match domain.status.as_str() {
        "waiting_for_dns" => "no node has seen yet that the name leads here".into(),
        "waiting_for_certificate" => match &domain.order {
            Some(order) if order.under_way => "the authority is being asked".into(),
            _ => "the authority will be asked within seconds".into(),
        },
        "without_certificate" if domain.name.starts_with("*.") => {
            "none was brought, and no authority can be asked for a wildcard: neither the nodes nor a DNS provider of the \
             cluster's answer for its zone (or acme.enabled is off). None is asked for name by name, as whoever comes could \
             invent names until the authority gives no more"
                .into()
        }
        "without_certificate" => "none was brought, and none is asked for (acme.enabled)".into(),
        "failing" => failure(domain),
        _ => return None,
    })
}

/// The certificate that was brought and ends, where that is what fails.
fn unfollowed(domain: &Domain) -> Option<&Certificate> {
    let failed = domain.order.as_ref().is_some_and(|order| order.error.is_some());
    domain.certificate.as_ref().filter(|one| !failed && one.source["type"] == "uploaded")
}

fn failure(domain: &Domain) -> String {
    if let Some(brought) = unfollowed(domain) {
        let ends = ends(brought);
        return format!(
            "its certificate was brought and ends {ends}, and the cluster gets no other one by itself"
        );
    }
    let Some(order) = &domain.order else { return "no certificate could be had".into() };
    let error = order.error.as_deref().unwrap_or("no certificate could be had");
    match order.retry_at {
        Some(at) => format!("{error}; tried again {}", ago_or_dash(Some(at))),
        None => error.into(),
    }
}

/// The command that helps on, if one does.
pub fn next(domain: &Domain) -> Option<String> {
    let name = word(&domain.name);
    Some(match domain.status.as_str() {
        "waiting_for_dns" => format!("create the records, then temps domains verify {name} --wait"),
        "waiting_for_certificate" => format!("temps domains verify {name} --wait"),
        "without_certificate" if domain.name.starts_with("*.") => {
            "temps certificates add --chain FILE --key FILE, or temps dns providers add, or temps settings set \
             dns.zones=ZONE; or temps domains add each name that is to have one"
                .into()
        }
        "without_certificate" => {
            "temps certificates add --chain FILE --key FILE, or temps settings set acme.enabled=true"
                .into()
        }
        "failing" if unfollowed(domain).is_some() => {
            "temps certificates add --chain FILE --key FILE".into()
        }
        "failing" => {
            format!("mend what the error says, then temps domains verify {name} --wait")
        }
        _ => return None,
    })
}

/// A name as a shell takes it.
pub fn word(name: &str) -> String {
    if name.contains('*') { format!("'{name}'") } else { name.into() }
}

/// The records to create, as a table under a sentence.
pub fn records(domain: &Domain) -> String {
    let (required, others): (Vec<&Record>, Vec<&Record>) =
        domain.records.iter().partition(|record| record.required);
    let mut parts = Vec::new();
    if let Some(zone) = required.iter().find(|record| record.r#type == "NS") {
        return delegation(&domain.name, &zone.name, &required);
    }
    if !required.iter().any(|record| matches!(record.r#type.as_str(), "A" | "AAAA")) {
        let label = "temps nodes label NODE public-address=ADDRESS";
        let why = "No node's public address is known, which A and AAAA records need";
        parts.push(format!("{why}: {label}"));
    }
    if !required.is_empty() {
        parts.push(format!(
            "Create where the DNS of {} is kept:\n{}",
            domain.name,
            rows(&required)
        ));
    }
    if !others.is_empty() {
        parts.push(format!("Other ways:\n{}", rows(&others)));
    }
    parts.join("\n\n")
}

/// The lines that delegate a zone, as zone files have them.
fn delegation(name: &str, zone: &str, records: &[&Record]) -> String {
    let line = |record: &&Record| {
        let dot = if record.r#type == "NS" { "." } else { "" };
        format!("{}. {DELEGATION_SECONDS} IN {} {}{dot}", record.name, record.r#type, record.value)
    };
    let lines: Vec<String> = records.iter().map(line).collect();
    format!(
        "{name} is in the zone {zone}, which the nodes answer for. Nothing is needed but its delegation, created once \
         where the zone above it is kept:\n{}",
        lines.join("\n")
    )
}

fn rows(records: &[&Record]) -> String {
    let row = |record: &&Record| {
        [&record.r#type, &record.name, &record.value, &record.why].map(String::from)
    };
    table(["type", "name", "value", "what for"], records.iter().map(row), "")
}

/// What the nodes see, as a table.
pub fn seen(looks: &[Look]) -> String {
    let rows = looks.iter().map(|look| {
        let certificate = match look.answered {
            true => look
                .certificate
                .map_or("none".into(), |at| format!("ends {}", ago_or_dash(Some(at)))),
            false => "-".into(),
        };
        [look.name.clone(), sight(look), certificate, refused(look)]
    });
    table(["node", "sees", "shows a certificate", "refused handshakes"], rows, "")
}

/// Where a node sees the name lead.
pub fn sight(look: &Look) -> String {
    let address = |seen: &crate::view::Address| match (seen.leads_here, &seen.why) {
        (true, _) => format!("{} leads here", seen.address),
        (false, Some(why)) => format!("{} does not lead here: {why}", seen.address),
        (false, None) => format!("{} does not lead here", seen.address),
    };
    match (&look.problem, look.addresses.is_empty()) {
        (Some(problem), _) => problem.clone(),
        (None, true) => "the name has no address".into(),
        (None, false) => look.addresses.iter().map(address).collect::<Vec<_>>().join("; "),
    }
}

fn refused(look: &Look) -> String {
    match &look.refused {
        Some(refused) => format!("{}, last {}", refused.count, ago_or_dash(refused.last)),
        None => "-".into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::view::read;

    fn domain(status: &str, order: Value) -> Domain {
        read(&json!({"name": "a.example.com", "status": status, "order": order})).unwrap()
    }

    #[test]
    fn every_status_says_what_it_waits_for_and_what_to_do() {
        let failed = json!({"failures": 2, "error": "connection refused"});
        for (status, order, why, command) in [
            ("waiting_for_dns", Value::Null, "leads here", "verify a.example.com"),
            ("waiting_for_certificate", Value::Null, "will be asked", "--wait"),
            ("waiting_for_certificate", json!({"under_way": true}), "being asked", "--wait"),
            ("without_certificate", Value::Null, "acme.enabled", "temps certificates add"),
            ("failing", failed, "connection refused", "verify a.example.com --wait"),
        ] {
            let domain = domain(status, order);
            assert!(waits_for(&domain).unwrap().contains(why), "{status}");
            assert!(next(&domain).unwrap().contains(command), "{status}");
        }
        let active = domain("active", Value::Null);
        assert_eq!((waits_for(&active), next(&active)), (None, None));
    }

    #[test]
    fn a_wildcard_without_a_certificate_says_why_and_what_helps() {
        let domain =
            Domain { name: "*.a.example".into(), ..domain("without_certificate", Value::Null) };
        assert!(waits_for(&domain).unwrap().contains("name by name"));
        assert!(next(&domain).unwrap().contains("dns.zones"));
    }

    #[test]
    fn a_certificate_that_was_brought_and_ends_says_to_bring_the_next() {
        let mut domain = domain("failing", Value::Null);
        let brought = json!({"id": "crt_1", "source": {"type": "uploaded"}});
        domain.certificate = Some(read(&brought).unwrap());
        assert!(waits_for(&domain).unwrap().contains("was brought and ends"));
        assert!(next(&domain).unwrap().starts_with("temps certificates add"));
    }

    #[test]
    fn a_wildcard_is_kept_from_the_shell() {
        let domain = Domain { name: "*.a.example".into(), ..domain("failing", Value::Null) };
        assert!(next(&domain).unwrap().ends_with("temps domains verify '*.a.example' --wait"));
    }

    #[test]
    fn a_node_without_an_answer_is_told_from_a_name_without_an_address() {
        let look = |value: Value| sight(&read(&value).unwrap());
        assert_eq!(look(json!({"problem": "it does not answer"})), "it does not answer");
        assert_eq!(look(json!({"answered": true})), "the name has no address");
        let addresses = json!([{"address": "192.0.2.1", "why": "it refuses"},
            {"address": "192.0.2.2", "leads_here": true}]);
        let both = "192.0.2.1 does not lead here: it refuses; 192.0.2.2 leads here";
        assert_eq!(look(json!({"addresses": addresses})), both);
    }

    #[test]
    fn a_delegation_is_told_as_zone_files_have_it() {
        let record = |kind: &str, name: &str, value: &str| json!({"type": kind, "name": name, "value": value, "required": true});
        let records = [
            record("NS", "apps.example.com", "ns-1.apps.example.com"),
            record("A", "ns-1.apps.example.com", "192.0.2.1"),
        ];
        let domain = json!({"name": "shop.apps.example.com", "records": records});
        let text = records_of(domain);
        let lines = "apps.example.com. 3600 IN NS ns-1.apps.example.com.\n\
                     ns-1.apps.example.com. 3600 IN A 192.0.2.1";
        assert!(text.ends_with(lines) && text.contains("Nothing is needed but"), "{text}");
    }

    fn records_of(domain: Value) -> String {
        records(&read::<Domain>(&domain).unwrap())
    }

    #[test]
    fn records_that_need_a_public_address_say_how_to_name_one() {
        let text = json!({"type": "TXT", "name": "_x.a", "value": "p", "why": "proves it"});
        let domain: Domain = read(&json!({"name": "a", "records": [text]})).unwrap();
        let text = records(&domain);
        assert!(text.contains("temps nodes label") && text.contains("Other ways:"), "{text}");
        let required = json!({"type": "A", "name": "a", "value": "192.0.2.1", "required": true});
        let domain: Domain = read(&json!({"name": "a", "records": [required]})).unwrap();
        let text = records(&domain);
        assert!(text.contains("Create where") && !text.contains("temps nodes"), "{text}");
    }
}
