//! What BuildKit tells of a build, as lines for people and as facts for the verdict. Pure.

use std::collections::{BTreeMap, VecDeque};

use bollard::moby::buildkit::v1::{StatusResponse, Vertex, VertexLog};

use crate::masked_log::Mask;

/// How many of a step's last lines are kept for its failure.
pub(crate) const STEP_TAIL_LINES: usize = 20;
/// The most characters of a step's name.
const NAME_CHARS_MAX: usize = 200;
/// The step by which BuildKit takes the context in.
const CONTEXT: &str = "copy /context /";
/// The most octets of a step's line that has not ended yet.
const PARTIAL_BYTES_MAX: usize = 8 << 10;

/// A build so far.
#[derive(Default)]
pub(crate) struct Progress {
    mask: Mask,
    steps: BTreeMap<String, Step>,
}

/// One step: a vertex of BuildKit's graph.
#[derive(Default)]
struct Step {
    name: String,
    started: bool,
    ended: bool,
    error: String,
    tail: VecDeque<String>,
    partial: String,
}

/// A step that failed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FailedStep<'a> {
    /// Its name, such as `[2/3] RUN npm ci`.
    pub(crate) name: &'a str,
    pub(crate) error: &'a str,
    /// The last line it wrote, when it wrote one.
    pub(crate) last_line: Option<&'a str>,
}

impl Progress {
    /// A build whose lines are kept without the masked values.
    pub(crate) fn new(mask: Mask) -> Self {
        Self { mask, ..Self::default() }
    }

    /// Takes a message in and gives the lines it makes.
    pub(crate) fn take(&mut self, status: &StatusResponse) -> Vec<String> {
        let mut lines = Vec::new();
        for vertex in &status.vertexes {
            let step = self.steps.entry(vertex.digest.clone()).or_default();
            step.begin(vertex, &mut lines);
        }
        for log in &status.logs {
            self.steps.entry(log.vertex.clone()).or_default().write(log, &self.mask, &mut lines);
        }
        for vertex in &status.vertexes {
            if let Some(step) = self.steps.get_mut(&vertex.digest) {
                step.end(vertex, &self.mask, &mut lines);
            }
        }
        lines
    }

    /// The step that failed first by itself, not because the build was called off.
    pub(crate) fn failed(&self) -> Option<FailedStep<'_>> {
        let step = self
            .steps
            .values()
            .find(|step| !step.error.is_empty() && !step.error.contains("context canceled"))?;
        let last_line = step.tail.iter().rev().map(|line| line.trim()).find(|l| !l.is_empty());
        Some(FailedStep { name: &step.name, error: &step.error, last_line })
    }
}

impl Step {
    fn begin(&mut self, vertex: &Vertex, lines: &mut Vec<String>) {
        self.name = short(&vertex.name);
        if !self.started && vertex.started.is_some() && !self.is_internal() && !vertex.cached {
            self.started = true;
            lines.push(self.name.clone());
        }
    }

    fn write(&mut self, log: &VertexLog, mask: &Mask, lines: &mut Vec<String>) {
        self.partial.push_str(&String::from_utf8_lossy(&log.msg));
        while let Some((line, rest)) = self.partial.split_once('\n') {
            let (line, rest) = (line.trim_end_matches('\r').to_owned(), rest.to_owned());
            self.partial = rest;
            self.push(&line, mask, lines);
        }
        if self.partial.len() > PARTIAL_BYTES_MAX {
            let line = std::mem::take(&mut self.partial);
            self.push(&line, mask, lines);
        }
    }

    fn push(&mut self, line: &str, mask: &Mask, lines: &mut Vec<String>) {
        // Progress bars redraw their line: what stood last counts.
        let line = mask.apply(line.rsplit('\r').next().unwrap_or_default());
        lines.push(format!("  {line}"));
        self.tail.push_back(line);
        if self.tail.len() > STEP_TAIL_LINES {
            self.tail.pop_front();
        }
    }

    fn end(&mut self, vertex: &Vertex, mask: &Mask, lines: &mut Vec<String>) {
        self.error.clone_from(&vertex.error);
        if self.ended || vertex.completed.is_none() {
            return;
        }
        self.ended = true;
        if !self.partial.is_empty() {
            let line = std::mem::take(&mut self.partial);
            self.push(&line, mask, lines);
        }
        if !vertex.error.is_empty() {
            lines.push(format!("{} failed: {}", self.label(), vertex.error));
        } else if vertex.cached && !self.is_internal() {
            lines.push(format!("{} (cached)", self.name));
        } else if let Some(seconds) = seconds(vertex).filter(|_| !self.is_internal()) {
            lines.push(format!("{} done in {seconds:.1} s", self.label()));
        }
    }

    fn is_internal(&self) -> bool {
        self.name.starts_with("[internal]") || self.name == CONTEXT
    }

    /// The number in front of a step's name, such as `[2/3]`; else the name.
    fn label(&self) -> &str {
        match self.name.find(']') {
            Some(end) if self.name.starts_with('[') && !self.is_internal() => &self.name[..=end],
            _ => &self.name,
        }
    }
}

/// A step's name in one line, without the mounts, which say nothing of what it does.
fn short(name: &str) -> String {
    let words = name.split_whitespace().filter(|word| !word.starts_with("--mount="));
    let mut short = words.collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = short.char_indices().nth(NAME_CHARS_MAX) {
        short.truncate(end);
        short.push('…');
    }
    short
}

fn seconds(vertex: &Vertex) -> Option<f64> {
    let (from, to) = (vertex.started.as_ref()?, vertex.completed.as_ref()?);
    Some((to.seconds - from.seconds) as f64 + f64::from(to.nanos - from.nanos) / 1e9)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn vertex(name: &str, started: Option<i64>, completed: Option<i64>, error: &str) -> Vertex {
        let mut vertex = Vertex {
            digest: format!("sha256:{name}"),
            name: name.into(),
            error: error.into(),
            ..Vertex::default()
        };
        if let Some(at) = started {
            vertex.started.get_or_insert_default().seconds = at;
        }
        if let Some(at) = completed {
            vertex.completed.get_or_insert_default().seconds = at;
        }
        vertex
    }

    fn log(name: &str, text: &str) -> StatusResponse {
        let vertex = format!("sha256:{name}");
        let log = VertexLog { vertex, msg: text.as_bytes().to_vec(), ..VertexLog::default() };
        StatusResponse { logs: vec![log], ..StatusResponse::default() }
    }

    fn vertexes(vertexes: Vec<Vertex>) -> StatusResponse {
        StatusResponse { vertexes, ..StatusResponse::default() }
    }

    /// A build whose step `name` failed with `error` after writing `output`.
    pub(crate) fn failed_at(name: &str, error: &str, output: &str) -> Progress {
        let mut progress = Progress::default();
        progress.take(&log(name, output));
        progress.take(&vertexes(vec![
            vertex("a other", Some(1), Some(2), "context canceled"),
            vertex(name, Some(1), Some(2), error),
        ]));
        progress
    }

    #[test]
    fn a_build_becomes_lines() {
        let name = "[2/3] RUN npm ci";
        let mut progress = Progress::default();
        let mut lines = progress.take(&vertexes(vec![
            vertex(name, None, None, ""),
            vertex("[internal] load build context", Some(1), Some(2), ""),
        ]));
        lines.extend(progress.take(&vertexes(vec![vertex(name, Some(3), None, "")])));
        lines.extend(progress.take(&log(name, "added 1 pack")));
        lines.extend(progress.take(&log(name, "age\n10%\r20%\nlast")));
        lines.extend(progress.take(&vertexes(vec![vertex(name, Some(3), Some(5), "")])));
        let mut cached = vertex("[1/3] FROM node", Some(5), Some(5), "");
        cached.cached = true;
        lines.extend(progress.take(&vertexes(vec![cached])));
        assert_eq!(
            lines,
            [
                "[2/3] RUN npm ci",
                "  added 1 package",
                "  20%",
                "  last",
                "[2/3] done in 2.0 s",
                "[1/3] FROM node (cached)",
            ]
        );
        assert_eq!(progress.failed(), None);
    }

    #[test]
    fn the_failed_step_is_the_one_that_failed_by_itself() {
        let progress = failed_at("[2/2] RUN false", "exit code: 1", "one\ntwo\n\n");
        let failed = progress.failed().unwrap();
        assert_eq!(failed.name, "[2/2] RUN false");
        assert_eq!(failed.last_line, Some("two"));
    }

    #[test]
    fn names_are_short() {
        assert_eq!(
            short("[2/3] RUN --mount=type=cache,id=a   . x &&  npm ci"),
            "[2/3] RUN . x && npm ci"
        );
        assert_eq!(short(&"ä".repeat(500)).chars().count(), NAME_CHARS_MAX + 1);
    }

    #[test]
    fn an_endless_line_is_cut() {
        let mut progress = Progress::default();
        let lines = progress.take(&log("x", &"y".repeat(PARTIAL_BYTES_MAX + 1)));
        assert_eq!(lines.len(), 1);
    }
}
