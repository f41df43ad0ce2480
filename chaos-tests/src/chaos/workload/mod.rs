//! What clients do all the time: a file for each promise. They use nothing but the public API and the edges, ask each
//! thing once, and say honestly what came of it.

mod apps;
mod ask;
mod calls;
mod certificates;
mod names;
mod registers;
mod routes;
mod sets;
mod transactions;
mod variables;

use std::fmt;
use std::str::FromStr;

use tokio::task::JoinSet;

use super::{ChaosError, Field};

pub(crate) use apps::APPS;

/// A kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WorkloadKind {
    /// Registers that are read, set, and compared and set.
    Registers,
    /// Keys that are changed together.
    Transactions,
    /// Sets that grow.
    Sets,
    /// Names that only one can have.
    Names,
    /// Routes that every edge follows.
    Routes,
    /// An app that is deployed and visited.
    Apps,
    /// Names that get certificates.
    Certificates,
}

impl WorkloadKind {
    /// All there are.
    pub const ALL: [Self; 7] = [
        Self::Registers,
        Self::Transactions,
        Self::Sets,
        Self::Names,
        Self::Routes,
        Self::Apps,
        Self::Certificates,
    ];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Registers => "registers",
            Self::Transactions => "transactions",
            Self::Sets => "sets",
            Self::Names => "names",
            Self::Routes => "routes",
            Self::Apps => "apps",
            Self::Certificates => "certificates",
        }
    }
}

impl fmt::Display for WorkloadKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for WorkloadKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|kind| kind.name()).collect();
            format!("there is no workload `{text}`; choose from {}", names.join(", "))
        })
    }
}

/// Work that is under way.
pub(super) enum Workload {
    Registers(registers::Registers),
    Transactions(transactions::Transactions),
    Sets(sets::Sets),
    Names(names::Names),
    Routes(routes::Routes),
    Apps(apps::Apps),
    Certificates(certificates::Certificates),
}

impl Workload {
    /// Makes what it needs, while all is well.
    pub async fn prepare(kind: WorkloadKind, field: &Field) -> Result<Self, ChaosError> {
        Ok(match kind {
            WorkloadKind::Registers => Self::Registers(registers::Registers::default()),
            WorkloadKind::Transactions => Self::Transactions(transactions::Transactions::default()),
            WorkloadKind::Sets => Self::Sets(sets::Sets::default()),
            WorkloadKind::Names => Self::Names(names::Names),
            WorkloadKind::Routes => Self::Routes(routes::Routes::prepare(field).await?),
            WorkloadKind::Apps => Self::Apps(apps::Apps::prepare(field).await?),
            WorkloadKind::Certificates => {
                Self::Certificates(certificates::Certificates::prepare(field).await?)
            }
        })
    }

    /// Begins; everybody ends by themselves once the run is over.
    pub fn begin(&self, field: &Field, workers: &mut JoinSet<()>) {
        match self {
            Self::Registers(work) => work.begin(field, workers),
            Self::Transactions(work) => work.begin(field, workers),
            Self::Sets(work) => work.begin(field, workers),
            Self::Names(work) => work.begin(field, workers),
            Self::Routes(work) => work.begin(field, workers),
            Self::Apps(work) => work.begin(field, workers),
            Self::Certificates(work) => work.begin(field, workers),
        }
    }

    /// Reads everything once more, through every node, when all is well again.
    pub async fn read_all(&self, field: &Field) {
        match self {
            Self::Registers(work) => work.read_all(field).await,
            Self::Transactions(work) => work.read_all(field).await,
            Self::Sets(work) => work.read_all(field).await,
            Self::Names(_) => {}
            Self::Routes(work) => work.read_all(field).await,
            Self::Apps(work) => work.read_all(field).await,
            Self::Certificates(work) => work.read_all(field).await,
        }
    }
}
