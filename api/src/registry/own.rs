//! Deployments of what people pushed to the cluster itself. Pure.

use std::net::IpAddr;

use axum::http::{HeaderMap, header};
use temps_builder::{OWN_REGISTRY, OwnImage};
use temps_state::State;

use crate::ApiError;

/// The reference by which every node finds an image of the cluster's own registry, when this is one: its host is how the
/// client calls the node it asks, or an address or name of any other node. References to other registries stay.
pub(crate) fn own_image(
    state: &State,
    headers: &HeaderMap,
    reference: String,
) -> Result<String, ApiError> {
    let asked = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let Some(image) = OwnImage::read(&reference, |host| is_own(state, asked, host)) else {
        return Ok(reference);
    };
    match image.is_known(state) {
        true => Ok(image.reference()),
        false => {
            let why = format!(
                "the cluster's own registry has no {}: push it first, with `docker push`",
                image.name()
            );
            Err(ApiError::invalid("source.reference", why))
        }
    }
}

/// Whether a host of a reference is the cluster itself, which a client calls `asked`.
fn is_own(state: &State, asked: &str, host: &str) -> bool {
    if host == OWN_REGISTRY || host.eq_ignore_ascii_case(asked) {
        return true;
    }
    let ((name, port), (_, own_port)) = (split(host), split(asked));
    let address: Option<IpAddr> = name.parse().ok();
    let is_loopback = name == "localhost" || address.is_some_and(|ip| ip.is_loopback());
    let is_node = state
        .nodes
        .values()
        .any(|node| node.name == name || node.address.is_some_and(|at| Some(at.ip()) == address));
    port.is_some() && port == own_port && (is_loopback || is_node)
}

fn split(host: &str) -> (&str, Option<&str>) {
    match host.rsplit_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (host, None),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use jiff::Timestamp;
    use temps_state::{Actor, ImageTag, Node, NodeId};

    use super::*;

    fn state() -> State {
        let mut state = State::default();
        let address = "10.0.0.2:7900".parse().ok();
        let node = Node { address, ..Node::new(NodeId(1), "n1", Timestamp::UNIX_EPOCH) };
        state.nodes.insert(node.id, node);
        let tag = ImageTag {
            manifest: "0".repeat(64),
            set_at: Timestamp::UNIX_EPOCH,
            set_by: Actor::Node { id: NodeId(1) },
            holders: [NodeId(1)].into(),
        };
        state.image_tags.insert("shop/web:1".parse().unwrap(), tag);
        state
    }

    #[test]
    fn every_way_to_call_the_cluster_is_understood_and_no_other() {
        let state = state();
        let headers = |host: &'static str| {
            HeaderMap::from_iter([(header::HOST, HeaderValue::from_static(host))])
        };
        let read = |asked, reference: &str| own_image(&state, &headers(asked), reference.into());
        let own = "registry.temps.internal/shop/web:1";
        for (asked, reference) in [
            ("temps.example.com", "temps.example.com/shop/web:1"),
            ("127.0.0.1:3000", "127.0.0.1:3000/shop/web:1"),
            ("127.0.0.1:3000", "localhost:3000/shop/web:1"),
            ("127.0.0.1:3000", "10.0.0.2:3000/shop/web:1"),
            ("10.0.0.2:3000", "n1:3000/shop/web:1"),
            ("anything", own),
        ] {
            assert_eq!(read(asked, reference).unwrap(), own, "{reference} through {asked}");
        }
        for reference in [
            "nginx:stable",
            "localhost:5000/shop/web:1",
            "10.0.0.9:3000/shop/web:1",
            "example.com/shop/web:1",
            "shop/web:1",
        ] {
            assert_eq!(read("10.0.0.2:3000", reference).unwrap(), reference);
        }
        let refused = read("n1:3000", "n1:3000/shop/web:2").unwrap_err().to_string();
        assert!(refused.contains("has no shop/web:2"), "{refused}");
    }
}
