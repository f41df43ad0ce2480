//! Who should vote. Pure: from the nodes of the state, the members of the group and who is reachable, the next step.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use temps_state::{NodeId, Standing};

use crate::cluster::quorum::majority;

#[cfg(test)]
mod tests;

/// The most voters.
pub const VOTERS_MAX: usize = 5;
/// How long a voter may be lost before another node takes its place.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long an admitted node may take until it runs.
const JOINING_MAX: Duration = Duration::from_secs(15 * 60);

/// What there is.
#[derive(Debug, Clone)]
pub struct View {
    /// The leader.
    pub leader: NodeId,
    /// Whether a change of voters is half done.
    pub is_joint: bool,
    /// Who votes.
    pub voters: BTreeSet<NodeId>,
    /// Who follows without a vote.
    pub learners: BTreeSet<NodeId>,
    /// The nodes of the state.
    pub nodes: Vec<NodeView>,
}

/// A node of the state.
#[derive(Debug, Clone)]
pub struct NodeView {
    /// Which node.
    pub id: NodeId,
    /// Where it is.
    pub address: Option<SocketAddr>,
    /// How far it takes part.
    pub standing: Standing,
    /// Whether it drains, and replicas of it serve still or end what they serve.
    pub serves: bool,
    /// How long it has been a node.
    pub age: Duration,
    /// For how long it has been lost, if it is.
    pub lost: Option<Duration>,
    /// Whether its log is nearly as long as the leader's.
    pub caught_up: bool,
    /// Whether its disk has no room for changes. Of others it is asked only where it is so of the leader.
    pub lacks_room: bool,
}

/// A step towards the membership that should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Ends a change of voters that was interrupted.
    Finish,
    /// An admitted node never ran: it goes.
    Expire(NodeId),
    /// Lets a node follow.
    Add(NodeId, SocketAddr),
    /// Gives the votes to these.
    Vote(BTreeSet<NodeId>),
    /// Another voter must lead, because this node drains, is to lose its vote or has no room on its disk.
    HandOver(NodeId),
    /// Lets a node that left the state go.
    Remove(NodeId),
}

/// The next step of a leader that has a quorum; `None` when all is as it should be, or cannot be yet.
pub fn next(view: &View) -> Option<Change> {
    if view.is_joint {
        return Some(Change::Finish);
    }
    // Before the first node has told what it is, there is nothing to go by.
    if view.nodes.is_empty() {
        return None;
    }
    expire(view)
        .or_else(|| add(view))
        .or_else(|| vote(view))
        .or_else(|| remove(view))
        .or_else(|| hand_over(view))
}

fn expire(view: &View) -> Option<Change> {
    let never_ran = |node: &&NodeView| {
        node.standing == Standing::Joining
            && node.age > JOINING_MAX
            && !view.voters.contains(&node.id)
    };
    view.nodes.iter().find(never_ran).map(|node| Change::Expire(node.id))
}

fn add(view: &View) -> Option<Change> {
    let is_member = |id| view.voters.contains(id) || view.learners.contains(id);
    let absent = view.nodes.iter().filter(|node| !is_member(&node.id));
    absent.flat_map(|node| node.address.map(|address| Change::Add(node.id, address))).next()
}

fn vote(view: &View) -> Option<Change> {
    let target = target(view);
    let living = |id: &NodeId| view.nodes.iter().any(|node| node.id == *id && node.lost.is_none());
    let alive = target.iter().filter(|id| living(id)).count();
    if target == view.voters || target.is_empty() || alive < majority(target.len()) {
        return None;
    }
    let successor = target.intersection(&view.voters).find(|id| living(id));
    match successor {
        Some(successor) if !target.contains(&view.leader) => Some(Change::HandOver(*successor)),
        _ => Some(Change::Vote(target)),
    }
}

fn remove(view: &View) -> Option<Change> {
    let is_node = |id: &NodeId| view.nodes.iter().any(|node| node.id == *id);
    view.learners.iter().find(|id| !is_node(id)).copied().map(Change::Remove)
}

/// A leader that drains leads until its replicas are elsewhere, and no longer; one that has no room until it is known who
/// has.
fn hand_over(view: &View) -> Option<Change> {
    let leader = view.nodes.iter().find(|node| node.id == view.leader)?;
    if !is_leaving(view, leader) && !leader.lacks_room {
        return None;
    }
    let may_lead = |node: &&NodeView| {
        view.voters.contains(&node.id)
            && node.lost.is_none()
            && node.standing != Standing::Draining
            && !node.lacks_room
            && node.id != view.leader
    };
    view.nodes.iter().find(may_lead).map(|node| Change::HandOver(node.id))
}

/// Whether others come first: a node that drains, but the leader only once its replicas are elsewhere.
fn is_leaving(view: &View, node: &NodeView) -> bool {
    node.standing == Standing::Draining && !(node.id == view.leader && node.serves)
}

/// Who should vote. A seat goes to whoever is alive and ready, then to whoever drains, and stays with a lost voter only
/// while nobody else can have it; whoever has a seat keeps it before whoever has none.
fn target(view: &View) -> BTreeSet<NodeId> {
    let mut candidates: Vec<_> = view.nodes.iter().filter_map(|node| seat(view, node)).collect();
    candidates.sort();
    let seats = odd(seats(view).min(candidates.len()));
    candidates.into_iter().take(seats).map(|seat| seat.id).collect()
}

/// How good a node is as a voter; the smaller, the better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Seat {
    is_gone: bool,
    is_leaving: bool,
    is_new: bool,
    follows: bool,
    id: NodeId,
}

fn seat(view: &View, node: &NodeView) -> Option<Seat> {
    let votes = view.voters.contains(&node.id);
    let may_begin = node.standing != Standing::Joining
        && node.lost.is_none()
        && node.caught_up
        && view.learners.contains(&node.id);
    (votes || may_begin).then(|| Seat {
        is_gone: is_gone(node),
        is_leaving: is_leaving(view, node),
        is_new: !votes,
        follows: node.id != view.leader,
        id: node.id,
    })
}

/// As many as there are nodes that live. Below three, lost nodes count, too: two that live and one that may come back
/// lose nothing when one of them dies, a single voter loses everything.
fn seats(view: &View) -> usize {
    let nodes = view.nodes.iter().filter(|node| node.standing != Standing::Joining);
    let all = odd(nodes.clone().count().min(VOTERS_MAX));
    let living = odd(nodes.filter(|node| !is_gone(node)).count().min(VOTERS_MAX));
    living.max(all.min(3))
}

fn is_gone(node: &NodeView) -> bool {
    node.lost.is_some_and(|lost| lost >= PATIENCE)
}

/// The largest odd number that is not larger; one for none.
fn odd(number: usize) -> usize {
    number.saturating_sub(1) / 2 * 2 + 1
}
