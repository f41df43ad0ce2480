//! Build logs: one file of JSON lines for each deployment, written once and read by any number of followers.
//!
//! A follower reads the file and waits for it to grow, so it loses no line and sees none twice, however late it comes.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use futures::Stream;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use temps_state::DeploymentId;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The most octets of text one line holds; the rest is cut.
pub const LINE_BYTES_MAX: usize = 8 << 10;
/// The most lines one log holds; later ones are dropped, and the last line says so.
pub const LINES_MAX: usize = 50_000;
/// How many logs are open at once; the oldest deployment's is closed first, and its followers end.
pub const LOGS_OPEN_MAX: usize = 256;
/// How many lines a follower is handed at once.
const BATCH_LINES_MAX: usize = 256;

/// One line of a build log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// When it was written.
    pub at: Timestamp,
    /// The step it belongs to: `source`, `detect`, `build`, `publish`, or one of the caller's.
    pub step: String,
    /// The text, without its line end.
    pub text: String,
}

impl LogLine {
    /// A line of now.
    pub fn new(step: &str, text: impl Into<String>) -> Self {
        Self { at: Timestamp::now(), step: step.into(), text: text.into() }
    }
}

/// The build logs of a node; cheap to clone.
#[derive(Clone)]
pub struct BuildLogs {
    folder: Arc<Path>,
    open: Arc<Mutex<BTreeMap<DeploymentId, Arc<OpenLog>>>>,
}

/// A log that is written to.
struct OpenLog {
    writer: Mutex<Writer>,
    lines: watch::Sender<usize>,
    finished: CancellationToken,
}

struct Writer {
    file: Option<File>,
    lines: usize,
}

impl BuildLogs {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder: folder.into(), open: Arc::default() }
    }

    /// The file of a deployment's log.
    pub fn path(&self, deployment: DeploymentId) -> PathBuf {
        self.folder.join(format!("{deployment}.jsonl"))
    }

    /// Writes a line. A log that cannot be written, as on a full disk, never stops the work it tells of.
    pub fn append(&self, deployment: DeploymentId, line: LogLine) {
        let open = self.open(deployment);
        let mut writer = open.writer.lock().unwrap_or_else(PoisonError::into_inner);
        match writer.write(line) {
            Ok(()) => drop(open.lines.send_replace(writer.lines)),
            Err(source) => tracing::warn!(%deployment, %source, "build log line is lost"),
        }
    }

    /// Says that nothing more will be written: followers end after the last line.
    pub fn finish(&self, deployment: DeploymentId) {
        let log = self.opened().remove(&deployment);
        if let Some(log) = log {
            log.finished.cancel();
        }
    }

    /// The last `n` lines, oldest first.
    pub fn last(&self, deployment: DeploymentId, n: usize) -> Vec<LogLine> {
        let lines = Reader::new(self.path(deployment)).read(usize::MAX);
        lines[lines.len().saturating_sub(n)..].to_vec()
    }

    /// Every line from the first. With `follow`, also those to come, until [`BuildLogs::finish`]; a log that was
    /// written to before and is not now counts as finished.
    pub fn tail(
        &self,
        deployment: DeploymentId,
        follow: bool,
    ) -> impl Stream<Item = LogLine> + Send + 'static + use<> {
        let over = CancellationToken::new();
        let known = self.opened().contains_key(&deployment) || !self.path(deployment).exists();
        if !follow || !known {
            over.cancel();
        }
        self.tail_until(deployment, over)
    }

    /// Every line from the first, and those to come, until `over` is cancelled or the log is finished. Lines written
    /// before that moment are all handed out.
    pub fn tail_until(
        &self,
        deployment: DeploymentId,
        over: CancellationToken,
    ) -> impl Stream<Item = LogLine> + Send + 'static + use<> {
        let log = (!over.is_cancelled()).then(|| self.open(deployment));
        let grown = log.as_ref().map(|log| log.lines.subscribe());
        let finished = log.map_or_else(CancellationToken::new, |log| log.finished.clone());
        let reader = Reader::new(self.path(deployment));
        let follower = Follower { reader, grown, finished, over };
        let batches = futures::stream::unfold(follower, |mut follower| async {
            let lines = follower.next().await?;
            Some((futures::stream::iter(lines), follower))
        });
        futures::StreamExt::flatten(batches)
    }

    fn opened(&self) -> std::sync::MutexGuard<'_, BTreeMap<DeploymentId, Arc<OpenLog>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, deployment: DeploymentId) -> Arc<OpenLog> {
        let path = self.path(deployment);
        let open = || {
            let lines = Reader::new(path.clone()).read(usize::MAX).len();
            let file = OpenOptions::new().create(true).append(true).open(&path);
            let file = file.inspect_err(|source| {
                tracing::warn!(%deployment, %source, "build log cannot be opened");
            });
            Arc::new(OpenLog {
                writer: Mutex::new(Writer { file: file.ok(), lines }),
                lines: watch::Sender::new(lines),
                finished: CancellationToken::new(),
            })
        };
        let mut opened = self.opened();
        if opened.len() >= LOGS_OPEN_MAX && !opened.contains_key(&deployment) {
            opened.pop_first();
        }
        opened.entry(deployment).or_insert_with(open).clone()
    }
}

impl Writer {
    fn write(&mut self, mut line: LogLine) -> std::io::Result<()> {
        let Some(file) = self.file.as_mut().filter(|_| self.lines < LINES_MAX) else {
            return Ok(());
        };
        if self.lines + 1 == LINES_MAX {
            line.text = format!("the log is full at {LINES_MAX} lines: what follows is not kept");
        }
        cut(&mut line.text);
        let mut bytes = serde_json::to_vec(&line)?;
        bytes.push(b'\n');
        file.write_all(&bytes)?;
        self.lines += 1;
        Ok(())
    }
}

/// Bounds a line's text, at a character.
fn cut(text: &mut String) {
    if text.len() > LINE_BYTES_MAX {
        text.truncate(text.floor_char_boundary(LINE_BYTES_MAX));
        text.push('…');
    }
}

/// Reads whole lines of a log file from where it stopped last.
struct Reader {
    path: PathBuf,
    offset: u64,
}

impl Reader {
    fn new(path: PathBuf) -> Self {
        Self { path, offset: 0 }
    }

    /// At most `max` further lines; a line that is still being written is left for later.
    fn read(&mut self, max: usize) -> Vec<LogLine> {
        let Ok(mut file) = File::open(&self.path) else { return Vec::new() };
        if file.seek(SeekFrom::Start(self.offset)).is_err() {
            return Vec::new();
        }
        let mut file = BufReader::new(file);
        let mut lines = Vec::new();
        let mut bytes = Vec::new();
        while lines.len() < max {
            bytes.clear();
            match file.read_until(b'\n', &mut bytes) {
                Ok(read) if bytes.ends_with(b"\n") => self.offset += read as u64,
                _ => break,
            }
            lines.extend(serde_json::from_slice::<LogLine>(&bytes).ok());
        }
        lines
    }
}

struct Follower {
    reader: Reader,
    grown: Option<watch::Receiver<usize>>,
    finished: CancellationToken,
    over: CancellationToken,
}

impl Follower {
    /// The next lines; `None` at the end.
    async fn next(&mut self) -> Option<Vec<LogLine>> {
        loop {
            let ends = self.over.is_cancelled() || self.finished.is_cancelled();
            if let Some(grown) = &mut self.grown {
                grown.mark_unchanged();
            }
            let lines = self.reader.read(BATCH_LINES_MAX);
            match (lines.is_empty(), ends) {
                (false, _) => return Some(lines),
                (true, true) => return None,
                (true, false) => self.wait().await,
            }
        }
    }

    async fn wait(&mut self) {
        let Some(grown) = &mut self.grown else { return self.over.cancel() };
        tokio::select! {
            changed = grown.changed() => if changed.is_err() { self.over.cancel() },
            () = self.over.cancelled() => {}
            () = self.finished.cancelled() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use temps_state::Id;

    use super::*;

    fn logs() -> (tempfile::TempDir, BuildLogs, DeploymentId) {
        let folder = tempfile::tempdir().unwrap();
        let logs = BuildLogs::new(folder.path().into());
        (folder, logs, DeploymentId::from_parts(1, 1))
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn followers_see_every_line_once_however_late_they_come() {
        let (_folder, logs, id) = logs();
        let early = tokio::spawn(logs.tail(id, true).collect::<Vec<_>>());
        let mut late = Vec::new();
        for n in 0..2_000 {
            logs.append(id, LogLine::new("build", n.to_string()));
            if n % 400 == 0 {
                late.push(tokio::spawn(logs.tail(id, true).collect::<Vec<_>>()));
            }
        }
        logs.finish(id);
        let expected: Vec<String> = (0..2_000).map(|n| n.to_string()).collect();
        for follower in late.into_iter().chain([early]) {
            let texts: Vec<_> = follower.await.unwrap().into_iter().map(|l| l.text).collect();
            assert_eq!(texts, expected);
        }
        assert_eq!(logs.last(id, 2).len(), 2);
        assert_eq!(logs.last(id, 2)[1].text, "1999");
        assert_eq!(logs.tail(id, true).count().await, 2_000, "a finished log ends by itself");
    }

    #[tokio::test]
    async fn a_follower_ends_when_its_caller_says_so() {
        let (_folder, logs, id) = logs();
        logs.append(id, LogLine::new("build", "one"));
        let over = CancellationToken::new();
        let mut tail = std::pin::pin!(logs.tail_until(id, over.clone()));
        assert_eq!(tail.next().await.unwrap().text, "one");
        logs.append(id, LogLine::new("build", "two"));
        over.cancel();
        assert_eq!(tail.next().await.unwrap().text, "two");
        assert!(tail.next().await.is_none());
    }

    #[test]
    fn lines_and_logs_are_bounded() {
        let (_folder, logs, id) = logs();
        logs.append(id, LogLine::new("build", "ä".repeat(LINE_BYTES_MAX)));
        assert!(logs.last(id, 1)[0].text.len() <= LINE_BYTES_MAX + "…".len());
        for n in 0..LINES_MAX + 10 {
            logs.append(id, LogLine::new("build", n.to_string()));
        }
        let lines = logs.last(id, usize::MAX);
        assert_eq!(lines.len(), LINES_MAX);
        assert!(lines[LINES_MAX - 1].text.contains("full"));
    }

    #[test]
    fn a_log_that_cannot_be_written_is_no_failure() {
        let logs = BuildLogs::new("/proc/no-such-folder".into());
        let id = DeploymentId::from_parts(1, 2);
        logs.append(id, LogLine::new("build", "lost"));
        assert!(logs.last(id, 5).is_empty());
    }
}
