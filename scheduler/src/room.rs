//! What replicas ask of their nodes, and what nodes have for them. Pure.
//!
//! A replica's resources are limits: what it may use at worst, for a moment. What its node holds ready for it is a part of
//! that, see `docs/decisions/016`.

use std::ops::{AddAssign, Sub};

use temps_state::{Capacity, Resources};

/// A replica asks for one part in so many of the processors that it may use.
pub const CPU_ASKED_PART: u32 = 20;
/// A replica asks for one part in so many of the memory that it may use.
pub const MEMORY_ASKED_PART: u32 = 4;
/// What a replica asks for at least: no process lives in less.
pub const MEMORY_ASKED_MIN_MIB: u64 = 16;
/// A node keeps one part in so many of its memory for itself: the system, the engine and Temps.
pub const MEMORY_KEPT_BACK_PART: u64 = 8;
/// The least that a node keeps back.
pub const MEMORY_KEPT_BACK_MIN_MIB: u64 = 128;
/// The most that a node keeps back.
pub const MEMORY_KEPT_BACK_MAX_MIB: u64 = 1_024;

/// Processors and memory that are asked for, taken or free.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Room {
    /// Thousandths of a processor.
    pub cpu_millis: u64,
    /// Mebibytes of memory.
    pub memory_mib: u64,
}

impl Room {
    /// What a replica of these limits uses at worst.
    pub fn used(limits: Resources) -> Self {
        Self { cpu_millis: limits.cpu_millis.into(), memory_mib: limits.memory_mib.into() }
    }

    /// What a replica of these limits asks for.
    pub fn asked(limits: Resources) -> Self {
        let memory_mib = u64::from(limits.memory_mib.div_ceil(MEMORY_ASKED_PART));
        Self {
            cpu_millis: u64::from(limits.cpu_millis.div_ceil(CPU_ASKED_PART)),
            memory_mib: memory_mib.max(MEMORY_ASKED_MIN_MIB),
        }
    }

    /// What a node has for all its replicas together. A capacity of 0 is not known, and holds nothing back.
    pub fn offered(capacity: Capacity) -> Self {
        let for_itself = (capacity.memory_mib / MEMORY_KEPT_BACK_PART)
            .clamp(MEMORY_KEPT_BACK_MIN_MIB, MEMORY_KEPT_BACK_MAX_MIB);
        Self {
            cpu_millis: known(capacity.cpu_millis),
            memory_mib: known(capacity.memory_mib).saturating_sub(for_itself),
        }
    }

    /// Whether all of `other` is in it.
    pub fn holds(self, other: Self) -> bool {
        other.cpu_millis <= self.cpu_millis && other.memory_mib <= self.memory_mib
    }

    /// How much of `all` it is, in thousandths: of the processors, and of the memory.
    pub fn shares_of(self, all: Self) -> (u64, u64) {
        let share = |part: u64, all: u64| part.saturating_mul(1_000).checked_div(all).unwrap_or(0);
        (share(self.cpu_millis, all.cpu_millis), share(self.memory_mib, all.memory_mib))
    }
}

/// What a node has for one replica alone. The engine takes no container that may use more processors than there are, and
/// one that may use more memory could take the node down by itself.
pub fn at_worst(capacity: Capacity) -> Room {
    Room { cpu_millis: known(capacity.cpu_millis), memory_mib: known(capacity.memory_mib) }
}

fn known(capacity: u64) -> u64 {
    if capacity == 0 { u64::MAX } else { capacity }
}

impl AddAssign for Room {
    fn add_assign(&mut self, other: Self) {
        self.cpu_millis = self.cpu_millis.saturating_add(other.cpu_millis);
        self.memory_mib = self.memory_mib.saturating_add(other.memory_mib);
    }
}

/// What is left; nothing where more is taken than there is.
impl Sub for Room {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            cpu_millis: self.cpu_millis.saturating_sub(other.cpu_millis),
            memory_mib: self.memory_mib.saturating_sub(other.memory_mib),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_asks_for_a_part_of_what_it_may_use() {
        for (cpu_millis, memory_mib, asked) in [
            (1_000, 512, (50, 128)),
            (500, 2_048, (25, 512)),
            (4_000, 16, (200, 16)),
            (10, 17, (1, 16)),
        ] {
            let limits = Resources { cpu_millis, memory_mib, ..Resources::default() };
            let room = Room::asked(limits);
            assert_eq!((room.cpu_millis, room.memory_mib), asked, "{limits:?}");
        }
    }

    #[test]
    fn a_node_keeps_something_for_itself() {
        for (has, offers) in
            [(512, 384), (970, 842), (2_048, 1_792), (8_192, 7_168), (65_536, 64_512)]
        {
            let capacity = Capacity { cpu_millis: 2_000, memory_mib: has };
            assert_eq!(Room::offered(capacity), Room { cpu_millis: 2_000, memory_mib: offers });
        }
        let unknown = Room::offered(Capacity::default());
        assert!(unknown.holds(Room { cpu_millis: 1 << 40, memory_mib: 1 << 40 }));
        assert_eq!(Room { cpu_millis: 9, memory_mib: 9 }.shares_of(unknown), (0, 0));
    }

    #[test]
    fn one_replica_is_no_larger_than_its_node() {
        let capacity = Capacity { cpu_millis: 1_000, memory_mib: 512 };
        for (cpu_millis, memory_mib, fits) in
            [(1_000, 512, true), (1_001, 512, false), (1_000, 513, false)]
        {
            let limits = Resources { cpu_millis, memory_mib, ..Resources::default() };
            assert_eq!(at_worst(capacity).holds(Room::used(limits)), fits, "{limits:?}");
            assert!(at_worst(Capacity::default()).holds(Room::used(limits)));
        }
    }
}
