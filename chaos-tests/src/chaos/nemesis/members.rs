//! Nodes that are drained, and nodes that are lost for ever and replaced by empty ones.

use std::time::Duration;

use reqwest::Method;
use tokio::time::timeout;

use super::damage;
use crate::chaos::Field;
use crate::wait::until;
use crate::{Client, GroundError};

/// How long the others may take to do something about a member.
const PATIENCE: Duration = Duration::from_secs(45);

/// Drains these nodes: they give away what they run, and the lead.
pub(super) async fn drain(field: &Field, nodes: &[usize]) -> Result<(), GroundError> {
    for &node in nodes {
        told(field, Method::POST, &format!("/nodes/n{node}/drain"), &[]).await?;
    }
    Ok(())
}

/// Gives them work again.
pub(super) async fn undrain(field: &Field, nodes: &[usize]) -> Result<(), GroundError> {
    for &node in nodes {
        told(field, Method::POST, &format!("/nodes/n{node}/undrain"), &[]).await?;
    }
    Ok(())
}

/// Ends these nodes, and removes them from the cluster.
pub(super) async fn lose(field: &Field, nodes: &[usize]) -> Result<(), GroundError> {
    for &node in nodes {
        field.ground.node(node).kill9().await?;
        remove(field, node, nodes).await?;
    }
    Ok(())
}

/// The same, and cuts their places off from one of the others, which does not lead.
pub(super) async fn lose_cut_off(field: &Field, nodes: &[usize]) -> Result<(), GroundError> {
    for &node in nodes {
        field.ground.node(node).kill9().await?;
        let mut leader = None;
        until("the others have a leader", PATIENCE, async || {
            leader = damage::agreed(field, nodes).await.map(|(leader, ..)| leader);
            leader.is_some()
        })
        .await?;
        let follower = others(field, nodes).into_iter().find(|other| Some(*other) != leader);
        if let Some(other) = follower {
            field.ground.cut(node, other).await?;
            field.ground.cut(other, node).await?;
        }
        remove(field, node, nodes).await?;
    }
    Ok(())
}

/// Others take their places while they are cut off, and are no longer. Should a node lead meanwhile that they do not reach,
/// they get in once they reach it.
pub(super) async fn join_cut_off(field: &Field, nodes: &[usize]) -> Result<(), GroundError> {
    let joined = timeout(PATIENCE, join(field, nodes)).await;
    field.ground.heal().await?;
    match joined {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => join(field, nodes).await,
    }
}

/// Removes a node that has ended, as these have.
pub(super) async fn remove(field: &Field, node: usize, gone: &[usize]) -> Result<(), GroundError> {
    told(field, Method::DELETE, &format!("/nodes/n{node}"), gone).await
}

/// Others take their places, with empty disks and ids of their own.
pub(super) async fn join(field: &Field, nodes: &[usize]) -> Result<(), GroundError> {
    for &node in nodes {
        let fresh = field.ground.node(node);
        // One that did not get in in time runs still.
        if fresh.runs().await {
            fresh.kill9().await?;
        }
        // A removal that nobody acknowledged may still be to come.
        if is_member(field, node, nodes).await {
            fresh.start().await?;
            continue;
        }
        fresh.wipe()?;
        join_by_any(field, node, nodes).await?;
    }
    Ok(())
}

/// Has one of the others let a machine in: one whose clock is wrong, or that is cut off, lets nobody in.
async fn join_by_any(field: &Field, node: usize, gone: &[usize]) -> Result<(), GroundError> {
    let fresh = field.ground.node(node);
    let token = field.ground.token().await?;
    let mut refused = GroundError::NobodyToJoin { node };
    for other in others(field, gone) {
        let member = field.ground.node(other);
        if !member.runs().await {
            continue;
        }
        let Err(error) = fresh.join(member.peer(), &token).await else { return Ok(()) };
        if fresh.runs().await || is_member(field, node, gone).await {
            return Err(error);
        }
        refused = error;
    }
    Err(refused)
}

/// Whether the others know a node of that name.
async fn is_member(field: &Field, node: usize, gone: &[usize]) -> bool {
    let name = format!("n{node}");
    for asked in others(field, gone) {
        let names = Client::names(&field.client, asked).await;
        if !names.is_empty() {
            return names.iter().any(|(_, known)| *known == name);
        }
    }
    true
}

fn others(field: &Field, gone: &[usize]) -> Vec<usize> {
    (1..=field.nodes).filter(|node| !gone.contains(node)).collect()
}

/// Has one of the nodes that are there take a change, whichever does.
async fn told(
    field: &Field,
    method: Method,
    path: &str,
    gone: &[usize],
) -> Result<(), GroundError> {
    until(&format!("{method} {path} is done"), PATIENCE, async || {
        for node in others(field, gone) {
            let request = crate::client::Request::new(node, method.clone(), path);
            let request = crate::client::Request { within: Duration::from_secs(5), ..request };
            // One that took effect unseen is refused as not found, which is as good.
            if let Ok(answer) = field.client.send(request).await
                && (answer.is_success() || answer.status == 404)
            {
                return true;
            }
        }
        false
    })
    .await
    .map(drop)
}
