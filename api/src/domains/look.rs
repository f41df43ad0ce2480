//! What the nodes see of a domain, now: each looks for itself, all at once.

use std::net::IpAddr;
use std::time::Duration;

use axum::Json as Out;
use axum::extract::{Path, State};
use axum::http::uri::PathAndQuery;
use futures::future::BoxFuture;
use futures::{StreamExt, stream};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use temps_raft::ProposeError;
use temps_state::{Domain, DomainName, NodeId, Rejected};
use tokio::time::timeout;
use utoipa::ToSchema;

use super::shown::{DomainOut, Gallery};
use super::{find, row};
use crate::ApiError;
use crate::auth::{MayRead, MayWrite};
use crate::consistency::Seen;
use crate::context::{Context, Shared};
use crate::error::chain;
use crate::relay;

/// How long a node may look: it asks the DNS, and then whatever answers at the addresses.
pub const LOOK_WITHIN: Duration = Duration::from_secs(10);
/// How many nodes look at once.
const LOOKING_AT_ONCE: usize = 64;
/// Where nodes ask each other.
pub(crate) const PATH: &str = "/internal/domains/{domain}/look";

/// Looks at domains from this node.
pub trait DomainLook: Send + Sync + 'static {
    /// What this node sees of a domain that the cluster's state has. It comes about within [`LOOK_WITHIN`], or is given up.
    fn look(&self, name: DomainName) -> BoxFuture<'_, DomainSeen>;
}

/// What a node sees of a domain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainSeen {
    /// Why the name's addresses could not be had.
    pub problem: Option<String>,
    /// Where the name leads.
    pub addresses: Vec<AddressSeen>,
    /// The texts at the name that proves whose it is.
    pub txt: Vec<String>,
    /// How often this node's edge refused a handshake for it.
    pub refused: Option<RefusedSeen>,
    /// Until when the certificate is valid that this node's edge shows for it.
    pub certificate: Option<Timestamp>,
}

/// An address that a name leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = DomainAddress)]
pub struct AddressSeen {
    /// The address.
    #[schema(value_type = String)]
    pub address: IpAddr,
    /// Whether this cluster answers there for the name.
    pub leads_here: bool,
    /// Why it does not, in words.
    pub why: Option<String>,
}

/// Handshakes that an edge refused, for want of a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = RefusedHandshakes)]
pub struct RefusedSeen {
    /// How many.
    pub count: u64,
    /// When the last one was.
    pub last: Timestamp,
}

/// What a node sees of a domain.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DomainLook)]
pub struct LookOut {
    /// The node.
    #[schema(value_type = u64)]
    pub node: NodeId,
    /// What people call it.
    pub name: String,
    /// Whether the node told what it sees.
    pub answered: bool,
    /// Why it did not, or why it has no addresses of the name.
    pub problem: Option<String>,
    /// Where the name leads.
    pub addresses: Vec<AddressSeen>,
    /// The texts at the name that proves whose it is.
    pub txt: Vec<String>,
    /// Handshakes for it that the node's edge refused since it started; null when none.
    pub refused: Option<RefusedSeen>,
    /// Until when the certificate is valid that the node's edge shows for it; null when it shows none.
    pub certificate: Option<Timestamp>,
}

/// What came of looking whether a name leads to this cluster.
#[derive(Debug, Serialize, ToSchema)]
pub struct DomainVerification {
    /// Whether the proof was seen just now.
    pub proven: bool,
    /// The domain after that.
    pub domain: DomainOut,
    /// What the node sees that looked.
    pub look: LookOut,
}

impl DomainSeen {
    /// Nothing, and why.
    pub fn problem(why: String) -> Self {
        Self { problem: Some(why), ..Self::default() }
    }

    /// Whether it shows that the domain is this cluster's.
    pub fn proves(&self, domain: &Domain) -> bool {
        domain.is_proven(self.addresses.iter().any(|seen| seen.leads_here), &self.txt)
    }
}

impl LookOut {
    fn new(node: NodeId, name: String, seen: Result<DomainSeen, ApiError>) -> Self {
        let answered = seen.is_ok();
        let seen = seen.unwrap_or_else(|error| DomainSeen::problem(unanswered(&error)));
        let DomainSeen { problem, addresses, txt, refused, certificate } = seen;
        Self { node, name, answered, problem, addresses, txt, refused, certificate }
    }
}

fn unanswered(error: &ApiError) -> String {
    match error {
        ApiError::NodeUnreachable { source, .. } => {
            format!("it does not answer: {}", chain(source))
        }
        error => chain(error),
    }
}

/// What each node sees of a domain now: where the name leads, and which certificate its edge shows.
#[utoipa::path(
    get, path = "/api/domains/{domain}/look", tag = "domains",
    responses((status = 200, body = Vec<LookOut>))
)]
pub(crate) async fn look(
    State(context): State<Shared>,
    MayRead(_): MayRead,
    Path(name): Path<String>,
    Seen(state): Seen,
) -> Result<Out<Vec<LookOut>>, ApiError> {
    let name = &find(&state, &name)?.name;
    let _slot = context.body_slot()?;
    let context = &context;
    let nodes: Vec<_> = state.nodes.values().map(|node| (node.id, node.name.clone())).collect();
    let looks = stream::iter(nodes).map(|(id, called)| async move {
        LookOut::new(id, called, look_from(context, id, name).await)
    });
    Ok(Out(looks.buffered(LOOKING_AT_ONCE).collect().await))
}

/// Looks whether the name leads to this cluster, from the node that answers. Once that is seen, a certificate is asked for.
#[utoipa::path(
    post, path = "/api/domains/{domain}/verify", tag = "domains",
    responses((status = 200, body = DomainVerification))
)]
pub(crate) async fn verify(
    State(context): State<Shared>,
    MayWrite(caller): MayWrite,
    Path(name): Path<String>,
) -> Result<Out<DomainVerification>, ApiError> {
    let mut state = context.cluster.read_latest().await?;
    let domain = find(&state, &name)?.clone();
    let _slot = context.body_slot()?;
    let seen = look_here(&context, domain.name.clone()).await?;
    let proven = seen.proves(&domain);
    if proven {
        state = context.cluster.read_latest().await?;
        let found = state.verification_of(&domain);
        let (command, condition) = found.ok_or_else(|| gone(&domain))?;
        let mut proposal = caller.asks(command);
        proposal.condition = Some(condition);
        state = context.change(proposal).await?.1;
    }
    let node = context.cluster.node_id();
    let called = state.nodes.get(&node).map(|node| node.name.clone()).unwrap_or_default();
    let shown = Gallery::of(&state).show(find(&state, &name)?);
    let domain = shown.ok_or_else(|| ApiError::not_found("domain", &name))?;
    Ok(Out(DomainVerification { proven, domain, look: LookOut::new(node, called, Ok(seen)) }))
}

/// The domain that was looked at is not there any more, and perhaps another one at its name.
fn gone(domain: &Domain) -> ApiError {
    ProposeError::Rejected(Rejected::Changed { row: row(&domain.name) }).into()
}

fn given_up() -> String {
    format!("looking took longer than {} seconds", LOOK_WITHIN.as_secs())
}

/// Tells another node what this one sees.
pub(crate) async fn tell(
    State(context): State<Shared>,
    Path(name): Path<String>,
) -> Result<Out<DomainSeen>, ApiError> {
    // A domain that was just added may not have come here yet; without a quorum, what is here is all there is.
    let newest = context.cluster.read_latest().await;
    let state = newest.unwrap_or_else(|_| context.cluster.state());
    let name = find(&state, &name)?.name.clone();
    let _slot = context.body_slot()?;
    Ok(Out(look_here(&context, name).await?))
}

async fn look_from(
    context: &Context,
    node: NodeId,
    name: &DomainName,
) -> Result<DomainSeen, ApiError> {
    if node == context.cluster.node_id() {
        return look_here(context, name.clone()).await;
    }
    let path = PATH.replace("{domain}", &name.as_str().replace('*', "%2A"));
    let path: PathAndQuery = path.parse().expect("names are letters, digits, `-` and `.`");
    // The other node has given up by then, and says so.
    let within = LOOK_WITHIN + Duration::from_secs(1);
    relay::value(context, node, relay::internal(path), within).await
}

async fn look_here(context: &Context, name: DomainName) -> Result<DomainSeen, ApiError> {
    let looks = context.domain_look.as_ref().ok_or_else(|| ApiError::Conflict {
        code: "no_look",
        why: "this node looks at no domains".into(),
        hint: "ask another node: `temps nodes list` shows them",
    })?;
    let seen = timeout(LOOK_WITHIN, looks.look(name)).await;
    Ok(seen.unwrap_or_else(|_| DomainSeen::problem(given_up())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domains::fixtures::domain;

    #[test]
    fn a_name_is_proven_by_what_answers_there_and_a_wildcard_by_its_text() {
        let leads = |leads_here| AddressSeen {
            address: "203.0.113.7".parse().unwrap(),
            leads_here,
            why: None,
        };
        for (name, addresses, txt, wanted) in [
            ("example.com", vec![], vec![], false),
            ("example.com", vec![leads(false)], vec!["other"], false),
            ("example.com", vec![leads(false), leads(true)], vec![], true),
            ("example.com", vec![], vec!["other", "pr00f"], true),
            ("*.example.com", vec![leads(true)], vec![], false),
            ("*.example.com", vec![], vec!["pr00f"], true),
        ] {
            let txt = txt.into_iter().map(String::from).collect();
            let seen = DomainSeen { addresses, txt, ..Default::default() };
            assert_eq!(seen.proves(&domain(name)), wanted, "{name}: {seen:?}");
        }
    }
}
