//! A change, from whichever node was asked to the leader's log.

use jiff::Timestamp;
use openraft::errors::{ClientWriteError, RaftError as OpenraftError};
use temps_proto::peer::ProposeRequest;
use temps_state::{NodeId, Rejected, Reply, admits};
use tokio::sync::SemaphorePermit;
use tokio::time::{Instant, sleep, timeout_at};

use super::forward::from_reply;
use super::group::{Group, STOPPED, may_retry};
use crate::config::{ENTRY_BYTES_MAX, LEADER_WAIT, PROPOSE_TIMEOUT, RETRY_PAUSE};
use crate::peer::{PeerError, Target};
use crate::planted::{self, Bug};
use crate::room::ensure_room;
use crate::types::Payload;
use crate::{Committed, Proposal, ProposeError};

impl Group {
    /// Puts a command in the leader's log and answers once it is applied here.
    pub async fn propose(&self, proposal: Proposal) -> Result<Committed, ProposeError> {
        let proposed = self.while_running(self.try_propose(proposal)).await;
        proposed.unwrap_or_else(|| Err(ProposeError::Stopped { reason: STOPPED.into() }))
    }

    async fn try_propose(&self, proposal: Proposal) -> Result<Committed, ProposeError> {
        ensure_room(&self.data_dir, &proposal.actor)?;
        let payload = Payload::of(&proposal.into_entry(Timestamp::now()));
        check_length(&payload)?;
        let end = Instant::now() + PROPOSE_TIMEOUT;
        let _turn = self.turn(end).await?;
        let committed = self.hand_in(payload, Instant::now() + LEADER_WAIT, end).await?;
        let mut applied = self.applied.clone();
        let reached = applied.wait_for(|applied| applied.index >= committed.index);
        match timeout_at(end, reached).await {
            Ok(Ok(_)) => Ok(committed),
            Ok(Err(_)) | Err(_) => Err(ProposeError::Timeout),
        }
    }

    /// Waits while there are as many proposals under way as may be. Without a quorum there is nothing to wait for.
    async fn turn(&self, end: Instant) -> Result<SemaphorePermit<'_>, ProposeError> {
        tokio::select! {
            biased;
            turn = timeout_at(end, self.proposals.acquire()) => {
                turn.ok().and_then(Result::ok).ok_or(ProposeError::NoQuorum)
            }
            () = self.quorum_lost() => Err(ProposeError::NoQuorum),
        }
    }

    /// Tries until somebody takes it. What may be in a log is never handed in again.
    async fn hand_in(
        &self,
        payload: Payload,
        patience: Instant,
        end: Instant,
    ) -> Result<Committed, ProposeError> {
        loop {
            let leader = self.metrics().current_leader.map(NodeId);
            let tried = match leader {
                Some(leader) if leader == self.node => self.write(payload.clone(), end).await,
                Some(leader) => self.forward(leader, payload.clone(), end).await,
                None => Err(ProposeError::NoQuorum),
            };
            match tried {
                Err(ProposeError::NoQuorum) if may_retry(patience) => {
                    sleep(RETRY_PAUSE).await;
                }
                result => return result,
            }
        }
    }

    /// Another node hands in what it was asked for.
    pub(crate) async fn accept(&self, payload: Payload) -> Result<Committed, ProposeError> {
        check_length(&payload)?;
        self.check_leads()?;
        admits(self.applied().nodes.values(), payload.format())?;
        // What no node could read would stop them all.
        let entry = payload
            .entry()
            .map_err(|why| Rejected::Invalid { what: "log entry".into(), why: why.to_string() })?;
        ensure_room(&self.data_dir, &entry.actor)?;
        let end = Instant::now() + PROPOSE_TIMEOUT;
        let _turn = self.turn(end).await?;
        self.write(payload, end).await
    }

    /// Writes it into this node's log, if this node leads and has a quorum.
    async fn write(&self, payload: Payload, end: Instant) -> Result<Committed, ProposeError> {
        self.check_leads()?;
        admits(self.applied().nodes.values(), payload.format())?;
        if planted::is(Bug::WriteWithoutQuorum) {
            // Whoever gives up waiting takes nothing back.
            let _ = timeout_at(Instant::now(), self.raft.client_write(payload)).await;
            return Ok(Committed { index: self.applied().index, reply: Reply::Done });
        }
        let written = tokio::select! {
            written = timeout_at(end, self.raft.client_write(payload)) => written,
            () = self.quorum_lost() => return Err(ProposeError::Timeout),
        };
        use OpenraftError::{APIError, Fatal};
        match written.map_err(|_| ProposeError::Timeout)? {
            Ok(written) => Ok(Committed { index: written.log_id.index, reply: written.data? }),
            Err(APIError(ClientWriteError::ForwardToLeader(_))) => Err(ProposeError::NoQuorum),
            Err(APIError(_)) => Err(ProposeError::Timeout),
            Err(Fatal(fatal)) => Err(ProposeError::Stopped { reason: fatal.to_string() }),
        }
    }

    fn check_leads(&self) -> Result<(), ProposeError> {
        let metrics = self.metrics();
        match &metrics.running_state {
            Err(fatal) => Err(ProposeError::Stopped { reason: fatal.to_string() }),
            Ok(()) if self.leads_quorum(&metrics) => Ok(()),
            Ok(()) => Err(ProposeError::NoQuorum),
        }
    }

    async fn forward(
        &self,
        leader: NodeId,
        payload: Payload,
        end: Instant,
    ) -> Result<Committed, ProposeError> {
        let Some(peers) = &self.peers else { return Err(ProposeError::NoQuorum) };
        // Whoever has not been heard for so long is dead, and not called: nothing is sent, and the next leader can be.
        if !self.hears_quorum().await {
            return Err(ProposeError::NoQuorum);
        }
        let request = ProposeRequest { entry: payload.0 };
        let within = end.saturating_duration_since(Instant::now());
        let to = Target::calls(leader);
        let asked =
            peers.call(&to, within, |mut client| async move { client.propose(request).await });
        let answer: Result<_, PeerError> = tokio::select! {
            answer = asked => answer,
            () = self.quorum_lost() => return Err(ProposeError::Timeout),
        };
        match answer {
            Ok(reply) => from_reply(reply),
            Err(error) if error.is_unsent() => Err(ProposeError::NoQuorum),
            Err(_) => Err(ProposeError::Timeout),
        }
    }
}

fn check_length(payload: &Payload) -> Result<(), ProposeError> {
    match payload.0.len() {
        bytes if bytes > ENTRY_BYTES_MAX => {
            Err(ProposeError::TooLarge { bytes, max: ENTRY_BYTES_MAX })
        }
        _ => Ok(()),
    }
}
