//! What a deployment is told whose replicas have no place: what is lacking, on how many nodes, and what to do. Pure.

use temps_state::{Failure, FailureCode, Resources};

use crate::room::{CPU_ASKED_PART, MEMORY_ASKED_PART, Room};

/// Why a node takes no more replicas of a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// It is lost, draining or still joining.
    Away,
    /// One replica may use more memory than it has in all.
    MemoryInAll,
    /// One replica may use more processors than it has in all.
    CpuInAll,
    /// Too little memory is left: so much.
    Memory(u64),
    /// Too little of its processors is left: so much.
    Cpu(u64),
}

/// Why none of the nodes that would suit takes more replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortage {
    /// How many replicas have no place.
    pub missing: usize,
    /// What each may use.
    pub limits: Resources,
    /// Why each of the nodes takes none.
    pub lacks: Vec<Lack>,
}

impl Shortage {
    /// What the deployment fails with. `on` says which nodes are meant, such as ` with the label disk=ssd`.
    pub fn failure(&self, on: &str) -> Failure {
        let Self { missing, limits, lacks } = self;
        let asked = Room::asked(*limits);
        let plural = if *missing == 1 { "replica has" } else { "replicas have" };
        Failure {
            code: FailureCode::StartFailed,
            message: format!(
                "{missing} {plural} no place, each of which asks for {} MiB of memory and {} processors: of {} \
                 node{}{on}, {}",
                asked.memory_mib,
                processors(asked.cpu_millis),
                lacks.len(),
                if lacks.len() == 1 { "" } else { "s" },
                self.reasons().join(", "),
            ),
            hint: self.hint(),
            log_tail: vec![],
        }
    }

    fn reasons(&self) -> Vec<String> {
        let Resources { cpu_millis, memory_mib, .. } = self.limits;
        let memory = self.lacks.iter().filter_map(|lack| match lack {
            Lack::Memory(left) => Some(*left),
            _ => None,
        });
        let cpu = self.lacks.iter().filter_map(|lack| match lack {
            Lack::Cpu(left) => Some(*left),
            _ => None,
        });
        let count = |lack| self.lacks.iter().filter(|one| **one == lack).count();
        let away = count(Lack::Away);
        let most = |left: u64| format!("at most {left} MiB");
        [
            told(memory.clone().count(), || {
                format!("too little memory left ({})", most(memory.max().unwrap_or(0)))
            }),
            told(cpu.clone().count(), || {
                let left = processors(cpu.max().unwrap_or(0));
                format!("too little of the processors left (at most {left})")
            }),
            told(count(Lack::MemoryInAll), || {
                format!("less memory in all than the {memory_mib} MiB that one may use")
            }),
            told(count(Lack::CpuInAll), || {
                let may = processors(cpu_millis.into());
                format!("fewer processors in all than the {may} that one may use")
            }),
            (away > 0).then(|| format!("{away} lost, draining or joining")),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn hint(&self) -> String {
        let has = |test: fn(&Lack) -> bool| self.lacks.iter().any(test);
        let lower = if has(|lack| matches!(lack, Lack::Memory(_))) {
            format!(
                "lower `resources.memory` in temps.json, of which 1/{MEMORY_ASKED_PART} is asked for, or the number of replicas"
            )
        } else if has(|lack| matches!(lack, Lack::Cpu(_))) {
            format!(
                "lower `resources.cpu` in temps.json, of which 1/{CPU_ASKED_PART} is asked for, or the number of replicas"
            )
        } else if has(|lack| *lack == Lack::MemoryInAll) {
            "lower `resources.memory` in temps.json to what a node has: `temps nodes list` shows it"
                .into()
        } else if has(|lack| *lack == Lack::CpuInAll) {
            "lower `resources.cpu` in temps.json to what a node has: `temps nodes list` shows it"
                .into()
        } else {
            return "bring a node back: `temps nodes list` shows where they stand, `temps nodes undrain` takes one into service again".into();
        };
        format!("{lower}; delete what is not needed; or add a node: `temps nodes token`")
    }
}

fn told(count: usize, what: impl FnOnce() -> String) -> Option<String> {
    let verb = if count == 1 { "has" } else { "have" };
    (count > 0).then(|| format!("{count} {verb} {}", what()))
}

/// `0.05` of 50 thousandths.
fn processors(millis: u64) -> String {
    let text = format!("{}.{:03}", millis / 1_000, millis % 1_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(missing: usize, lacks: &[Lack]) -> (String, String) {
        let shortage = Shortage { missing, limits: Resources::default(), lacks: lacks.to_vec() };
        let Failure { message, hint, .. } = shortage.failure("");
        (message, hint)
    }

    #[test]
    fn it_is_said_what_is_lacking_on_how_many_nodes_and_what_to_do() {
        let each = "each of which asks for 128 MiB of memory and 0.05 processors: of ";
        let (message, hint) = told(
            2,
            &[Lack::Memory(40), Lack::Away, Lack::Memory(100), Lack::Cpu(20), Lack::MemoryInAll],
        );
        let said = "5 nodes, 2 have too little memory left (at most 100 MiB), 1 has too little of the processors left \
                    (at most 0.02), 1 has less memory in all than the 512 MiB that one may use, 1 lost, draining \
                    or joining";
        assert_eq!(message, format!("2 replicas have no place, {each}{said}"));
        assert!(hint.starts_with("lower `resources.memory` in temps.json, of which 1/4"), "{hint}");
        for (lack, said, hinted) in [
            (
                Lack::Cpu(0),
                "1 has too little of the processors left (at most 0)",
                "`resources.cpu`",
            ),
            (
                Lack::MemoryInAll,
                "1 has less memory in all than the 512 MiB",
                "lower `resources.memory` in",
            ),
            (
                Lack::CpuInAll,
                "1 has fewer processors in all than the 1 that",
                "lower `resources.cpu` in",
            ),
            (Lack::Away, "1 lost, draining or joining", "temps nodes undrain"),
        ] {
            let (message, hint) = told(1, &[lack]);
            assert!(
                message.starts_with(&format!("1 replica has no place, {each}1 node, {said}")),
                "{message}"
            );
            assert!(hint.contains(hinted), "{hint}");
        }
    }
}
