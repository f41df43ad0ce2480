//! What breaks a cluster: a file for each way to do it, with what makes it and what undoes it, and one for what proves that
//! it did something.

mod authority;
mod clocks;
mod damage;
mod disks;
mod engines;
mod fabric;
mod links;
mod members;
mod processes;
mod proof;
mod snapshots;
mod upgrade;

use crate::GroundError;
use crate::chaos::Field;
use crate::chaos::chance::Chance;
use crate::disk::Order;
use crate::history::FaultKind;

pub(super) use proof::prove;

/// Who makes faults, by lot.
pub(super) struct Nemesis<'a> {
    pub field: &'a Field,
    pub chance: &'a mut Chance,
    /// Who leads, if that is known.
    pub leader: Option<usize>,
}

/// Why a fault cannot be made as things are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nobody leads")]
pub(super) struct NobodyLeads;

impl Nemesis<'_> {
    /// The nodes that a fault of this kind will touch.
    pub fn victims(&mut self, kind: FaultKind) -> Result<Vec<usize>, NobodyLeads> {
        let all: Vec<usize> = (1..=self.field.nodes).collect();
        let leader = self.leader.ok_or(NobodyLeads);
        let any = self.chance.pick(&all).copied().unwrap_or(1);
        Ok(match kind {
            FaultKind::KillLeader | FaultKind::PauseLeader | FaultKind::LeaderAlone => {
                vec![leader?]
            }
            FaultKind::KillAll
            | FaultKind::Upgrade
            | FaultKind::Ring
            | FaultKind::Loss
            | FaultKind::Delay
            | FaultKind::Duplication
            | FaultKind::Reorder
            | FaultKind::AuthorityAway
            | FaultKind::AuthorityHangs
            | FaultKind::AuthorityFails
            | FaultKind::LostWrites
            | FaultKind::TornWrites => all,
            FaultKind::Halves | FaultKind::BitFlip | FaultKind::Truncation => {
                let mut minority = all;
                self.chance.shuffle(&mut minority);
                minority.truncate((self.field.nodes - 1) / 2);
                minority
            }
            FaultKind::OneWay => {
                let mut pair = all;
                self.chance.shuffle(&mut pair);
                pair.truncate(2);
                pair
            }
            _ => vec![any],
        })
    }
}

/// Makes a fault at these nodes.
pub(super) async fn make(
    field: &Field,
    kind: FaultKind,
    nodes: &[usize],
) -> Result<(), GroundError> {
    match kind {
        FaultKind::KillOne | FaultKind::KillLeader | FaultKind::KillAll => {
            processes::kill(field, nodes).await
        }
        FaultKind::KillInSnapshot => snapshots::kill(field, nodes).await,
        FaultKind::PauseOne | FaultKind::PauseLeader => processes::pause(field, nodes).await,
        FaultKind::PowerOff => processes::power_off(field, nodes).await,
        FaultKind::Halves | FaultKind::LeaderAlone => links::isolate(field, nodes).await,
        FaultKind::Ring => links::ring(field).await,
        FaultKind::OneWay => links::one_way(field, nodes).await,
        FaultKind::ClientSide => links::client_side(field, nodes).await,
        FaultKind::Loss => fabric::lose(field).await,
        FaultKind::Delay => fabric::delay(field).await,
        FaultKind::Duplication => fabric::double(field).await,
        FaultKind::Reorder => fabric::reorder(field).await,
        FaultKind::ClockAhead => clocks::set(field, nodes, clocks::AHEAD),
        FaultKind::ClockBehind => clocks::set(field, nodes, clocks::BEHIND),
        FaultKind::AuthorityAway => authority::go_away(field).await,
        FaultKind::AuthorityHangs => authority::hang(field).await,
        FaultKind::AuthorityFails => authority::fail(field).await,
        FaultKind::PauseEngine => engines::pause(field, nodes).await,
        FaultKind::KillEngine => engines::kill(field, nodes).await,
        FaultKind::Upgrade => upgrade::roll(field).await,
        FaultKind::Drain => members::drain(field, nodes).await,
        FaultKind::Replace => members::lose(field, nodes).await,
        FaultKind::ReplaceCutOff => members::lose_cut_off(field, nodes).await,
        FaultKind::SyncOnce => disks::fail_syncs(field, nodes, Order::FailSyncOnce).await,
        FaultKind::SyncAlways => disks::fail_syncs(field, nodes, Order::FailSyncs).await,
        FaultKind::DiskFull => disks::fill(field, nodes).await,
        FaultKind::LostWrites => disks::lose(field, nodes).await,
        FaultKind::TornWrites => disks::tear(field, nodes).await,
        FaultKind::BitFlip => damage::make(field, nodes, damage::turn_a_bit).await,
        FaultKind::Truncation => damage::make(field, nodes, damage::cut_short).await,
    }
}

/// Undoes a fault; returns when its nodes are ready again, and which of them are others than before.
pub(super) async fn undo(
    field: &Field,
    kind: FaultKind,
    nodes: &[usize],
) -> Result<Vec<usize>, GroundError> {
    match kind {
        FaultKind::BitFlip | FaultKind::Truncation => return damage::undo(field, nodes).await,
        FaultKind::KillOne | FaultKind::KillLeader | FaultKind::KillAll => {
            processes::start(field, nodes).await
        }
        FaultKind::PauseOne | FaultKind::PauseLeader => processes::resume(field, nodes).await,
        FaultKind::PowerOff => processes::power_on(field, nodes).await,
        FaultKind::Halves
        | FaultKind::LeaderAlone
        | FaultKind::Ring
        | FaultKind::OneWay
        | FaultKind::ClientSide
        | FaultKind::Loss
        | FaultKind::Delay
        | FaultKind::Duplication
        | FaultKind::Reorder => field.ground.heal().await,
        FaultKind::ClockAhead | FaultKind::ClockBehind => clocks::set(field, nodes, clocks::RIGHT),
        FaultKind::AuthorityAway | FaultKind::AuthorityFails => authority::come_back(field).await,
        FaultKind::AuthorityHangs => authority::go_on(field).await,
        FaultKind::PauseEngine => engines::resume(field, nodes).await,
        FaultKind::KillEngine => engines::start(field, nodes).await,
        // Nobody goes back to the program before.
        FaultKind::Upgrade => Ok(()),
        FaultKind::Drain => members::undrain(field, nodes).await,
        FaultKind::ReplaceCutOff => {
            return members::join_cut_off(field, nodes).await.map(|()| nodes.to_vec());
        }
        FaultKind::Replace => {
            return members::join(field, nodes).await.map(|()| nodes.to_vec());
        }
        FaultKind::SyncOnce | FaultKind::SyncAlways => disks::heal_syncs(field, nodes).await,
        FaultKind::KillInSnapshot | FaultKind::DiskFull => disks::heal(field, nodes).await,
        FaultKind::LostWrites | FaultKind::TornWrites => disks::start(field, nodes).await,
    }
    .map(|()| Vec::new())
}
