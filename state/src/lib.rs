//! What the cluster agrees on, as plain data.
//!
//! [`State`] is one value made of tables; it changes only in [`State::apply`], a pure function of the state and a log
//! [`Entry`]. Time, ids and randomness ride in the entry, so that every node that applies the same entries holds the
//! same bytes. This crate knows no clock, no network, no disk and no async.

mod apply;
mod audit;
mod authority;
mod caller;
mod certificate;
mod command;
mod delegation;
mod deployment;
mod dns_provider;
mod domain;
mod domain_name;
mod edge_address;
mod environment;
mod format;
mod guard;
mod header_policy;
mod holder;
mod id;
mod image_tag;
mod join_token;
mod lifecycle;
mod name;
mod network;
mod node;
mod order;
mod preview;
mod project;
mod replica;
mod row;
mod run_config;
mod secret;
mod settings;
mod static_site;
mod table;
mod ticket_key;
mod user;
mod variable_name;
mod zone;

pub use apply::{ANSWERED_MAX, Answered, FINGERPRINTS_SINCE, fingerprinted};
pub use audit::{AUDIT_RECORDS_MAX, Actor, AuditRecord};
pub use authority::Authority;
pub use caller::CALLERS_MAX;
pub use certificate::{
    CERTIFICATE_NAMES_MAX, CERTIFICATES_MAX, CHAIN_BYTES_MAX, Certificate, CertificateSource,
    EXPLANATION_BYTES_MAX, RenewalAdvice,
};
pub use command::{Command, Condition, Entry, Rejected, Reply};
pub use delegation::{
    Delegation, DelegationChange, DelegationFault, DelegationRecord, DelegationSight,
    NAME_SERVERS_MAX,
};
pub use deployment::{
    Artifact, Built, DEPLOYMENTS_KEPT_MAX, Deployment, Failure, FailureCode, Moment, NewDeployment,
    Phase, Returned, Revision, Source,
};
pub use dns_provider::{
    DNS_PROVIDERS_MAX, DnsProvider, DnsProviderChange, DnsTrouble, MANAGED_RECORDS_MAX,
    ManagedRecord, PROVIDER_ZONES_MAX, RecordKind,
};
pub use domain::{
    DOMAIN_PATHS_MAX, DOMAINS_MAX, Domain, DomainTarget, PATH_PREFIX_BYTES_MAX, PROOF_LABEL,
    PathPrefix, REDIRECT_BYTES_MAX, Redirect, RedirectStatus,
};
pub use domain_name::{DOMAIN_NAME_BYTES_MAX, DomainName, DomainNameError};
pub use edge_address::{EdgeAddress, PUBLIC_ADDRESS_LABEL};
pub use environment::{
    ENVIRONMENTS_MAX, Environment, EnvironmentKind, INTERNAL_DOMAIN, PRODUCTION, REPLICAS_MAX,
    VARIABLES_MAX, Variable, host_label,
};
pub use format::{Behind, FORMAT, JUDGED_REMOVALS_SINCE, TooNew, admits};
pub use guard::{
    AttackMode, GUARD_NETWORKS_MAX, Guard, PasswordRule, RATE_PER_SECOND_MAX, RATE_REQUESTS_MAX,
    RATE_SECONDS_MAX, Rate, RateLimit, RateLimitError, Trigger, nearest,
};
pub use header_policy::{HeaderPolicy, POLICY_HEADER_BYTES_MAX, POLICY_HEADERS_MAX, Scope};
pub use id::{
    ApiKeyId, CertificateId, DeploymentId, DnsProviderId, EnvironmentId, Id, IdError, JoinTokenId,
    NodeId, ProjectId, ReplicaId, RequestId, SessionId, UserId,
};
pub use image_tag::{
    IMAGE_TAGS_MAX, ImageTag, REPOSITORY_BYTES_MAX, TAG_BYTES_MAX, TagName, TagNameError,
    is_repository, is_tag,
};
pub use join_token::{JOIN_TOKENS_MAX, JoinToken};
pub use name::{NAME_CHARS_MAX, Name, NameError};
pub use network::{Country, CountryError, Network, NetworkError};
pub use node::{Capacity, LABEL_CHARS_MAX, LABELS_MAX, NODES_MAX, Node, Standing};
pub use order::{
    AcmeAccount, Attempt, CHALLENGES_MAX, Challenge, ChallengeKind, Lease, Order, OrderFailure,
    SPENDING_MAX, SPENDING_REMEMBERED, Spending, Spent,
};
pub use project::{PROJECTS_MAX, Project, ProjectChange, Repository};
pub use replica::{Intent, Observed, Replica, YIELDS_SINCE};
pub use row::{Row, RowError, decode, encode};
pub use run_config::{CronJob, HealthCheck, Resources, RunConfig};
pub use secret::{CLUSTER_KEY_LEN, ClusterKey, NONCE_LEN, SealError, Sealed};
pub use settings::{
    AcmeSettings, BuildSettings, EdgeSettings, PREVIEW_DOMAIN_DEFAULT, SECONDS_MAX, Settings,
    TRUSTED_PROXIES_MAX, eab_key_octets,
};
pub use static_site::{Encoding, MANIFEST, Manifest, StaticFile};
pub use table::State;
pub use ticket_key::{TICKET_KEYS_KEPT, TicketKey};
pub use user::{API_KEYS_MAX, ApiKey, Permission, Role, SESSIONS_MAX, Session, USERS_MAX, User};
pub use variable_name::{VARIABLE_NAME_BYTES_MAX, VariableName, VariableNameError};
pub use zone::{CHALLENGE_LABEL, DnsSettings, NameServer, ZONES_MAX, is_server_label};
