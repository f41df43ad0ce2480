//! Orders: certificates that the cluster asks an authority for (ACME, RFC 8555), one at a time for each domain.
//!
//! One node works on an order at a time: it holds a lease, and every change carries the lease's fence, the index of the
//! log entry that gave it. So whoever lost its lease changes nothing any more. What is needed to go on is in the state
//! before each step, so that the next worker does not begin anew.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::table::retain;
use crate::{Certificate, DomainName, NodeId, Rejected, Reply, Sealed, State};

/// The most names that an authority is asked to look at for one certificate.
pub const CHALLENGES_MAX: usize = 100;
/// The longest text of an error that is kept, in characters.
const ERROR_CHARS_MAX: usize = 500;
/// For how long it is remembered what was asked of an authority: the longest window of its limits.
pub const SPENDING_REMEMBERED: SignedDuration = SignedDuration::from_hours(7 * 24);
/// The most that is remembered of it.
pub const SPENDING_MAX: usize = 20_000;

/// The cluster's account with an authority.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcmeAccount {
    /// The authority's directory.
    pub directory: String,
    /// The account's key and address in JSON; sealed at [`AcmeAccount::place`].
    pub credentials: Sealed,
    /// When it was opened.
    pub created_at: Timestamp,
}

impl AcmeAccount {
    /// Where the credentials of an account are sealed.
    pub fn place(directory: &str) -> String {
        format!("acme/{directory}")
    }
}

/// A certificate that is wanted for a domain, and how far it has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The domain, or a name of the preview domain.
    pub name: DomainName,
    /// Who works on it.
    pub lease: Option<Lease>,
    /// What is under way; none before the first step and after a failure.
    pub attempt: Option<Attempt>,
    /// How often it failed in a row.
    pub failures: u32,
    /// Why it failed the last time.
    pub error: Option<String>,
    /// Before when it is not tried again.
    pub retry_at: Option<Timestamp>,
}

/// Who may work on an order, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The node.
    pub node: NodeId,
    /// The index of the log entry that gave the lease; greater than that of any lease before.
    pub fence: u64,
    /// When somebody else may take it.
    pub until: Timestamp,
}

/// One try to get a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The authority's directory.
    pub directory: String,
    /// The new key in PEM; sealed at [`Attempt::place`].
    pub key: Sealed,
    /// The certificate request (PKCS #10), in Base64 of DER.
    pub request: String,
    /// The order at the authority, once it is there.
    pub url: Option<String>,
    /// What every edge must answer meanwhile.
    pub challenges: Vec<Challenge>,
}

impl Attempt {
    /// Where the key of an attempt is sealed.
    pub fn place(name: &DomainName) -> String {
        format!("order/{name}/key")
    }
}

/// What an authority looks for to see that a name is ours (RFC 8555 §8, RFC 8737).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// The name that is looked at, without `*.`.
    pub host: String,
    /// Where it looks.
    pub kind: ChallengeKind,
    /// The authority's token.
    pub token: String,
    /// The answer: the token with the thumbprint of the account's key.
    pub answer: String,
}

/// Where an authority looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ChallengeKind {
    /// At a path on port 80.
    #[serde(rename = "http-01")]
    Http01,
    /// At a certificate on port 443.
    #[serde(rename = "tls-alpn-01")]
    TlsAlpn01,
    /// At a TXT record.
    #[serde(rename = "dns-01")]
    Dns01,
}

/// Something that counts against an authority's limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// When.
    pub at: Timestamp,
    /// The authority's directory.
    pub directory: String,
    /// The name.
    pub name: DomainName,
    /// The domain that was registered for the name, by the public suffix list.
    pub registered: String,
    /// What it was.
    pub what: Spending,
}

/// What counts against an authority's limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Spending {
    /// An order was made.
    Order,
    /// The authority looked and did not find what it should.
    FailedValidation,
    /// A certificate was given.
    Certificate,
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderFailure {
    /// In words, for people.
    pub error: String,
    /// Before when it is not tried again.
    pub retry_at: Timestamp,
    /// Whether the attempt is over; else it is gone on with.
    pub over: bool,
}

impl State {
    /// Keeps an account, in the place of one that the authority does not know any more.
    pub(crate) fn keep_account(&mut self, account: AcmeAccount) -> Result<Reply, Rejected> {
        self.acme_accounts.insert(account.directory.clone(), account);
        Ok(Reply::Done)
    }

    /// Gives a node the right to work on a domain's order, unless somebody else has it. A node gets its own again, under
    /// a new fence.
    pub(crate) fn lease_order(
        &mut self,
        index: u64,
        name: &DomainName,
        node: NodeId,
        until: Timestamp,
        at: Timestamp,
    ) -> Result<Reply, Rejected> {
        if !self.may_be_certified(name) {
            return Err(Rejected::not_found("domain", name));
        }
        let mut order = self.orders.get(name).cloned().unwrap_or_else(|| Order::new(name.clone()));
        if let Some(lease) = order.lease.filter(|lease| lease.node != node && at < lease.until) {
            return Err(Rejected::Leased { node: lease.node, until: lease.until });
        }
        order.lease = Some(Lease { node, fence: index, until });
        self.orders.insert(name.clone(), order);
        Ok(Reply::Lease { fence: index })
    }

    pub(crate) fn keep_attempt(
        &mut self,
        name: &DomainName,
        fence: u64,
        attempt: Attempt,
        spent: Vec<Spent>,
    ) -> Result<Reply, Rejected> {
        if attempt.challenges.len() > CHALLENGES_MAX {
            return Err(Rejected::TooMany { noun: "challenges".into(), max: CHALLENGES_MAX });
        }
        let order = self.fenced(name, fence)?.clone();
        self.orders.insert(name.clone(), Order { attempt: Some(attempt), ..order });
        self.spend(fence, spent);
        Ok(Reply::Done)
    }

    pub(crate) fn fail_order(
        &mut self,
        name: &DomainName,
        fence: u64,
        failure: OrderFailure,
        spent: Vec<Spent>,
    ) -> Result<Reply, Rejected> {
        let mut order = self.fenced(name, fence)?.clone();
        let OrderFailure { error, retry_at, over } = failure;
        order.failures = order.failures.saturating_add(1);
        order.error = Some(error.chars().take(ERROR_CHARS_MAX).collect());
        order.retry_at = Some(retry_at);
        order.lease = None;
        order.attempt = order.attempt.filter(|_| !over);
        self.orders.insert(name.clone(), order);
        self.spend(fence, spent);
        Ok(Reply::Done)
    }

    /// The certificate is there: it takes the place of the one before.
    pub(crate) fn finish_order(
        &mut self,
        name: &DomainName,
        fence: u64,
        certificate: Certificate,
        spent: Vec<Spent>,
    ) -> Result<Reply, Rejected> {
        self.fenced(name, fence)?;
        if !certificate.is_issued_for(name) {
            return Err(Rejected::Invalid {
                what: "certificate".into(),
                why: format!("it was not issued for {name}"),
            });
        }
        self.drop_issued(name);
        self.replace_previews(name);
        self.orders.remove(name);
        self.spend(fence, spent);
        self.add_certificate(certificate)
    }

    /// An order that waits after a failure waits no longer.
    pub(crate) fn retry_order(&mut self, name: &DomainName) {
        if let Some(order) = self.orders.get(name).filter(|order| order.retry_at.is_some()) {
            self.orders.insert(name.clone(), Order { retry_at: None, ..order.clone() });
        }
    }

    /// Another authority, or another way to it, may succeed where the one before failed.
    pub(crate) fn retry_orders(&mut self) {
        let names: Vec<DomainName> = self.orders.keys().cloned().collect();
        for name in names {
            self.retry_order(&name);
        }
    }

    fn fenced(&self, name: &DomainName, fence: u64) -> Result<&Order, Rejected> {
        let order = self.orders.get(name).ok_or_else(|| Rejected::not_found("order", name))?;
        match order.lease {
            Some(lease) if lease.fence == fence => Ok(order),
            _ => Err(Rejected::Fenced { fence }),
        }
    }

    /// Remembers what counts against limits, for as long as it does. Keys grow: a lease's fence, then a counter.
    fn spend(&mut self, fence: u64, spent: Vec<Spent>) {
        let Some(now) = spent.iter().map(|one| one.at).max() else { return };
        retain(&mut self.spending, |_, one| now.duration_since(one.at) < SPENDING_REMEMBERED);
        for one in spent {
            let next = self.spending.get_max().map_or(0, |(key, _)| key + 1);
            self.spending.insert(next.max(fence), one);
        }
        while self.spending.len() > SPENDING_MAX {
            self.spending = self.spending.without_min().1;
        }
    }
}

impl Order {
    /// One that nobody works on yet.
    pub fn new(name: DomainName) -> Self {
        Self { name, lease: None, attempt: None, failures: 0, error: None, retry_at: None }
    }
}
