//! What is promised, and whether it was kept.

use std::fmt::Write;

use crate::check::{Finding, Verdict};

use super::svg::escape;

pub(super) fn write(page: &mut String, findings: &[Finding]) {
    page.push_str(
        "<section><h2>What is promised, and whether it was kept</h2>\n<ul class=\"verdicts\">\n",
    );
    // What needs to be read comes first.
    let rank = |finding: &&Finding| match finding.verdict {
        Verdict::Violated { .. } => 0,
        Verdict::Unknown { .. } => 1,
        Verdict::Valid => 2,
    };
    let mut sorted: Vec<&Finding> = findings.iter().collect();
    sorted.sort_by_key(rank);
    for finding in sorted {
        one(page, finding);
    }
    page.push_str("</ul></section>\n");
}

fn one(page: &mut String, finding: &Finding) {
    let (class, mark) = match &finding.verdict {
        Verdict::Valid => ("kept", "✓"),
        Verdict::Violated { .. } => ("broken", "✗"),
        Verdict::Unknown { .. } => ("open", "?"),
    };
    let _ = write!(
        page,
        "<li class=\"{class}\"><span class=\"mark\">{mark}</span><div><h3>{}</h3><p>{}</p><p class=\"small\">{}</p>",
        escape(finding.name),
        escape(finding.promise),
        escape(&finding.looked_at)
    );
    match &finding.verdict {
        Verdict::Valid => {}
        Verdict::Unknown { why } => {
            let _ = write!(page, "<p class=\"why\">{}</p>", escape(why));
        }
        Verdict::Violated { why, evidence } => {
            let _ = write!(page, "<p class=\"why\">{}</p>", escape(why));
            if !evidence.is_empty() {
                page.push_str(
                    "<div class=\"wide\"><table><tr><th>from</th><th>to</th><th>what</th></tr>",
                );
                for event in evidence {
                    let to = event.to.map_or("never".into(), |to| to.to_string());
                    let what = escape(&event.what);
                    let _ = write!(
                        page,
                        "<tr><td>{}</td><td>{to}</td><td>{what}</td></tr>",
                        event.from
                    );
                }
                page.push_str("</table></div>");
            }
        }
    }
    page.push_str("</div></li>\n");
}
