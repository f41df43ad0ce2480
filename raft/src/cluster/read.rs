//! Linearizable reads: the leader is asked for the index to wait for, one question for all who read meanwhile.

use std::sync::Arc;
use std::time::Duration;

use openraft::LinearizerOption;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{LinearizableReadError, RaftError as OpenraftError};
use temps_proto::peer::ReadIndexRequest;
use temps_state::NodeId;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::group::{Group, STOPPED, may_retry};
use crate::config::{READ_TIMEOUT, RETRY_PAUSE};
use crate::peer::{Peers, Target};
use crate::planted::{self, Bug};
use crate::types::Raft;
use crate::{Applied, ReadError};

/// How many reads may wait for the next question.
const WAITING_MAX: usize = 4096;
/// How long the leader may take to answer one question.
const ASK_TIMEOUT: Duration = Duration::from_millis(1600);

type Waiting = oneshot::Sender<Result<u64, ReadError>>;

/// The reads that wait.
#[derive(Clone)]
pub struct Reads {
    queue: mpsc::Sender<Waiting>,
}

struct Asker {
    node: NodeId,
    raft: Raft,
    peers: Option<Arc<Peers>>,
}

impl Group {
    /// A state with everything that anybody was told took effect before this call.
    pub async fn read_latest(&self) -> Result<Arc<Applied>, ReadError> {
        let read = self.while_running(self.try_read_latest()).await;
        read.unwrap_or_else(|| Err(stopped(STOPPED)))
    }

    async fn try_read_latest(&self) -> Result<Arc<Applied>, ReadError> {
        if planted::is(Bug::ReadWithoutIndex) {
            return Ok(self.applied());
        }
        let deadline = Instant::now() + READ_TIMEOUT;
        let asked = timeout_at(deadline, self.reads.ask()).await;
        let index = asked.map_err(|_| ReadError::NoQuorum)??;
        let mut applied = self.applied.clone();
        let reached =
            timeout_at(deadline, applied.wait_for(|applied| applied.index >= index)).await;
        match reached {
            Ok(Ok(applied)) => Ok(applied.clone()),
            Ok(Err(_)) => Err(stopped("its state machine has ended")),
            Err(_) => Err(ReadError::Timeout),
        }
    }

    /// The index that a read must wait for, if this node leads and has a quorum.
    pub(crate) async fn lead_index(&self) -> Result<u64, ReadError> {
        lead_index(&self.raft).await
    }
}

impl Reads {
    /// Begins to ask. Ends when the last clone is gone.
    pub fn new(node: NodeId, raft: Raft, peers: Option<Arc<Peers>>) -> Self {
        let (queue, waiting) = mpsc::channel(WAITING_MAX);
        tokio::spawn(serve(waiting, Asker { node, raft, peers }));
        Self { queue }
    }

    async fn ask(&self) -> Result<u64, ReadError> {
        let (sender, receiver) = oneshot::channel();
        let ended = |_| stopped("nobody answers reads any more");
        self.queue.send(sender).await.map_err(|_| stopped("nobody answers reads any more"))?;
        receiver.await.map_err(ended)?
    }
}

/// Whoever comes while a question is under way waits for the next one: the answer may be older than they are.
async fn serve(mut waiting: mpsc::Receiver<Waiting>, asker: Asker) {
    while let Some(first) = waiting.recv().await {
        let mut served = vec![first];
        while let Ok(next) = waiting.try_recv() {
            served.push(next);
        }
        let index = asker.index().await;
        for reader in served {
            // Whoever no longer waits needs no answer.
            let _ = reader.send(index.clone());
        }
    }
}

impl Asker {
    /// Asks whoever leads, until somebody answers or the time is over.
    async fn index(&self) -> Result<u64, ReadError> {
        let deadline = Instant::now() + READ_TIMEOUT;
        loop {
            let leader = self.raft.metrics().borrow_watched().current_leader.map(NodeId);
            let asked = match leader {
                Some(leader) if leader == self.node => lead_index(&self.raft).await,
                Some(leader) => self.ask(leader).await,
                None => Err(ReadError::NoQuorum),
            };
            match asked {
                Err(ReadError::NoQuorum) if may_retry(deadline) => sleep(RETRY_PAUSE).await,
                answer => return answer,
            }
        }
    }

    async fn ask(&self, leader: NodeId) -> Result<u64, ReadError> {
        let Some(peers) = &self.peers else { return Err(ReadError::NoQuorum) };
        let to = Target::calls(leader);
        let asked = peers.call(&to, ASK_TIMEOUT, |mut client| async move {
            client.read_index(ReadIndexRequest {}).await
        });
        asked.await.ok().and_then(|answer| answer.index).ok_or(ReadError::NoQuorum)
    }
}

async fn lead_index(raft: &Raft) -> Result<u64, ReadError> {
    use LinearizableReadError::{ForwardToLeader, QuorumNotEnough};
    use OpenraftError::{APIError, Fatal};
    if planted::is(Bug::ReadOfAFormerLeader) {
        let metrics = raft.metrics().borrow_watched().clone();
        return Ok(metrics.last_applied.map_or(0, |id| id.index));
    }
    let confirmed_anew = LinearizerOption::new(Some(Duration::ZERO), true);
    let option = confirmed_anew.with_wait_timeout(ASK_TIMEOUT);
    let asked = timeout(ASK_TIMEOUT, raft.get_read_linearizer(option)).await;
    match asked.map_err(|_| ReadError::NoQuorum)? {
        Ok(linearizer) => Ok(linearizer.read_log_id().index()),
        Err(APIError(ForwardToLeader(_) | QuorumNotEnough(_))) => Err(ReadError::NoQuorum),
        Err(Fatal(fatal)) => Err(stopped(&fatal.to_string())),
    }
}

fn stopped(reason: &str) -> ReadError {
    ReadError::Stopped { reason: reason.into() }
}
