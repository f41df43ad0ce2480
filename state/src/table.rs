//! The state as tables, and the tables as rows.

use imbl::OrdMap;
use imbl::ordmap::DiffItem;
use serde::de::DeserializeOwned;

use crate::row::{Key, Row, RowError, Value, decode, encode_value};
use crate::{
    AcmeAccount, Answered, ApiKey, ApiKeyId, AuditRecord, Authority, Certificate, CertificateId,
    Deployment, DeploymentId, DnsProvider, DnsProviderId, Domain, DomainName, Environment,
    EnvironmentId, Guard, HeaderPolicy, ImageTag, JoinToken, JoinTokenId, Name, Node, NodeId,
    Order, Project, ProjectId, Replica, ReplicaId, Scope, Session, SessionId, Settings, Spent,
    TagName, TicketKey, User, UserId, Variable, VariableName,
};

macro_rules! tables {
    ($($(#[$doc:meta])* $table:ident: $key:ty => $value:ty;)*) => {
        /// Everything the cluster agrees on. Cloning shares all tables, so readers take a copy for nothing.
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        pub struct State {
            $($(#[$doc])* pub $table: OrdMap<$key, $value>,)*
        }

        impl State {
            /// Every row, in a fixed order: equal states give equal rows.
            pub fn rows(&self) -> Vec<Row> {
                let mut rows = Vec::new();
                $(rows.extend(self.$table.iter().map(|(k, v)| row(stringify!($table), k, Some(v))));)*
                rows
            }

            /// The rows that differ from an `older` state, gone ones without a value. Costs what changed, not what is there.
            pub fn changes_since(&self, older: &Self) -> Vec<Row> {
                let mut rows = Vec::new();
                $(changes(stringify!($table), &older.$table, &self.$table, &mut rows);)*
                rows
            }

            /// Puts one row back, as when reading a store or a snapshot.
            pub fn restore(&mut self, key: &str, value: &[u8]) -> Result<(), RowError> {
                let (table, text) = key.split_once('/').ok_or_else(|| RowError::Key(key.into()))?;
                match table {
                    $(stringify!($table) => restore(&mut self.$table, text, value),)*
                    _ => Err(RowError::Key(key.into())),
                }
            }

            fn encoded(&self, key: &str) -> Option<Vec<u8>> {
                let (table, text) = key.split_once('/')?;
                match table {
                    $(stringify!($table) => {
                        Key::from_text(text).and_then(|key: $key| self.$table.get(&key)).map(encode_value)
                    })*
                    _ => None,
                }
            }
        }
    };
}

tables! {
    /// The machines of the cluster.
    nodes: NodeId => Node;
    /// The cluster's certificate authority, under key 0.
    authority: u64 => Authority;
    /// Tokens that nodes may join with.
    join_tokens: JoinTokenId => JoinToken;
    /// What teams deploy.
    projects: ProjectId => Project;
    /// Projects by name.
    project_names: Name => ProjectId;
    /// Where deployments run.
    environments: EnvironmentId => Environment;
    /// Environments by the first label of their host name.
    hosts: String => EnvironmentId;
    /// Names of teams' own.
    domains: DomainName => Domain;
    /// What edges show.
    certificates: CertificateId => Certificate;
    /// Certificates that are wanted, and how far they have come.
    orders: DomainName => Order;
    /// The cluster's accounts with authorities, by directory.
    acme_accounts: String => AcmeAccount;
    /// What was asked of authorities of late.
    spending: u64 => Spent;
    /// Security headers of answers.
    header_policies: Scope => HeaderPolicy;
    /// What is checked before requests are forwarded.
    guards: Scope => Guard;
    /// Accounts with DNS providers.
    dns_providers: DnsProviderId => DnsProvider;
    /// Keys of TLS session tickets, by log index.
    ticket_keys: u64 => TicketKey;
    /// The environments' variables.
    variables: (EnvironmentId, VariableName) => Variable;
    /// Attempts to run a version.
    deployments: DeploymentId => Deployment;
    /// The containers that should be there.
    replicas: ReplicaId => Replica;
    /// What the tags of pushed images mean.
    image_tags: TagName => ImageTag;
    /// Who may log in.
    users: UserId => User;
    /// Users by e-mail address.
    emails: String => UserId;
    /// Keys of programs.
    api_keys: ApiKeyId => ApiKey;
    /// Browser sessions.
    sessions: SessionId => Session;
    /// The cluster's settings, under key 0.
    settings: u64 => Settings;
    /// Who changed what, by log index.
    audit: u64 => AuditRecord;
    /// Replies given, by log index.
    answers: u64 => Answered;
    /// Where in `answers` an idempotency key's reply is.
    requests: String => u64;
}

impl State {
    /// A row's tag: changes whenever the row does. The `ETag` of REST.
    pub fn tag(&self, key: &str) -> Option<String> {
        self.encoded(key).map(|bytes| format!("{:016x}", fnv1a(&bytes)))
    }
}

/// FNV-1a, 64 bit: tells versions of one row apart; nothing secret depends on it.
pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn row<K: Key, V: Value>(table: &str, key: &K, value: Option<&V>) -> Row {
    Row { key: format!("{table}/{}", key.to_text()), value: value.map(encode_value) }
}

fn changes<K, V>(table: &str, older: &OrdMap<K, V>, newer: &OrdMap<K, V>, rows: &mut Vec<Row>)
where
    K: Key + Ord + Clone,
    V: Value + PartialEq + Clone,
{
    rows.extend(older.diff(newer).map(|item| match item {
        DiffItem::Add(key, value) => row(table, key, Some(value)),
        DiffItem::Update { new: (key, value), .. } => row(table, key, Some(value)),
        DiffItem::Remove(key, _) => row::<K, V>(table, key, None),
    }));
}

fn restore<K, V>(table: &mut OrdMap<K, V>, text: &str, value: &[u8]) -> Result<(), RowError>
where
    K: Key + Ord + Clone,
    V: DeserializeOwned + Clone,
{
    let key = K::from_text(text).ok_or_else(|| RowError::Key(text.into()))?;
    table.insert(key, decode(value)?);
    Ok(())
}

/// Removes the rows of a table that do not pass.
pub(crate) fn retain<K: Ord + Clone, V: Clone>(
    table: &mut OrdMap<K, V>,
    passes: impl Fn(&K, &V) -> bool,
) {
    let gone: Vec<K> =
        table.iter().filter(|(k, v)| !passes(k, v)).map(|(k, _)| k.clone()).collect();
    for key in gone {
        table.remove(&key);
    }
}
