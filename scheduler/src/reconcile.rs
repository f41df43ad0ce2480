//! Makes this node's containers what the state wants.
//!
//! Woken by changes of the state, events of the engine, verdicts of probes and a timer; none of them is an input. Every
//! activation compares what is wanted with what is there, and is the retry of what failed before.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use temps_builder::Builder;
use temps_raft::Applied;
use temps_state::{Command, Intent, Observed, Replica, ReplicaId, State};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::SchedulerError;
use crate::act::{About, Hand, Outcome, RETRY_PAUSE};
use crate::container::{Container, Status};
use crate::engine_events::listen;
use crate::memory::Memory;
use crate::plan::{Action, find, plan};
use crate::prober::{Prober, Target};
use crate::proposer::propose;
use crate::report::{endpoints, reports, reports_without_engine, residents, wants_engine};
use crate::runtime::Runtime;
use crate::scheduler::{LocalEndpoints, Residents};
use crate::spec::Site;

/// How often containers are looked at when nothing wakes the loop.
const TICK: Duration = Duration::from_secs(5);
/// How often while something waits for its next try.
const TICK_UNSETTLED: Duration = Duration::from_secs(1);
/// The least time between two activations, so that a burst of changes costs one.
const SPACING: Duration = Duration::from_millis(10);
/// How many containers are acted on at once; and as many again are removed, which may take long.
pub const ACTIONS_AT_ONCE_MAX: usize = 8;

/// The loop's own data; nobody else has a hand on it.
pub struct Reconciler {
    site: Site,
    runtime: Runtime,
    builder: Builder,
    memory: BTreeMap<ReplicaId, Memory>,
    probers: BTreeMap<ReplicaId, Prober>,
    tasks: JoinSet<Outcome>,
    in_flight: HashMap<Id, About>,
    at_once: Arc<Semaphore>,
    removals_at_once: Arc<Semaphore>,
    wake: Arc<Notify>,
    local: watch::Sender<LocalEndpoints>,
    residents: watch::Sender<Residents>,
    engine_away: bool,
}

impl Reconciler {
    /// A loop that has not begun, and tells where its healthy replicas listen and whose its containers are.
    pub fn new(
        site: Site,
        runtime: Runtime,
        builder: Builder,
        local: watch::Sender<LocalEndpoints>,
        residents: watch::Sender<Residents>,
    ) -> Self {
        Self {
            site,
            runtime,
            builder,
            memory: BTreeMap::new(),
            probers: BTreeMap::new(),
            tasks: JoinSet::new(),
            in_flight: HashMap::new(),
            at_once: Arc::new(Semaphore::new(ACTIONS_AT_ONCE_MAX)),
            removals_at_once: Arc::new(Semaphore::new(ACTIONS_AT_ONCE_MAX)),
            wake: Arc::new(Notify::new()),
            local,
            residents,
            engine_away: false,
        }
    }

    /// Runs until cancelled. Containers run on.
    pub async fn run(mut self, cancel: CancellationToken) {
        let mut changes = self.site.cluster.watch();
        let events = tokio::spawn(listen(self.runtime.clone(), self.wake.clone()));
        loop {
            changes.mark_unchanged();
            let earliest = Instant::now() + SPACING;
            self.activate().await;
            let tick = self.tick();
            tokio::select! {
                () = cancel.cancelled() => break,
                changed = changes.changed() => if changed.is_err() { break },
                () = self.wake.notified() => {}
                Some(done) = self.tasks.join_next_with_id() => self.learn(done),
                () = sleep(tick) => {}
            }
            while let Some(done) = self.tasks.try_join_next_with_id() {
                self.learn(done);
            }
            sleep_until(earliest).await;
        }
        events.abort();
    }

    fn tick(&self) -> Duration {
        let unsettled = self.engine_away || self.memory.values().any(|m| m.ended.is_some());
        if unsettled { TICK_UNSETTLED } else { TICK }
    }

    async fn activate(&mut self) {
        let state = self.site.cluster.state();
        self.forget(&state);
        match self.runtime.list().await {
            Ok(containers) => self.settle(&state, &containers),
            Err(error) => self.wait_for_engine(&state, &error),
        }
        self.report_engine(&state);
    }

    fn settle(&mut self, state: &Arc<Applied>, containers: &[Container]) {
        if std::mem::take(&mut self.engine_away) {
            tracing::info!("the container engine answers again");
            self.memory.retain(|_, memory| !memory.misses_engine());
        }
        self.watch_health(state, containers);
        let me = self.site.cluster.node_id();
        let verdicts = self.verdicts();
        tell(&self.residents, Arc::new(residents(state, containers)));
        tell(&self.local, Some(Arc::new(endpoints(state, me, containers, &verdicts))));
        for (id, observed) in reports(state, me, containers, &self.memory, &verdicts) {
            self.report(id, observed);
        }
        let can_tell = self.site.cluster.without_quorum_for().is_none();
        for action in plan(state, me, containers, &self.memory, Timestamp::now(), can_tell) {
            self.perform(state, action);
        }
    }

    fn wait_for_engine(&mut self, state: &State, error: &SchedulerError) {
        if !std::mem::replace(&mut self.engine_away, true) {
            tracing::warn!(%error, "the container engine is away");
        }
        self.ask_unseen(state);
        self.probers.values().for_each(Prober::poke);
        let (me, now) = (self.site.cluster.node_id(), Timestamp::now());
        let verdicts = self.verdicts();
        let waits = |replica: &&Replica| wants_engine(replica, verdicts.get(&replica.id));
        for replica in state.replicas_on(me).filter(waits) {
            let memory = self.memory.entry(replica.id).or_default();
            if memory.start_due().is_none_or(|due| due <= now) {
                memory.fail(now, error.failure(vec![]));
            }
        }
        for (id, observed) in reports_without_engine(state, me, &self.memory, &verdicts) {
            self.report(id, observed);
        }
    }

    /// Whether what was healthy when this process started still is can be found out without the engine.
    fn ask_unseen(&mut self, state: &State) {
        for replica in state.replicas_on(self.site.cluster.node_id()) {
            let endpoint =
                replica.serving_endpoint().filter(|_| !self.probers.contains_key(&replica.id));
            let unseen = |endpoint: SocketAddr| target(state, replica, "", endpoint.ip());
            if let Some(target) = endpoint.and_then(unseen) {
                self.ask(replica.id, target, true);
            }
        }
    }

    fn ask(&mut self, id: ReplicaId, target: Target, healthy: bool) {
        let prober = Prober::start(target, healthy, self.runtime.clone(), self.wake.clone());
        self.probers.insert(id, prober);
    }

    /// What is not wanted to serve begins afresh when it is again.
    fn forget(&mut self, state: &State) {
        let serves = |id: &ReplicaId| {
            state.replicas.get(id).is_some_and(|replica| replica.intent == Intent::Serve)
        };
        self.memory.retain(|id, _| serves(id));
        self.probers.retain(|id, _| state.replicas.contains_key(id));
    }

    /// One prober for each container that runs, at its current address.
    fn watch_health(&mut self, state: &State, containers: &[Container]) {
        for replica in state.replicas_on(self.site.cluster.node_id()) {
            let running = find(containers, replica.id).filter(|c| c.status == Status::Running);
            if let Some(memory) = self.memory.get_mut(&replica.id)
                && running.is_some()
            {
                memory.ended = None;
            }
            let target = running
                .filter(|_| replica.intent != Intent::Keep)
                .and_then(|container| target(state, replica, &container.id, container.address?));
            let Some(target) = target else {
                self.probers.remove(&replica.id);
                continue;
            };
            if self.probers.get(&replica.id).is_none_or(|prober| !prober.asks(&target)) {
                let known = Observed::Healthy { endpoint: target.endpoint };
                // What this process began is new, whatever was known of the run before at the same address.
                let healthy = replica.observed == known && !self.began(replica.id);
                self.ask(replica.id, target, healthy);
            }
        }
    }

    /// Whether this process has begun the current run of a replica, or is just doing so.
    fn began(&self, id: ReplicaId) -> bool {
        let started = self.memory.get(&id).is_some_and(|memory| memory.started.is_some());
        started || self.is_in_flight(&About::Replica(id))
    }

    fn verdicts(&self) -> BTreeMap<ReplicaId, crate::health::Verdict> {
        self.probers.iter().map(|(id, prober)| (*id, prober.verdict())).collect()
    }

    fn is_in_flight(&self, about: &About) -> bool {
        self.in_flight.values().any(|other| other == about)
    }

    fn begin(&mut self, about: About, work: impl Future<Output = Outcome> + Send + 'static) {
        if !self.is_in_flight(&about) {
            let task = self.tasks.spawn(work);
            self.in_flight.insert(task.id(), about);
        }
    }

    fn report(&mut self, id: ReplicaId, observed: Observed) {
        self.tell(About::Report(id), Command::ReportReplica { id, observed });
    }

    /// Tells the cluster something. What is not taken is told again by a later activation.
    fn tell(&mut self, about: About, command: Command) {
        let cluster = self.site.cluster.clone();
        self.begin(about.clone(), async move {
            if let Err(error) = propose(&cluster, command).await {
                tracing::warn!(?about, %error, "the cluster could not be told");
                sleep(RETRY_PAUSE).await;
            }
            Outcome::Other
        });
    }

    /// Tells whether the engine answers, unless the cluster knows, or some node could not read it.
    fn report_engine(&mut self, state: &State) {
        let (id, away) = (self.site.cluster.node_id(), self.engine_away);
        let command = Command::ReportEngine { id, away };
        let news = state.nodes.get(&id).is_some_and(|node| node.engine_answers() == away);
        if news && command.format() <= state.format() {
            self.tell(About::Engine, command);
        }
    }

    fn perform(&mut self, state: &Arc<Applied>, action: Action) {
        let about = About::of(&action);
        if self.is_in_flight(&about) {
            return;
        }
        tracing::debug!(?action, "to do");
        let at_once = match action {
            Action::Remove { .. } => self.removals_at_once.clone(),
            _ => self.at_once.clone(),
        };
        let hand = Hand {
            site: self.site.clone(),
            runtime: self.runtime.clone(),
            builder: self.builder.clone(),
        };
        let state = state.clone();
        self.begin(about, async move {
            let _permit = at_once.acquire_owned().await;
            hand.perform(&state, action).await
        });
    }

    fn learn(&mut self, done: Result<(Id, Outcome), JoinError>) {
        let now = Timestamp::now();
        let (id, outcome) = match done {
            Ok((id, outcome)) => (id, outcome),
            Err(error) => (error.id(), Outcome::Other),
        };
        self.in_flight.remove(&id);
        match outcome {
            Outcome::Started(replica, Ok(())) => {
                self.memory.entry(replica).or_default().start(now);
            }
            Outcome::Started(replica, Err(error)) => {
                tracing::warn!(%replica, %error, "a replica could not be started");
                self.memory.entry(replica).or_default().fail(now, error.failure(vec![]));
            }
            Outcome::Ended(replica, failure) => {
                tracing::warn!(%replica, why = failure.message, "a replica ended");
                self.memory.entry(replica).or_default().fail(now, failure);
            }
            Outcome::Other => {}
        }
    }
}

/// Tells what is known now, unless it was known before.
fn tell<T: PartialEq>(whom: &watch::Sender<T>, now: T) {
    whom.send_if_modified(|known| {
        let news = *known != now;
        if news {
            *known = now;
        }
        news
    });
}

fn target(state: &State, replica: &Replica, container: &str, address: IpAddr) -> Option<Target> {
    let deployment = state.deployments.get(&replica.deployment)?;
    let config = deployment.config.as_ref()?;
    // A port that was taken because nobody named one is in the state.
    let port = match &replica.observed {
        Observed::Healthy { endpoint } if config.port_assumed && endpoint.ip() == address => {
            endpoint.port()
        }
        _ => config.port,
    };
    let endpoint = SocketAddr::new(address, port);
    let host = state.environments.get(&replica.environment).and_then(|e| state.host_of(e));
    Some(Target {
        container: container.into(),
        endpoint,
        port_assumed: config.port_assumed,
        check: config.health.clone(),
        host: host.unwrap_or_else(|| endpoint.to_string()),
    })
}
