//! What happened in a run, as its clients and its faults tell it: one line of JSON for each event, in a file that anybody
//! can check again.
//!
//! ```text
//! {"t_ns":81,"type":"invoke","proc":4,"node":2,"f":"write","k":"r0","v":17}
//! {"t_ns":95,"type":"ok","proc":4,"node":2,"f":"write","k":"r0","v":17,"rev":211}
//! {"t_ns":99,"type":"installed","f":"kill-leader","fault":3,"nodes":[2]}
//! ```

mod event;
mod fault;
mod op;
mod operation;
mod reader;
mod recorder;
mod sight;

pub use event::{Ending, Event, Moment, Process, Setup, Step, What};
pub use fault::{Fault, FaultKind, Need, Place};
pub use op::{Op, Values};
pub use operation::{CHANGED, History, Operation, Outcome, TAKEN, Trouble, is_refusal, life};
pub use reader::{HistoryError, read, read_file};
pub use recorder::{Counts, Done, Hand, Recorder, Recording};
pub use sight::{EdgeSight, ReplicaSight, Sight};
