//! The numbers of a page.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::history::{FaultKind, History, Moment, Op, Operation, Outcome, Sight, is_refusal};

/// The most columns of a drawing.
const COLUMNS_MAX: u64 = 200;
/// The longest times without an acknowledged change that are shown.
const GAPS_SHOWN: usize = 6;

/// How operations ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Share {
    pub acknowledged: u64,
    /// Answered, by a refusal.
    pub refused: u64,
    pub failed: u64,
    pub unknown: u64,
}

/// How long answers took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Latency {
    pub p50: Duration,
    pub p99: Duration,
    pub max: Duration,
}

/// A time without an acknowledged change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gap {
    pub from: Moment,
    pub to: Moment,
    pub during: Vec<FaultKind>,
}

/// A node.
#[derive(Debug, Default)]
pub(super) struct NodeFigures {
    /// What its API was asked, and what its edge.
    pub api: Share,
    pub visits: Share,
    /// Of both, while its process lived and clients could reach it.
    pub alive: Share,
    /// Of each column.
    pub columns: Vec<Share>,
    /// When it led, by its own word.
    pub leads: Vec<(Moment, Moment)>,
}

/// All of a page.
#[derive(Debug)]
pub(super) struct Figures {
    /// How long a column is.
    pub column: Duration,
    /// The API's, in each column.
    pub rates: Vec<Share>,
    /// The edges'.
    pub visits: Vec<Share>,
    /// The API's, in each column that has an acknowledged operation.
    pub latencies: Vec<Option<Latency>>,
    pub nodes: BTreeMap<usize, NodeFigures>,
    pub total: Share,
    /// At nodes that lived and that clients could reach.
    pub alive: Share,
    /// Of operations that no fault was near.
    pub calm: Latency,
    /// While some fault was.
    pub troubled: Latency,
    pub gaps: Vec<Gap>,
    pub elections: usize,
    pub kinds: BTreeMap<&'static str, Share>,
}

impl Share {
    pub fn count(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Ok { .. } => self.acknowledged += 1,
            Outcome::Failed { why, .. } if is_refusal(why) => self.refused += 1,
            Outcome::Failed { .. } => self.failed += 1,
            Outcome::Unknown { .. } => self.unknown += 1,
        }
    }

    pub const fn all(&self) -> u64 {
        self.answered() + self.failed + self.unknown
    }

    pub const fn answered(&self) -> u64 {
        self.acknowledged + self.refused
    }

    /// How many of a hundred were answered, rounded down so that only all are 100 %.
    pub fn percent(&self) -> String {
        match self.all() {
            0 => "–".into(),
            all if all == self.answered() => "100 %".into(),
            all => format!("{:.2} %", (self.answered() * 10_000 / all) as f64 / 100.0),
        }
    }

    pub fn part(&self) -> Option<f64> {
        (self.all() > 0).then(|| self.answered() as f64 / self.all() as f64)
    }
}

impl Latency {
    fn of(mut times: Vec<Duration>) -> Option<Self> {
        times.sort_unstable();
        let nearest = |percent: usize| times[(times.len() * percent).div_ceil(100).max(1) - 1];
        let max = *times.last()?;
        Some(Self { p50: nearest(50), p99: nearest(99), max })
    }
}

impl Gap {
    pub fn lasted(&self) -> Duration {
        self.to.since(self.from)
    }
}

impl Figures {
    pub fn of(history: &History) -> Self {
        let seconds = history.last.since_begin().as_secs() + 1;
        let column = Duration::from_secs(seconds.div_ceil(COLUMNS_MAX).max(1));
        let columns = usize::try_from(seconds.div_ceil(column.as_secs())).unwrap_or(1);
        let place = |at: Moment| {
            let place = usize::try_from(at.0 / Moment::after(column).0).unwrap_or(usize::MAX);
            place.min(columns - 1)
        };
        let mut figures = Self {
            column,
            rates: vec![Share::default(); columns],
            visits: vec![Share::default(); columns],
            latencies: Vec::new(),
            nodes: BTreeMap::new(),
            total: Share::default(),
            alive: Share::default(),
            calm: Latency::default(),
            troubled: Latency::default(),
            gaps: gaps(history),
            elections: elections(history),
            kinds: BTreeMap::new(),
        };
        let mut times: Vec<Vec<Duration>> = vec![Vec::new(); columns];
        for node in 1..=history.setup.nodes {
            let columns = vec![Share::default(); columns];
            figures.nodes.insert(node, NodeFigures { columns, ..NodeFigures::default() });
        }
        for operation in &history.operations {
            let at = place(operation.over().unwrap_or(history.last));
            figures.count(operation, at);
            if let Some(time) = api_time(operation) {
                times[at].push(time);
            }
        }
        figures.latencies = times.into_iter().map(Latency::of).collect();
        figures.time(history);
        figures.live(history);
        figures.lead(history);
        figures
    }

    fn count(&mut self, operation: &Operation, place: usize) {
        let Operation { op, outcome, node, .. } = operation;
        self.total.count(outcome);
        let rates = if op.is_visit() { &mut self.visits } else { &mut self.rates };
        rates[place].count(outcome);
        self.kinds.entry(op.kind()).or_default().count(outcome);
        if let Some(figures) = self.nodes.get_mut(node) {
            figures.columns[place].count(outcome);
            let of = if op.is_visit() { &mut figures.visits } else { &mut figures.api };
            of.count(outcome);
        }
    }

    /// How long answers took while all was well, and while it was not.
    fn time(&mut self, history: &History) {
        let troubles = history.troubles();
        let (mut calm, mut troubled) = (Vec::new(), Vec::new());
        for operation in &history.operations {
            let Some(time) = api_time(operation) else { continue };
            let over = operation.invoked.plus(time);
            let is_near = troubles
                .iter()
                .any(|trouble| trouble.from <= over && trouble.to >= operation.invoked);
            let of = if is_near { &mut troubled } else { &mut calm };
            of.push(time);
        }
        self.calm = Latency::of(calm).unwrap_or_default();
        self.troubled = Latency::of(troubled).unwrap_or_default();
    }

    /// What came of operations at nodes that lived.
    fn live(&mut self, history: &History) {
        let troubles = history.troubles();
        for operation in &history.operations {
            let over = operation.over().unwrap_or(history.last);
            let is_away = troubles.iter().any(|trouble| {
                trouble.fault.hides(operation.node)
                    && trouble.from <= over
                    && trouble.to >= operation.invoked
            });
            if let (false, Some(node)) = (is_away, self.nodes.get_mut(&operation.node)) {
                node.alive.count(&operation.outcome);
                self.alive.count(&operation.outcome);
            }
        }
    }

    fn lead(&mut self, history: &History) {
        let mut last: BTreeMap<usize, Moment> = BTreeMap::new();
        for (at, sight) in &history.sights {
            let seen = match sight {
                Sight::Node(seen) => seen,
                // Nobody can say whether it leads.
                Sight::Silence { node } => {
                    last.remove(node);
                    continue;
                }
                _ => continue,
            };
            let Some(node) = self.nodes.get_mut(&seen.node) else { continue };
            if seen.leader != Some(seen.node) {
                last.remove(&seen.node);
            } else if let Some(since) = last.insert(seen.node, *at) {
                match node.leads.last_mut() {
                    Some((_, to)) if *to == since => *to = *at,
                    _ => node.leads.push((since, *at)),
                }
            }
        }
    }
}

/// How long the API took to do something. A deploy takes as long as its build.
fn api_time(operation: &Operation) -> Option<Duration> {
    let is_api = !operation.op.is_visit() && !matches!(operation.op, Op::Deploy { .. });
    Some(operation.acknowledged().filter(|_| is_api)?.since(operation.invoked))
}

/// How often another node led.
fn elections(history: &History) -> usize {
    let leaders = history.sights.iter().filter_map(|(_, sight)| match sight {
        Sight::Node(seen) => Some((seen.term, seen.leader?)),
        _ => None,
    });
    let terms: BTreeMap<u64, usize> = leaders.collect();
    terms.len().saturating_sub(1)
}

/// The longest times without an acknowledged change, the longest first.
fn gaps(history: &History) -> Vec<Gap> {
    // A deploy takes as long as its build.
    let is_quick = |one: &&Operation| {
        one.op.changes() && !one.op.is_visit() && !matches!(one.op, Op::Deploy { .. })
    };
    let changes = history.operations.iter().filter(is_quick);
    let mut moments: Vec<Moment> = changes.filter_map(Operation::acknowledged).collect();
    moments.sort_unstable();
    let troubles = history.troubles();
    let gap = |pair: &[Moment]| {
        let near = troubles.iter().filter(|one| one.from <= pair[1] && one.to >= pair[0]);
        let mut during: Vec<FaultKind> = near.map(|trouble| trouble.fault.kind).collect();
        during.dedup();
        Gap { from: pair[0], to: pair[1], during }
    };
    let mut gaps: Vec<Gap> = moments.windows(2).map(gap).collect();
    gaps.sort_by_key(|gap| std::cmp::Reverse(gap.lasted()));
    gaps.truncate(GAPS_SHOWN);
    gaps
}
