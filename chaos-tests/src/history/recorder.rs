//! A history, written while it happens.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::{Event, Moment, Op, Process, Step, What, is_refusal};

/// Events that may wait to be written. Whoever brings more waits, so that none is ever left out.
const WAITING_MAX: usize = 4096;

/// What came of what a process asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// It was done; with what was found.
    Ok {
        /// With what was found.
        op: Op,
        /// The log entry that the node had applied.
        rev: Option<u64>,
    },
    /// It was not done, and will not be.
    Failed(String),
    /// Nobody can say.
    Unknown(String),
}

/// How many operations ended how, until now.
#[derive(Debug, Default)]
pub struct Counts {
    /// With a success.
    pub acknowledged: AtomicU64,
    /// Refused, for a reason that is an answer.
    pub refused: AtomicU64,
    /// Not done.
    pub failed: AtomicU64,
    /// Nobody can say.
    pub unknown: AtomicU64,
}

impl Counts {
    /// Answered, failed and unknown.
    #[must_use]
    pub fn now(&self) -> [u64; 3] {
        let now = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [now(&self.acknowledged) + now(&self.refused), now(&self.failed), now(&self.unknown)]
    }
}

/// Takes events down, for whoever has a clone.
#[derive(Debug, Clone)]
pub struct Recorder {
    began: Instant,
    events: Sender<Event>,
    processes: Arc<AtomicU32>,
    counts: Arc<Counts>,
}

/// The file that a history is written to.
#[derive(Debug)]
pub struct Recording {
    writer: JoinHandle<io::Result<()>>,
}

impl Recorder {
    /// Begins a history in this file; its clock begins now.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn start(path: &Path) -> io::Result<(Self, Recording)> {
        let file = File::create(path)?;
        let (events, waiting) = channel(WAITING_MAX);
        let writer =
            thread::Builder::new().name("history".into()).spawn(|| write(waiting, file))?;
        let recorder = Self {
            began: Instant::now(),
            events,
            processes: Arc::default(),
            counts: Arc::default(),
        };
        Ok((recorder, Recording { writer }))
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Moment {
        Moment::after(self.began.elapsed())
    }

    /// How many operations ended how.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Takes down what happens now.
    pub async fn note(&self, what: What) {
        self.note_at(self.now(), what).await;
    }

    /// Takes down what happened a moment ago.
    pub async fn note_at(&self, at: Moment, what: What) {
        let event = Event { at, what };
        // A writer that has ended says why when it is waited for.
        let _ = self.events.send(event).await;
    }

    /// Somebody who does one thing after the other.
    #[must_use]
    pub fn hand(&self) -> Hand {
        Hand { process: self.process(), recorder: self.clone() }
    }

    fn process(&self) -> Process {
        Process(self.processes.fetch_add(1, Ordering::Relaxed))
    }
}

impl Recording {
    /// Returns when all is on the disk, once the last recorder is gone.
    ///
    /// # Errors
    /// When something could not be written.
    pub async fn finish(self) -> io::Result<()> {
        let ended = tokio::task::spawn_blocking(|| self.writer.join()).await;
        match ended.map_err(io::Error::other)? {
            Ok(written) => written,
            Err(_) => Err(io::Error::other("the writer of the history panicked")),
        }
    }
}

/// Somebody who does one thing after the other, under another name once it is not known what came of something.
#[derive(Debug)]
pub struct Hand {
    process: Process,
    recorder: Recorder,
}

impl Hand {
    /// Who it is now.
    #[must_use]
    pub const fn process(&self) -> Process {
        self.process
    }

    /// Asks a node for something, and takes down both that and what came of it.
    pub async fn ask(&mut self, node: usize, op: Op, asking: impl Future<Output = Done>) -> Done {
        let step = |op, rev, err| Step { proc: self.process, node, op, rev, err };
        self.recorder.note(What::Invoke(step(op.clone(), None, None))).await;
        let done = asking.await;
        let counts = &self.recorder.counts;
        let (count, what) = match &done {
            Done::Failed(why) if is_refusal(why) => {
                (&counts.refused, What::Fail(step(op, None, Some(why.clone()))))
            }
            Done::Ok { op, rev } => (&counts.acknowledged, What::Ok(step(op.clone(), *rev, None))),
            Done::Failed(why) => (&counts.failed, What::Fail(step(op, None, Some(why.clone())))),
            Done::Unknown(why) => (&counts.unknown, What::Info(step(op, None, Some(why.clone())))),
        };
        count.fetch_add(1, Ordering::Relaxed);
        self.recorder.note(what).await;
        if matches!(done, Done::Unknown(_)) {
            self.process = self.recorder.process();
        }
        done
    }
}

/// Writes until nobody brings any more; what is there is on its way to the disk whenever nothing waits.
fn write(mut events: Receiver<Event>, file: File) -> io::Result<()> {
    let mut file = BufWriter::new(file);
    while let Some(event) = events.blocking_recv() {
        serde_json::to_writer(&mut file, &event)?;
        file.write_all(b"\n")?;
        if events.is_empty() {
            file.flush()?;
        }
    }
    file.flush()?;
    file.get_ref().sync_all()
}

#[cfg(test)]
mod tests {
    use super::super::{Outcome, read_file};
    use super::*;

    #[tokio::test]
    async fn what_many_do_at_once_is_all_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        let (recorder, recording) = Recorder::start(&path).unwrap();
        let many = (0..50).map(|number| {
            let mut hand = recorder.hand();
            tokio::spawn(async move {
                for turn in 0..40 {
                    let op = Op::Write { k: "r".into(), v: number * 40 + turn };
                    let done = match turn % 3 {
                        0 => Done::Ok { op: op.clone(), rev: Some(turn) },
                        1 => Done::Failed("no_quorum".into()),
                        _ => Done::Unknown("no answer".into()),
                    };
                    hand.ask(1, op, async { done }).await;
                }
            })
        });
        for one in many.collect::<Vec<_>>() {
            one.await.unwrap();
        }
        assert_eq!(recorder.counts().now(), [50 * 14, 50 * 13, 50 * 13]);
        drop(recorder);
        recording.finish().await.unwrap();
        let history = read_file(folder.path()).unwrap();
        assert_eq!(history.operations.len(), 2000);
        let unknown =
            |one: &&super::super::Operation| matches!(one.outcome, Outcome::Unknown { .. });
        assert_eq!(history.operations.iter().filter(unknown).count(), 650);
    }
}
