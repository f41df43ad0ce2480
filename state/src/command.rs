//! What can be asked of the cluster, and what it answers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    AcmeAccount, Actor, ApiKey, ApiKeyId, Attempt, Authority, Built, Certificate, CertificateId,
    Deployment, DeploymentId, DnsProvider, DnsProviderChange, DnsProviderId, Domain, DomainName,
    DomainTarget, EnvironmentId, Failure, Guard, HeaderPolicy, JoinToken, JoinTokenId,
    ManagedRecord, Name, NewDeployment, Node, NodeId, Observed, OrderFailure, Project,
    ProjectChange, ProjectId, RenewalAdvice, ReplicaId, Role, Scope, Session, SessionId, Settings,
    Spent, TagName, TicketKey, User, UserId, Variable, VariableName,
};

/// One entry of the replicated log: a command with everything that apply may not find out by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// When the command was proposed, by the proposer's clock.
    pub at: Timestamp,
    /// Who proposed it.
    pub actor: Actor,
    /// From which address.
    pub from: Option<IpAddr>,
    /// The client's idempotency key: a second entry with the same one changes nothing and gets the same reply, unless it
    /// was asked for something else, see [`fingerprinted`](crate::fingerprinted).
    pub request: Option<String>,
    /// Applied only while this holds.
    pub condition: Option<Condition>,
    /// What to do.
    pub command: Command,
}

/// What must still be so for a command to apply: the `If-Match` of REST.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// The key of a row of the state, such as `projects/prj_…`.
    pub row: String,
    /// The row's tag, see [`State::tag`](crate::State::tag); empty where there must be no such row, which formats before
    /// the third do not know.
    pub tag: String,
}

/// Everything that changes the state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the variants' fields are named after the types they carry")]
pub enum Command {
    /// A node tells what it is, when it starts.
    RecordNode { node: Node },
    /// Founds the cluster's certificate authority.
    FoundAuthority { authority: Authority },
    /// Makes a token that nodes may join with.
    CreateJoinToken { token: JoinToken },
    /// Ends a join token.
    DeleteJoinToken { id: JoinTokenId },
    /// Takes a node in. Its id is the index of this entry, whatever `node` says.
    AdmitNode { token_key: String, node: Node },
    /// The leader does not hear of a node any more.
    LoseNode { id: NodeId },
    /// The leader hears of a node again.
    RegainNode { id: NodeId },
    /// Moves a node's replicas elsewhere and gives it no more.
    DrainNode { id: NodeId },
    /// Takes a drained node back into service.
    UndrainNode { id: NodeId },
    /// Changes a node's labels.
    LabelNode { id: NodeId, set: BTreeMap<String, String>, unset: Vec<String> },
    /// Says that a node is about to run another program, by its digest; the node does that by itself.
    UpgradeNode { id: NodeId, binary: String },
    /// A node's process is about to leave the node to another one, and it will be silent meanwhile.
    HandOverNode { id: NodeId },
    /// A node's container engine no longer answers it, or does again.
    ReportEngine { id: NodeId, away: bool },
    /// Removes a node for ever, if all these are there still: whoever judged that the rest can agree without it counted
    /// on them.
    RemoveNode {
        id: NodeId,
        #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
        beside: BTreeSet<NodeId>,
    },
    /// Creates a project with its production environment.
    CreateProject { project: Project, production: EnvironmentId },
    /// Changes a project.
    ChangeProject { id: ProjectId, change: ProjectChange },
    /// Deletes a project with everything in it.
    DeleteProject { id: ProjectId },
    /// Lets apps of another project call those of a project by their internal names.
    AllowCaller { id: ProjectId, caller: ProjectId },
    /// Lets apps of another project call those of a project no more.
    DenyCaller { id: ProjectId, caller: ProjectId },
    /// Creates a preview environment for a branch.
    CreateEnvironment { id: EnvironmentId, project: ProjectId, branch: String },
    /// Deletes a preview environment with everything in it.
    DeleteEnvironment { id: EnvironmentId },
    /// Sets how many replicas an environment runs.
    SetReplicas { id: EnvironmentId, replicas: u32 },
    /// Sets variables; the next deployment gets them.
    SetVariables { id: EnvironmentId, variables: Vec<(VariableName, Variable)> },
    /// Removes a variable.
    UnsetVariable { id: EnvironmentId, name: VariableName },
    /// Asks for a deployment.
    CreateDeployment { deployment: NewDeployment },
    /// A builder takes a queued deployment.
    StartBuild { id: DeploymentId, on: NodeId },
    /// A node could not build, through its own fault: another one is to.
    ReturnBuild { id: DeploymentId, by: NodeId, failure: Failure },
    /// The build is done.
    FinishBuild { id: DeploymentId, built: Built },
    /// The `beforeDeploy` commands are done.
    FinishPreparing { id: DeploymentId },
    /// The deployment will not become live.
    FailDeployment { id: DeploymentId, failure: Failure },
    /// Calls a deployment off.
    CancelDeployment { id: DeploymentId, reason: String },
    /// Points the environment's route at a deployment.
    SwitchRoute { id: DeploymentId, drain_until: Timestamp },
    /// Goes back to the kept deployment.
    RollBack { environment: EnvironmentId, to: DeploymentId },
    /// Gives a deployment more replicas.
    PlaceReplicas { deployment: DeploymentId, places: Vec<(ReplicaId, NodeId)> },
    /// Gives a replica up for another one elsewhere, in one step.
    MoveReplica { id: ReplicaId, to: NodeId, replacement: ReplicaId },
    /// A node has a deployment's artifact.
    HoldArtifact { id: DeploymentId, node: NodeId },
    /// A node has a deployment's artifact no longer.
    ReleaseArtifact { id: DeploymentId, node: NodeId },
    /// Lets a tag of a pushed image mean a manifest, which one node has with everything that it leads to.
    SetImageTag { name: TagName, manifest: String, holder: NodeId },
    /// Lets a tag of a pushed image mean nothing any more.
    RemoveImageTag { name: TagName },
    /// A node has all that a tag leads to while it means that manifest.
    HoldImage { name: TagName, manifest: String, node: NodeId },
    /// A node lacks something that a tag leads to.
    ReleaseImage { name: TagName, manifest: String, node: NodeId },
    /// A node tells how a replica is.
    ReportReplica { id: ReplicaId, observed: Observed },
    /// Ends a replica that waits for a rollback, so that another one has its room.
    YieldReplica { id: ReplicaId },
    /// Starts to take a replica away.
    DrainReplica { id: ReplicaId, until: Timestamp },
    /// A drain is over.
    EndDrain { id: ReplicaId },
    /// Adds a user.
    CreateUser { user: User },
    /// Changes a user's role or password.
    ChangeUser { id: UserId, role: Option<Role>, password_hash: Option<String> },
    /// Deletes a user with their keys and sessions.
    DeleteUser { id: UserId },
    /// Adds an API key.
    CreateApiKey { key: ApiKey },
    /// Deletes an API key.
    DeleteApiKey { id: ApiKeyId },
    /// Opens a browser session.
    OpenSession { session: Session },
    /// Closes a browser session.
    CloseSession { id: SessionId },
    /// Lets a name lead to an environment.
    CreateDomain { domain: Domain },
    /// Lets a domain lead elsewhere.
    ChangeDomain { name: DomainName, target: DomainTarget },
    /// Says that a name was seen to be the cluster's.
    VerifyDomain { name: DomainName },
    /// Deletes a domain with the certificate that the cluster got for it.
    DeleteDomain { name: DomainName },
    /// Adds a certificate that somebody brought.
    AddCertificate { certificate: Certificate },
    /// Deletes a certificate.
    DeleteCertificate { id: CertificateId },
    /// Keeps what the authority advises about a certificate's renewal.
    AdviseRenewal { id: CertificateId, advice: Option<RenewalAdvice> },
    /// Has a certificate asked for that is for a name of the preview domain.
    WantCertificate { name: DomainName },
    /// Keeps the cluster's account with an authority.
    KeepAccount { account: AcmeAccount },
    /// Gives a node the right to work on a domain's certificate.
    LeaseOrder { name: DomainName, node: NodeId, until: Timestamp },
    /// Keeps how far an order has come.
    KeepAttempt { name: DomainName, fence: u64, attempt: Attempt, spent: Vec<Spent> },
    /// Says that an order failed.
    FailOrder { name: DomainName, fence: u64, failure: OrderFailure, spent: Vec<Spent> },
    /// Takes the certificate that an order brought into use.
    FinishOrder { name: DomainName, fence: u64, certificate: Certificate, spent: Vec<Spent> },
    /// Sets the security headers of the cluster, a project or an environment.
    SetHeaderPolicy { scope: Scope, policy: Option<HeaderPolicy> },
    /// Sets what is checked before requests are forwarded to the cluster's apps, a project's or an environment's.
    SetGuard { scope: Scope, guard: Option<Guard> },
    /// Adds an account with a DNS provider.
    AddDnsProvider { provider: DnsProvider },
    /// Changes an account with a DNS provider. What is not named stays as it is.
    ChangeDnsProvider { id: DnsProviderId, change: DnsProviderChange },
    /// Forgets an account with a DNS provider; the records there stay.
    DeleteDnsProvider { id: DnsProviderId },
    /// Says which records at a DNS provider are the cluster's, and what keeps them from being as they should.
    KeepDnsRecords { id: DnsProviderId, managed: BTreeSet<ManagedRecord>, error: Option<String> },
    /// Adds a key for TLS session tickets.
    RotateTicketKey { key: TicketKey },
    /// Changes the cluster's settings.
    ChangeSettings { settings: Settings },
}

impl Command {
    /// What the audit log calls the command and its target; `None` for what nodes do by themselves.
    pub fn audit(&self) -> Option<(&'static str, String)> {
        Some(match self {
            Self::CreateProject { project, .. } => ("project.create", project.name.to_string()),
            Self::ChangeProject { id, change } => {
                ("project.change", format!("{id}: {}", change.fields().join(", ")))
            }
            Self::DeleteProject { id } => ("project.delete", id.to_string()),
            Self::AllowCaller { id, caller } => ("project.caller.allow", format!("{id}: {caller}")),
            Self::DenyCaller { id, caller } => ("project.caller.deny", format!("{id}: {caller}")),
            Self::CreateEnvironment { id, .. } => ("environment.create", id.to_string()),
            Self::DeleteEnvironment { id } => ("environment.delete", id.to_string()),
            Self::SetReplicas { id, .. } => ("environment.scale", id.to_string()),
            Self::SetVariables { id, variables } => ("variable.set", named(*id, variables)),
            Self::UnsetVariable { id, name } => ("variable.unset", format!("{id}/{name}")),
            Self::CreateDeployment { deployment } => {
                ("deployment.create", deployment.id.to_string())
            }
            Self::CancelDeployment { id, .. } => ("deployment.cancel", id.to_string()),
            Self::RollBack { to, .. } => ("deployment.rollback", to.to_string()),
            Self::SetImageTag { name, .. } => ("image.push", name.to_string()),
            Self::RemoveImageTag { name } => ("image.delete", name.to_string()),
            Self::CreateUser { user } => ("user.create", user.email.clone()),
            Self::ChangeUser { id, .. } => ("user.change", id.to_string()),
            Self::DeleteUser { id } => ("user.delete", id.to_string()),
            Self::CreateApiKey { key } => ("apikey.create", key.id.to_string()),
            Self::DeleteApiKey { id } => ("apikey.delete", id.to_string()),
            Self::OpenSession { session } => ("session.open", session.user.to_string()),
            Self::CloseSession { id } => ("session.close", id.to_string()),
            Self::CreateDomain { domain } => ("domain.create", domain.name.to_string()),
            Self::ChangeDomain { name, .. } => ("domain.change", name.to_string()),
            Self::DeleteDomain { name } => ("domain.delete", name.to_string()),
            Self::AddCertificate { certificate } => ("certificate.add", certificate.id.to_string()),
            Self::DeleteCertificate { id } => ("certificate.delete", id.to_string()),
            Self::SetHeaderPolicy { scope, .. } => ("headers.set", scope.to_string()),
            Self::AddDnsProvider { provider } => ("dns.provider.add", provider.name.to_string()),
            Self::ChangeDnsProvider { id, .. } => ("dns.provider.change", id.to_string()),
            Self::DeleteDnsProvider { id } => ("dns.provider.delete", id.to_string()),
            Self::SetGuard { scope, .. } => ("guard.set", scope.to_string()),
            Self::ChangeSettings { .. } => ("settings.change", String::new()),
            Self::CreateJoinToken { token } => ("node.token", token.id.to_string()),
            Self::DeleteJoinToken { id } => ("node.token.delete", id.to_string()),
            Self::AdmitNode { node, .. } => ("node.join", node.name.clone()),
            Self::DrainNode { id } => ("node.drain", id.to_string()),
            Self::UndrainNode { id } => ("node.undrain", id.to_string()),
            Self::LabelNode { id, .. } => ("node.label", id.to_string()),
            Self::UpgradeNode { id, binary } => ("node.upgrade", format!("{id} to {binary}")),
            Self::RemoveNode { id, .. } => ("node.remove", id.to_string()),
            Self::RecordNode { .. }
            | Self::VerifyDomain { .. }
            | Self::AdviseRenewal { .. }
            | Self::WantCertificate { .. }
            | Self::KeepAccount { .. }
            | Self::LeaseOrder { .. }
            | Self::KeepAttempt { .. }
            | Self::FailOrder { .. }
            | Self::FinishOrder { .. }
            | Self::KeepDnsRecords { .. }
            | Self::RotateTicketKey { .. }
            | Self::FoundAuthority { .. }
            | Self::LoseNode { .. }
            | Self::RegainNode { .. }
            | Self::HandOverNode { .. }
            | Self::ReportEngine { .. }
            | Self::MoveReplica { .. }
            | Self::YieldReplica { .. }
            | Self::HoldArtifact { .. }
            | Self::ReleaseArtifact { .. }
            | Self::HoldImage { .. }
            | Self::ReleaseImage { .. }
            | Self::StartBuild { .. }
            | Self::ReturnBuild { .. }
            | Self::FinishBuild { .. }
            | Self::FinishPreparing { .. }
            | Self::FailDeployment { .. }
            | Self::SwitchRoute { .. }
            | Self::PlaceReplicas { .. }
            | Self::ReportReplica { .. }
            | Self::DrainReplica { .. }
            | Self::EndDrain { .. } => return None,
        })
    }
}

fn named(id: EnvironmentId, variables: &[(VariableName, Variable)]) -> String {
    let names: Vec<&str> = variables.iter().map(|(name, _)| name.as_str()).collect();
    format!("{id}/{}", names.join(","))
}

/// What an applied command answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the variants' fields are named after the types they carry")]
pub enum Reply {
    /// It took effect.
    Done,
    /// A project was created.
    Project { id: ProjectId, production: EnvironmentId },
    /// An environment was created.
    Environment { id: EnvironmentId },
    /// A deployment was created, or brought back by a rollback.
    Deployment { id: DeploymentId, number: u64 },
    /// A user was added.
    User { id: UserId },
    /// An API key was added.
    ApiKey { id: ApiKeyId },
    /// A node was taken in.
    Node { id: NodeId },
    /// A lease was given.
    Lease { fence: u64 },
}

/// Why the cluster refused a command. Nothing changed; asking again gets the same answer until something else changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "type", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum Rejected {
    #[error("there is no {noun} {id}")]
    NotFound { noun: String, id: String },
    #[error("the {noun} {name} exists already")]
    Taken { noun: String, name: String },
    #[error("{row} was changed by somebody else meanwhile")]
    Changed { row: String },
    #[error("there may be at most {max} {noun}")]
    TooMany { noun: String, max: usize },
    #[error("the {what} is not valid: {why}")]
    Invalid { what: String, why: String },
    #[error("project {project} is disabled")]
    Disabled { project: Name },
    #[error("deployment {id} is {phase} already")]
    Finished { id: DeploymentId, phase: String },
    #[error("deployment {deployment} is not kept for a rollback")]
    NotKept { deployment: DeploymentId },
    #[error("deployment {deployment} has built nothing that could run again")]
    NothingBuilt { deployment: DeploymentId },
    #[error("the last admin cannot go")]
    LastAdmin,
    #[error("the join token is not known here")]
    TokenUnknown,
    #[error("the join token expired at {at}")]
    TokenExpired { at: Timestamp },
    #[error("the join token was used up")]
    TokenUsed,
    #[error("node {id} has not finished joining")]
    NodeJoining { id: NodeId },
    #[error("the idempotency key was used for another request already")]
    KeyReused,
    #[error("the last node cannot go")]
    LastNode,
    #[error("node {node} works on it until {until}")]
    Leased { node: NodeId, until: Timestamp },
    #[error("the lease {fence} is over")]
    Fenced { fence: u64 },
}

impl Rejected {
    pub(crate) fn not_found(noun: &str, id: impl Display) -> Self {
        Self::NotFound { noun: noun.into(), id: id.to_string() }
    }

    pub(crate) fn taken(noun: &str, name: impl Display) -> Self {
        Self::Taken { noun: noun.into(), name: name.to_string() }
    }

    pub(crate) fn finished(deployment: &Deployment) -> Self {
        Self::Finished { id: deployment.id, phase: deployment.phase.name().into() }
    }
}
