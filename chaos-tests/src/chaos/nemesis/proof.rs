//! Whether a fault did anything while it was there: one that did not, proves nothing about those who lived with it.

use std::time::{Duration, SystemTime};

use super::{clocks, disks};
use crate::chaos::Field;
use crate::client::http_client;
use crate::history::FaultKind;
use crate::{Authority, GroundError};

/// By how much a calendar has to be off that was set off by twice as much. Seconds.
const OFF_MIN: u64 = clocks::AHEAD.unsigned_abs() / 2;
/// How long an edge may take to say what time it is.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);

/// Asks, before a fault is undone, whether it did what it is there for. Faults that are not asked about here cannot be made
/// without an effect, or were asked when they were made.
///
/// # Errors
/// [`GroundError::NoEffect`] when it did not, and others when nobody can say.
pub(crate) async fn prove(
    field: &Field,
    kind: FaultKind,
    nodes: &[usize],
) -> Result<(), GroundError> {
    let ground = &field.ground;
    match kind {
        FaultKind::Halves
        | FaultKind::LeaderAlone
        | FaultKind::Ring
        | FaultKind::OneWay
        | FaultKind::ClientSide
        | FaultKind::ReplaceCutOff => some(ground.lost_packets().await?, "no packet was lost"),
        FaultKind::Loss => some(ground.shaken("lost").await?, "no packet was lost"),
        FaultKind::Delay => some(ground.shaken("late").await?, "no packet was late"),
        FaultKind::Duplication => some(ground.shaken("doubled").await?, "no packet came twice"),
        FaultKind::Reorder => some(ground.shaken("held").await?, "no packet was overtaken"),
        FaultKind::AuthorityAway | FaultKind::AuthorityHangs | FaultKind::AuthorityFails => {
            let asked = ground.asked(Authority::DIRECTORY_PORT).await?;
            some(asked, "nobody asked the authority for anything")
        }
        FaultKind::ClockAhead | FaultKind::ClockBehind => off(field, nodes).await,
        FaultKind::DiskFull => {
            let refused = disks::failed(field, nodes).await?;
            some(refused, "nobody needed room")
        }
        _ => Ok(()),
    }
}

/// More than none.
pub(super) fn some(count: u64, otherwise: &str) -> Result<(), GroundError> {
    if count > 0 { Ok(()) } else { Err(GroundError::NoEffect(otherwise.into())) }
}

/// Whether the calendars of these nodes are another one than this process's. Their edges say so: the API's server keeps the
/// date that it told last for as long as that is not over, which with a clock that went back is long.
async fn off(field: &Field, nodes: &[usize]) -> Result<(), GroundError> {
    let http = http_client(ANSWER_LIMIT)?;
    for &node in nodes {
        let edge = format!("http://{}/", field.ground.node(node).edge());
        let nobody =
            |source| GroundError::Request { node, method: "GET".into(), path: "/".into(), source };
        let answer = http.get(edge).send().await.map_err(nobody)?;
        let said = answer.headers().get("date").and_then(|date| date.to_str().ok());
        let said = said.unwrap_or("no time at all");
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let its = seconds(said).unwrap_or(now);
        if its.abs_diff(now).as_secs() < OFF_MIN {
            return Err(GroundError::NoEffect(format!("n{node} says that it is {said}")));
        }
    }
    Ok(())
}

/// A date of HTTP, as time since 1970.
fn seconds(date: &str) -> Option<Duration> {
    let time = jiff::fmt::rfc2822::parse(date).ok()?.timestamp();
    u64::try_from(time.as_second()).ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_http_are_understood() {
        let known = seconds("Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(known, Some(Duration::from_secs(784_111_777)));
        assert_eq!(seconds("yesterday"), None);
    }
}
