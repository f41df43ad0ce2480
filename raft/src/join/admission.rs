//! Whether a machine may join, and what the cluster then knows of it. Pure.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use jiff::Timestamp;
use temps_proto::join::refused::Why;
use temps_proto::join::{
    ClockOff, Incompatible, Invalid, JoinRequest, NoQuorum, TokenExpired, TokenUnknown, TokenUsed,
};
use temps_state::{Capacity, Node, NodeId, Rejected, State};

use super::VERSION;
use crate::ProposeError;

/// By how much a joiner's clock may differ.
pub const CLOCK_OFF_MAX_MS: u64 = 60_000;

/// Checks what can be told before the cluster is asked. Whoever joins must read everything that the cluster may have
/// written, which is what all its nodes know: `format`, and not what this one knows.
pub fn check(request: &JoinRequest, format: u32, now: Timestamp) -> Result<(), Why> {
    let theirs_ms = now.as_millisecond();
    if request.clock_ms.abs_diff(theirs_ms) > CLOCK_OFF_MAX_MS {
        return Err(Why::ClockOff(ClockOff { theirs_ms }));
    }
    if family(&request.version) != family(VERSION) || request.format < format {
        return Err(Why::Incompatible(Incompatible { version: VERSION.into(), format }));
    }
    Ok(())
}

/// Major and minor number: versions that share them work together.
fn family(version: &str) -> Option<(&str, &str)> {
    let mut parts = version.split('.');
    Some((parts.next()?, parts.next()?))
}

/// What this node can tell by itself: whoever asks again and again adds nothing to the log. A token that is at its end
/// stays there, and whom it let in last is in the same state.
pub fn settled(
    applied: &State,
    token_key: &str,
    node_key: &str,
    now: Timestamp,
) -> Option<Result<NodeId, Why>> {
    if let Some(node) = applied.nodes.values().find(|node| node.key == node_key) {
        return Some(node.readmission().map_err(|rejected| invalid(rejected.to_string())));
    }
    let token = applied.join_token(token_key)?;
    if token.uses_left == 0 {
        return Some(Err(Why::TokenUsed(TokenUsed {})));
    }
    let at_ms = token.expires_at.as_millisecond();
    (token.expires_at <= now).then_some(Err(Why::TokenExpired(TokenExpired { at_ms })))
}

/// What the cluster will know of the new node, except its id.
pub fn node(request: JoinRequest, key: String, from: IpAddr, now: Timestamp) -> Result<Node, Why> {
    let address = address(&request, from)?;
    let port = |port: Option<u32>, flag: &str| port.map(|port| to_port(port, flag)).transpose();
    Ok(Node {
        architecture: request.architecture,
        capacity: Capacity { cpu_millis: request.cpu_millis, memory_mib: request.memory_mib },
        builds: request.builds,
        labels: BTreeMap::from_iter(request.labels),
        key,
        address: Some(address),
        version: request.version,
        format: request.format,
        http_port: port(request.http_port, "--http")?,
        https_port: port(request.https_port, "--https")?,
        ..Node::new(NodeId::default(), request.name, now)
    })
}

fn address(request: &JoinRequest, from: IpAddr) -> Result<SocketAddr, Why> {
    match &request.advertise {
        Some(text) => text.parse().map_err(|_| invalid(format!("`{text}` is no address"))),
        None => Ok(SocketAddr::new(from.to_canonical(), to_port(request.peer_port, "--peer")?)),
    }
}

fn to_port(port: u32, flag: &str) -> Result<u16, Why> {
    let named = u16::try_from(port).ok().filter(|port| *port != 0);
    let why =
        || format!("{flag} needs a port from 1 to 65535 that others can be told of, not {port}");
    named.ok_or_else(|| invalid(why()))
}

/// What the answering node learns of its own address from a call that reached it, if it did not know better.
pub fn learned(known: Option<SocketAddr>, reached: IpAddr, port: u16) -> Option<SocketAddr> {
    let reached = SocketAddr::new(reached.to_canonical(), port);
    let is_real =
        |address: SocketAddr| !address.ip().is_unspecified() && !address.ip().is_loopback();
    match known {
        Some(known) if is_real(known) || !is_real(reached) => None,
        _ => Some(reached),
    }
}

/// How the joiner is told that the cluster did not admit it.
pub fn refusal(error: ProposeError) -> Why {
    use ProposeError::{NoQuorum as Nobody, Rejected as Refused, Timeout};
    match error {
        Refused(Rejected::TokenUnknown) => Why::TokenUnknown(TokenUnknown {}),
        Refused(Rejected::TokenUsed) => Why::TokenUsed(TokenUsed {}),
        Refused(Rejected::TokenExpired { at }) => {
            Why::TokenExpired(TokenExpired { at_ms: at.as_millisecond() })
        }
        Nobody | Timeout => Why::NoQuorum(NoQuorum {}),
        other => invalid(other.to_string()),
    }
}

/// A refusal in words.
pub fn invalid(why: String) -> Why {
    Why::Invalid(Invalid { why })
}

#[cfg(test)]
mod tests {
    use super::*;
    use temps_state::{FORMAT, JoinToken, Standing};

    fn request() -> JoinRequest {
        JoinRequest {
            clock_ms: 1_000_000,
            version: VERSION.into(),
            format: u32::from(FORMAT),
            peer_port: 4000,
            ..JoinRequest::default()
        }
    }

    #[test]
    fn a_clock_may_differ_by_a_minute() {
        let now = |ms| Timestamp::from_millisecond(ms).unwrap();
        for (at, fits) in [(1_000_000, true), (940_000, true), (939_999, false), (1_060_001, false)]
        {
            assert_eq!(check(&request(), 1, now(at)).is_ok(), fits, "{at}");
        }
        let broken = JoinRequest { clock_ms: i64::MIN, ..request() };
        assert!(matches!(check(&broken, 1, now(0)), Err(Why::ClockOff(_))));
    }

    #[test]
    fn versions_of_one_family_that_know_the_format_work_together() {
        let now = Timestamp::from_millisecond(1_000_000).unwrap();
        let (major, minor) = family(VERSION).unwrap();
        // Version and format of the joiner, and what the cluster's oldest node knows.
        let cases = [
            (format!("{major}.{minor}.99"), 1, 1, true),
            (VERSION.into(), 2, 1, true),
            (VERSION.into(), 0, 1, false),
            (VERSION.into(), 1, 2, false),
            (VERSION.into(), 2, 2, true),
            (format!("{major}.{minor}9.0"), 1, 1, false),
            ("99.0.0".into(), 1, 1, false),
            (String::new(), 1, 1, false),
        ];
        for (version, format, known, fits) in cases {
            let request = JoinRequest { version: version.clone(), format, ..request() };
            assert_eq!(check(&request, known, now).is_ok(), fits, "{version} {format} {known}");
        }
    }

    #[test]
    fn a_node_is_where_it_says_or_where_it_calls_from() {
        let from: IpAddr = "::ffff:10.0.0.7".parse().unwrap();
        let now = Timestamp::UNIX_EPOCH;
        let made = node(request(), "k".into(), from, now).unwrap();
        assert_eq!(made.address, Some("10.0.0.7:4000".parse().unwrap()));
        let told = JoinRequest { advertise: Some("192.0.2.1:9".into()), ..request() };
        let made = node(told, "k".into(), from, now).unwrap();
        assert_eq!(made.address, Some("192.0.2.1:9".parse().unwrap()));
        for broken in [
            JoinRequest { advertise: Some("nowhere".into()), ..request() },
            JoinRequest { peer_port: 0, ..request() },
            JoinRequest { peer_port: 70_000, ..request() },
            JoinRequest { http_port: Some(70_000), ..request() },
        ] {
            assert!(matches!(node(broken, "k".into(), from, now), Err(Why::Invalid(_))));
        }
    }

    #[test]
    fn a_node_learns_its_address_only_when_it_knows_none_that_others_can_use() {
        let cases = [
            (None, "10.0.0.1", Some("10.0.0.1:7")),
            (None, "127.0.0.1", Some("127.0.0.1:7")),
            (Some("127.0.0.1:7"), "10.0.0.1", Some("10.0.0.1:7")),
            (Some("0.0.0.0:7"), "::ffff:10.0.0.1", Some("10.0.0.1:7")),
            (Some("127.0.0.1:7"), "127.0.0.1", None),
            (Some("10.0.0.1:7"), "10.0.0.2", None),
            (Some("10.0.0.1:7"), "127.0.0.1", None),
        ];
        for (known, reached, expected) in cases {
            let known: Option<SocketAddr> = known.map(|known| known.parse().unwrap());
            let expected: Option<SocketAddr> = expected.map(|expected| expected.parse().unwrap());
            assert_eq!(learned(known, reached.parse().unwrap(), 7), expected);
        }
    }

    #[test]
    fn what_is_settled_needs_no_entry() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let mut state = State::default();
        for (key, expires_at, uses_left) in [("good", 9, 1), ("used", 9, 0), ("old", 5, 1)] {
            let id = crate::fresh_id();
            let (key, expires_at) = (key.into(), at(expires_at));
            let token = JoinToken { id, key, created_at: at(1), expires_at, uses_left };
            state.join_tokens.insert(token.id, token);
        }
        let joining = Node { standing: Standing::Joining, ..Node::new(NodeId(7), "n", at(1)) };
        state.nodes.insert(NodeId(7), Node { key: "known".into(), ..joining });
        state
            .nodes
            .insert(NodeId(8), Node { key: "ready".into(), ..Node::new(NodeId(8), "m", at(1)) });
        let expired = Why::TokenExpired(TokenExpired { at_ms: 5000 });
        let cases = [
            ("good", "new", None),
            ("unknown", "new", None),
            ("good", "known", Some(Ok(NodeId(7)))),
            ("used", "known", Some(Ok(NodeId(7)))),
            ("used", "new", Some(Err(Why::TokenUsed(TokenUsed {})))),
            ("old", "new", Some(Err(expired))),
        ];
        for (token, key, expected) in cases {
            assert_eq!(settled(&state, token, key, at(6)), expected, "{token} {key}");
        }
        let ready = settled(&state, "good", "ready", at(6));
        assert!(matches!(ready, Some(Err(Why::Invalid(_)))), "{ready:?}");
    }

    #[test]
    fn every_refusal_of_the_cluster_reaches_the_joiner_as_what_it_is() {
        let at = Timestamp::from_second(7).unwrap();
        let cases = [
            (Rejected::TokenUnknown.into(), Why::TokenUnknown(TokenUnknown {})),
            (Rejected::TokenUsed.into(), Why::TokenUsed(TokenUsed {})),
            (Rejected::TokenExpired { at }.into(), Why::TokenExpired(TokenExpired { at_ms: 7000 })),
            (ProposeError::NoQuorum, Why::NoQuorum(NoQuorum {})),
            (ProposeError::Timeout, Why::NoQuorum(NoQuorum {})),
            (Rejected::LastNode.into(), invalid("the last node cannot go".into())),
        ];
        for (error, why) in cases {
            assert_eq!(refusal(error), why);
        }
    }
}
