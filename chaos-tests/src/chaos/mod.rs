//! Real clusters that are broken on purpose while clients use them: a plan, faults, workloads, and the run that brings
//! them together. What comes of it is a history; `check` judges it and `page` shows it.

mod chance;
mod converge;
mod error;
mod field;
mod files;
mod lacks;
mod nemesis;
mod periods;
mod plan;
mod progress;
mod run;
mod watch;
mod workload;

pub use chance::Chance;
pub use error::ChaosError;
pub use field::Field;
pub use files::{conclude, conclusion};
pub use plan::{Period, Plan, Planned};
pub use run::{Run, run};
pub use workload::WorkloadKind;

use workload::APPS;
