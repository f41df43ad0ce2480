//! Links that are cut, by rules of the machines' router.

use crate::GroundError;
use crate::chaos::Field;

/// Cuts these nodes off from the others.
pub(super) async fn isolate(field: &Field, nodes: &[usize]) -> Result<(), GroundError> {
    let others: Vec<usize> = (1..=field.nodes).filter(|node| !nodes.contains(node)).collect();
    field.ground.partition(&[nodes, &others]).await?;
    Ok(())
}

/// Leaves every node only its two neighbours.
pub(super) async fn ring(field: &Field) -> Result<(), GroundError> {
    for (from, to) in strangers(field.nodes) {
        field.ground.cut(from, to).await?;
    }
    Ok(())
}

/// Loses what the first of them sends to the second.
pub(super) async fn one_way(field: &Field, nodes: &[usize]) -> Result<(), GroundError> {
    if let [from, to, ..] = nodes {
        field.ground.cut(*from, *to).await?;
    }
    Ok(())
}

/// Loses what clients send to these nodes.
pub(super) async fn client_side(field: &Field, nodes: &[usize]) -> Result<(), GroundError> {
    for &node in nodes {
        field.ground.cut_clients(node).await?;
    }
    Ok(())
}

/// All pairs, in both directions, that are not neighbours in a ring of so many.
fn strangers(nodes: usize) -> Vec<(usize, usize)> {
    let is_stranger = |from: usize, to: usize| {
        let apart = from.abs_diff(to);
        apart > 1 && apart < nodes - 1
    };
    let pairs = (1..=nodes).flat_map(|from| (1..=nodes).map(move |to| (from, to)));
    pairs.filter(|&(from, to)| is_stranger(from, to)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_keeps_two_neighbours() {
        assert_eq!(strangers(3), []);
        assert_eq!(strangers(4), [(1, 3), (2, 4), (3, 1), (4, 2)]);
        for node in 1..=5 {
            let lost = strangers(5).iter().filter(|(from, _)| *from == node).count();
            assert_eq!(lost, 2, "of four others");
        }
    }
}
