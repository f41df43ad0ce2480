//! The one way the state changes. Pure and total: the same entries in the same order give the same state everywhere.

use serde::{Deserialize, Serialize};

use crate::format::{FIRST, SECOND};
use crate::row::Value;
use crate::{AuditRecord, Command, Entry, Rejected, Reply, State};

/// How many replies are remembered for retries; the oldest goes first.
pub const ANSWERED_MAX: usize = 10_000;

/// The reply that an idempotency key got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// The key, with the digest of what was asked for, see [`fingerprinted`].
    pub request: String,
    /// What it got.
    pub reply: Reply,
}

/// The format of the state from which on idempotency keys may have a digest.
pub const FINGERPRINTS_SINCE: u32 = SECOND as u32;
/// Between an idempotency key and the digest of what was asked for with it. Keys have none.
const FINGERPRINT: char = '.';

/// An idempotency key with the digest of what is asked for: the same key with another one is refused.
pub fn fingerprinted(key: &str, digest: &str) -> String {
    format!("{key}{FINGERPRINT}{digest}")
}

/// The key alone, and the digest if there is one.
fn read_request(request: &str) -> (&str, Option<&str>) {
    match request.split_once(FINGERPRINT) {
        Some((key, digest)) => (key, Some(digest)),
        None => (request, None),
    }
}

/// The first format that had idempotency keys of this kind.
fn request_since(request: &str) -> u8 {
    if read_request(request).1.is_some() { SECOND } else { FIRST }
}

impl Value for Answered {
    fn since(&self) -> u8 {
        request_since(&self.request)
    }
}

impl Entry {
    /// The format that a node must know to read this entry.
    pub fn format(&self) -> u32 {
        let request = self.request.as_deref().map_or(FIRST, request_since);
        self.command.format().max(request.into())
    }
}

impl State {
    /// Applies the log entry at `index`. A rejected entry changes nothing.
    pub fn apply(&mut self, index: u64, entry: Entry) -> Result<Reply, Rejected> {
        if let Some(answer) = entry.request.as_ref().and_then(|request| self.answered(request)) {
            return answer;
        }
        if let Some(condition) = &entry.condition
            && self.tag(&condition.row).unwrap_or_default() != condition.tag
        {
            return Err(Rejected::Changed { row: condition.row.clone() });
        }
        let audit = entry.command.audit();
        let before = self.clone();
        let reply =
            self.perform(index, entry.command, &entry.actor, entry.at).inspect_err(|_| {
                *self = before;
            })?;
        if let Some((action, target)) = audit {
            let (at, actor, from) = (entry.at, entry.actor, entry.from);
            self.record_audit(
                index,
                AuditRecord { at, actor, from, action: action.into(), target },
            );
        }
        if let Some(request) = entry.request {
            self.remember(index, request, reply.clone());
        }
        Ok(reply)
    }

    fn perform(
        &mut self,
        index: u64,
        command: Command,
        by: &crate::Actor,
        at: jiff::Timestamp,
    ) -> Result<Reply, Rejected> {
        use Command::*;
        match command {
            RecordNode { node } => self.record_node(node),
            FoundAuthority { authority } => self.found_authority(authority),
            CreateJoinToken { token } => self.create_join_token(token, at),
            DeleteJoinToken { id } => self.delete_join_token(id),
            AdmitNode { token_key, node } => self.admit_node(index, &token_key, node, at),
            LoseNode { id } => self.set_lost(id, Some(at)),
            RegainNode { id } => self.set_lost(id, None),
            DrainNode { id } => self.set_draining(id, true),
            UndrainNode { id } => self.set_draining(id, false),
            LabelNode { id, set, unset } => self.label_node(id, set, &unset),
            UpgradeNode { id, binary } => self.upgrade_node(id, &binary),
            HandOverNode { id } => self.hand_over_node(id, at),
            ReportEngine { id, away } => self.report_engine(id, away, at),
            RemoveNode { id, beside } => self.remove_node(id, &beside),
            CreateProject { project, production } => self.create_project(project, production),
            ChangeProject { id, change } => self.change_project(id, change),
            DeleteProject { id } => self.delete_project(id),
            AllowCaller { id, caller } => self.allow_caller(id, caller),
            DenyCaller { id, caller } => self.deny_caller(id, caller),
            CreateEnvironment { id, project, branch } => {
                self.create_environment(id, project, branch)
            }
            DeleteEnvironment { id } => self.delete_environment(id),
            SetReplicas { id, replicas } => self.set_replicas(id, replicas),
            SetVariables { id, variables } => self.set_variables(id, variables),
            UnsetVariable { id, name } => self.unset_variable(id, name),
            CreateDeployment { deployment } => self.create_deployment(deployment, by, at),
            StartBuild { id, on } => self.start_build(id, on, at),
            ReturnBuild { id, by, failure } => self.return_build(id, by, failure, at),
            FinishBuild { id, built } => self.finish_build(id, built, at),
            FinishPreparing { id } => self.finish_preparing(id, at),
            FailDeployment { id, failure } => self.fail_deployment(id, failure, at),
            CancelDeployment { id, reason } => self.cancel_deployment(id, reason, at),
            SwitchRoute { id, drain_until } => self.switch_route(id, drain_until, at),
            RollBack { environment, to } => self.roll_back(environment, to, at),
            PlaceReplicas { deployment, places } => self.place_replicas(deployment, places, at),
            MoveReplica { id, to, replacement } => self.move_replica(id, to, replacement, at),
            YieldReplica { id } => self.yield_replica(id),
            HoldArtifact { id, node } => self.hold_artifact(id, node),
            ReleaseArtifact { id, node } => self.release_artifact(id, node),
            SetImageTag { name, manifest, holder } => {
                self.set_image_tag(name, manifest, holder, by, at)
            }
            RemoveImageTag { name } => self.remove_image_tag(&name),
            HoldImage { name, manifest, node } => self.hold_image(&name, &manifest, node),
            ReleaseImage { name, manifest, node } => self.release_image(&name, &manifest, node),
            ReportReplica { id, observed } => self.report_replica(id, observed),
            DrainReplica { id, until } => self.drain_replica(id, until),
            EndDrain { id } => self.end_drain(id, at),
            CreateUser { user } => self.create_user(user),
            ChangeUser { id, role, password_hash } => self.change_user(id, role, password_hash),
            DeleteUser { id } => self.delete_user(id),
            CreateApiKey { key } => self.create_api_key(key),
            DeleteApiKey { id } => self.delete_api_key(id),
            OpenSession { session } => self.open_session(session, at),
            CloseSession { id } => self.close_session(id),
            CreateDomain { domain } => self.create_domain(domain),
            ChangeDomain { name, target } => self.change_domain(&name, target),
            VerifyDomain { name } => self.verify_domain(&name, at),
            DeleteDomain { name } => self.delete_domain(&name),
            AddCertificate { certificate } => self.add_certificate(certificate),
            DeleteCertificate { id } => self.delete_certificate(id),
            AdviseRenewal { id, advice } => self.advise_renewal(id, advice),
            WantCertificate { name } => self.want_certificate(&name),
            KeepAccount { account } => self.keep_account(account),
            LeaseOrder { name, node, until } => self.lease_order(index, &name, node, until, at),
            KeepAttempt { name, fence, attempt, spent } => {
                self.keep_attempt(&name, fence, attempt, spent)
            }
            FailOrder { name, fence, failure, spent } => {
                self.fail_order(&name, fence, failure, spent)
            }
            FinishOrder { name, fence, certificate, spent } => {
                self.finish_order(&name, fence, certificate, spent)
            }
            SetHeaderPolicy { scope, policy } => self.set_header_policy(scope, policy),
            SetGuard { scope, guard } => self.set_guard(scope, guard),
            AddDnsProvider { provider } => self.add_dns_provider(provider),
            ChangeDnsProvider { id, change } => self.change_dns_provider(id, change),
            DeleteDnsProvider { id } => self.delete_dns_provider(id),
            KeepDnsRecords { id, managed, error } => self.keep_dns_records(id, managed, error, at),
            RotateTicketKey { key } => self.rotate_ticket_key(index, key),
            ChangeSettings { settings } => self.change_settings(settings),
        }
    }

    /// Whether a request with this key took effect before.
    pub fn has_answered(&self, request: &str) -> bool {
        self.requests.contains_key(read_request(request).0)
    }

    /// What a request got before that had the same key.
    fn answered(&self, request: &str) -> Option<Result<Reply, Rejected>> {
        let (key, digest) = read_request(request);
        let answered = self.answers.get(self.requests.get(key)?)?;
        let known = read_request(&answered.request).1;
        match digest.zip(known).is_some_and(|(asked, known)| asked != known) {
            true => Some(Err(Rejected::KeyReused)),
            false => Some(Ok(answered.reply.clone())),
        }
    }

    fn remember(&mut self, index: u64, request: String, reply: Reply) {
        self.requests.insert(read_request(&request).0.into(), index);
        self.answers.insert(index, Answered { request, reply });
        while self.answers.len() > ANSWERED_MAX {
            let (oldest, rest) = self.answers.without_min();
            if let Some(answered) = oldest {
                self.requests.remove(read_request(&answered.request).0);
            }
            self.answers = rest;
        }
    }
}
