//! One order, from wherever it was left to a certificate. What the next step needs is in the state before it is taken.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use instant_acme::{
    Account, AuthorizationStatus, CertificateIdentifier, ChallengeType, Error as CaError,
    Identifier, NewOrder, Order as CaOrder, OrderStatus, RetryPolicy,
};
use jiff::Timestamp;
use temps_certificates::draw_request;
use temps_raft::{Applied, Cluster, Committed, ProposeError, fresh_id};
use temps_state::{
    AcmeSettings, Attempt, Certificate, CertificateSource, Challenge, ChallengeKind, Command,
    DomainName, OrderFailure, Reply, Spending, Spent,
};
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::account::Accounts;
use super::authority::Authority;
use super::due;
use super::error::{AcmeError, of_authority};
use super::ledger::{self, Wish};
use super::renewal_advice::identifier;
use super::way;
use crate::domain_probe::DomainProbe;

/// How long a worker has for one go at an order.
const WORK_MAX: Duration = Duration::from_secs(240);
/// How long it has the right to unless it renews that: after its death somebody else goes on then.
const LEASE: Duration = Duration::from_secs(15);
/// How often it renews it, so that one that comes late ends nothing.
const RENEW_EVERY: Duration = Duration::from_secs(5);
/// How long an order is left alone whose state cannot be changed, as when the disk is full: else it would be tried again at once.
const REFUSED_PAUSE: Duration = Duration::from_secs(5);
/// How long every edge may take to show a challenge.
const EDGES_WITHIN: Duration = Duration::from_secs(20);
/// How an order is looked at again while the authority works on it.
const POLL: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(250))
    .backoff(1.5)
    .timeout(Duration::from_secs(90));

/// Works on orders, for the whole cluster.
pub(crate) struct Worker {
    cluster: Cluster,
    /// Where names lead, as the world finds them.
    probe: DomainProbe,
    /// One account is opened at a time.
    opening: Mutex<()>,
    /// What an authority still allows is looked at and taken by one at a time.
    asking: Mutex<()>,
}

/// The order that a worker has the right to work on.
struct Job<'a> {
    worker: &'a Worker,
    name: &'a DomainName,
    fence: &'a Mutex<u64>,
    settings: AcmeSettings,
    authority: Authority,
}

impl Worker {
    pub(crate) fn new(cluster: Cluster, probe: DomainProbe) -> Self {
        Self { cluster, probe, opening: Mutex::new(()), asking: Mutex::new(()) }
    }

    /// Works on a domain's order until there is a certificate or a reason why not, or the right to it is gone.
    pub(crate) async fn work(&self, name: &DomainName) {
        let Some(fence) = self.lease(name).await else { return sleep(REFUSED_PAUSE).await };
        // What was under way when it was looked whether the order is due, as its end, is in the state now.
        let (state, node) = (self.cluster.state(), self.cluster.node_id());
        if !due::is_needed(&state, node, name, Timestamp::now()) {
            return;
        }
        // Whoever changes the order holds it, so that no fence ends under a change that is on its way.
        let fence = Mutex::new(fence);
        tokio::select! {
            () = self.work_on(name, &fence) => {}
            () = self.renew(name, &fence) => {}
        }
    }

    /// Takes the right to an order from a node that has been silent for too long, so that somebody can go on with it.
    pub(crate) async fn take_from_silent(&self, name: &DomainName, fence: u64) {
        let error = "the node that worked on it has fallen silent".into();
        let failure = OrderFailure { error, retry_at: Timestamp::now(), over: false };
        let command = Command::FailOrder { name: name.clone(), fence, failure, spent: vec![] };
        if let Err(error) = self.cluster.propose_own(command).await {
            info!(%name, %error, "the domain's certificate is still another node's to get");
            sleep(REFUSED_PAUSE).await;
        }
    }

    async fn work_on(&self, name: &DomainName, fence: &Mutex<u64>) {
        let worked = timeout(WORK_MAX, self.get(name, fence)).await;
        let Err(error) = worked.unwrap_or(Err(AcmeError::Timeout(WORK_MAX))) else {
            return info!(%name, "the domain has a new certificate");
        };
        warn!(%name, %error, "the domain got no certificate");
        if let Err(error) = self.fail(name, fence, &error).await {
            warn!(%name, %error, "nobody could be told that the domain got no certificate");
            sleep(REFUSED_PAUSE).await;
        }
    }

    /// Renews the lease; returns when that fails.
    async fn renew(&self, name: &DomainName, fence: &Mutex<u64>) {
        loop {
            sleep(RENEW_EVERY).await;
            let mut fence = fence.lock().await;
            let Some(renewed) = self.lease(name).await else { return };
            *fence = renewed;
        }
    }

    /// The fence of the lease; nothing where somebody else has it.
    async fn lease(&self, name: &DomainName) -> Option<u64> {
        let until = Timestamp::now().checked_add(LEASE).ok()?;
        let node = self.cluster.node_id();
        let command = Command::LeaseOrder { name: name.clone(), node, until };
        match self.cluster.propose_own(command).await {
            Ok(Committed { reply: Reply::Lease { fence }, .. }) => Some(fence),
            Ok(_) => None,
            Err(error) => {
                info!(%name, %error, "the domain's certificate cannot be worked on now");
                None
            }
        }
    }

    async fn get(&self, name: &DomainName, fence: &Mutex<u64>) -> Result<(), AcmeError> {
        let settings = self.cluster.state().settings().acme;
        let authority = Authority::new(&settings)?;
        let job = Job { worker: self, name, fence, settings, authority };
        let used = job.accounts().id()?;
        let got = job.run().await;
        if let Err(AcmeError::AccountGone) = got {
            job.replace_account(used).await?;
        }
        got
    }

    async fn fail(
        &self,
        name: &DomainName,
        fence: &Mutex<u64>,
        error: &AcmeError,
    ) -> Result<(), ProposeError> {
        let state = self.cluster.state();
        let failures = state.orders.get(name).map_or(0, |order| order.failures);
        let now = Timestamp::now();
        let retry_at = error.retry_at(failures, now);
        let over = error.ends_attempt();
        let failure = OrderFailure { error: error.to_string(), retry_at, over };
        let looked = matches!(error, AcmeError::NotFound { .. });
        let directory = &state.settings().acme.directory;
        let spent = looked.then(|| spent(directory, name, Spending::FailedValidation));
        let spent = spent.into_iter().collect();
        let fence = fence.lock().await;
        let command = Command::FailOrder { name: name.clone(), fence: *fence, failure, spent };
        self.cluster.propose_own(command).await.map(drop)
    }
}

impl Job<'_> {
    async fn run(&self) -> Result<(), AcmeError> {
        let account = self.account().await?;
        let mut attempt = self.attempt().await?;
        let mut order = self.order(&account, &mut attempt).await?;
        loop {
            match order.state().status {
                OrderStatus::Pending => self.prove(&mut order, &mut attempt).await?,
                OrderStatus::Ready => {
                    let request = STANDARD.decode(&attempt.request);
                    let request = request.map_err(|error| AcmeError::Kept(error.to_string()))?;
                    self.asked(order.finalize_csr(&request).await)?;
                }
                OrderStatus::Processing | OrderStatus::Valid => break,
                OrderStatus::Invalid => return Err(self.refusal(&mut order).await),
            }
        }
        // As often as the authority says.
        let polled = order.poll_certificate(&POLL).await;
        if order.state().status == OrderStatus::Invalid {
            return Err(self.refusal(&mut order).await);
        }
        self.finish(self.asked(polled)?, &attempt).await
    }

    /// The cluster's account with the authority, opened if there is none.
    async fn account(&self) -> Result<Account, AcmeError> {
        let _turn = self.worker.opening.lock().await;
        self.accounts().get().await
    }

    /// Opens an account in the place of one that is gone, unless somebody did, who works on another name.
    async fn replace_account(&self, gone: Option<String>) -> Result<(), AcmeError> {
        let _turn = self.worker.opening.lock().await;
        if gone.is_some() && self.accounts().id()? == gone {
            self.accounts().replace().await?;
        }
        Ok(())
    }

    fn accounts(&self) -> Accounts<'_> {
        let Self { worker, settings, authority, .. } = self;
        Accounts { cluster: &worker.cluster, settings, authority }
    }

    /// What was kept of the last try with this authority; else a new key and request, kept before anybody sees them.
    async fn attempt(&self) -> Result<Attempt, AcmeError> {
        let state = self.state();
        let kept = state.orders.get(self.name).and_then(|order| order.attempt.clone());
        if let Some(kept) = kept.filter(|kept| kept.directory == self.settings.directory) {
            return Ok(kept);
        }
        way::check(&state, &self.worker.probe, self.name).await?;
        let _turn = self.worker.asking.lock().await;
        let state = self.state();
        let known = state.issued_for(self.name);
        let renews = known.is_some_and(|one| one.is_issued_by(&self.settings.directory));
        let wish = Wish {
            directory: &self.settings.directory,
            name: self.name,
            registered: &ledger::registered(self.name),
            renews,
            wished: !state.domains.contains_key(self.name) && !self.name.is_wildcard(),
        };
        let now = Timestamp::now();
        let under_way = ledger::under_way(state.orders.values(), now);
        let spent = state.spending.values().chain(&under_way);
        ledger::allows(spent, wish, now).map_err(AcmeError::Limited)?;
        let request = draw_request(std::slice::from_ref(self.name))?;
        let attempt = Attempt {
            directory: self.settings.directory.clone(),
            key: self.worker.cluster.seal(&Attempt::place(self.name), &request.key)?,
            request: STANDARD.encode(request.der),
            url: None,
            challenges: vec![],
        };
        self.keep(&attempt, vec![]).await?;
        Ok(attempt)
    }

    /// The order at the authority: the one that was made, or a new one.
    async fn order(&self, account: &Account, attempt: &mut Attempt) -> Result<CaOrder, AcmeError> {
        if let Some(url) = &attempt.url {
            return self.asked(account.order(url.clone()).await);
        }
        let identifiers = [Identifier::Dns(self.name.as_str().into())];
        let new = || NewOrder::new(&identifiers);
        let ordered = match self.replaced() {
            Some(replaced) => match account.new_order(&new().replaces(replaced)).await {
                Err(error) if may_be_about_replacing(&error) => account.new_order(&new()).await,
                ordered => ordered,
            },
            None => account.new_order(&new()).await,
        };
        let order = self.asked(ordered)?;
        attempt.url = Some(order.url().into());
        self.keep(attempt, vec![self.spent(Spending::Order)]).await?;
        Ok(order)
    }

    /// What an authority that gives advice on renewals is told that the new certificate replaces (RFC 9773 §5).
    fn replaced(&self) -> Option<CertificateIdentifier<'static>> {
        let state = self.state();
        let issued = state.issued_for(self.name).filter(|issued| issued.renewal.is_some())?;
        identifier(issued).filter(|_| issued.is_issued_by(&self.settings.directory))
    }

    /// Lets every edge show what the authority will look for, and has it look.
    async fn prove(&self, order: &mut CaOrder, attempt: &mut Attempt) -> Result<(), AcmeError> {
        let kind = self.kind(attempt);
        attempt.challenges = self.challenges(order, kind).await?;
        let index = self.keep(attempt, vec![]).await?;
        self.worker.cluster.wait_edges(index, EDGES_WITHIN).await.map_err(|behind| {
            let behind: Vec<String> = behind.iter().map(ToString::to_string).collect();
            AcmeError::EdgesBehind(behind.join(", "))
        })?;
        let (state, names) = (self.state(), self.worker.probe.names());
        way::wait_for_answers(&state, names, &attempt.challenges, way::SEEN_WITHIN).await?;
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = self.asked(authorization)?;
            if authorization.status != AuthorizationStatus::Pending {
                continue;
            }
            let mut challenge =
                authorization.challenge(asked_as(kind)).ok_or(AcmeError::NoChallenge)?;
            self.asked(challenge.set_ready().await)?;
        }
        let polled = order.poll_ready(&POLL).await;
        // Of an order that came to nothing the library makes an error, too.
        if order.state().status == OrderStatus::Invalid {
            return Err(self.refusal(order).await);
        }
        self.asked(polled).map(drop)
    }

    /// Port 80 first; after a failure port 443, and so on in turn. A wildcard is shown in the DNS alone. What an attempt
    /// began with it goes on with: the authority may be looking already.
    fn kind(&self, attempt: &Attempt) -> ChallengeKind {
        if self.name.is_wildcard() {
            return ChallengeKind::Dns01;
        }
        if let Some(shown) = attempt.challenges.first() {
            return shown.kind;
        }
        let failures = self.state().orders.get(self.name).map_or(0, |order| order.failures);
        if failures.is_multiple_of(2) { ChallengeKind::Http01 } else { ChallengeKind::TlsAlpn01 }
    }

    async fn challenges(
        &self,
        order: &mut CaOrder,
        kind: ChallengeKind,
    ) -> Result<Vec<Challenge>, AcmeError> {
        let mut challenges = Vec::new();
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = self.asked(authorization)?;
            if authorization.status != AuthorizationStatus::Pending {
                continue;
            }
            let challenge =
                authorization.challenge(asked_as(kind)).ok_or(AcmeError::NoChallenge)?;
            challenges.push(Challenge {
                host: self.name.base().into(),
                kind,
                token: challenge.token.clone(),
                answer: challenge.key_authorization().as_str().into(),
            });
        }
        Ok(challenges)
    }

    /// Why an order came to nothing: what the authority says of its look, else of the order.
    async fn refusal(&self, order: &mut CaOrder) -> AcmeError {
        let url = order.url().to_owned();
        let whole = order.state().error.clone();
        let mut authorizations = order.authorizations();
        while let Some(Ok(mut authorization)) = authorizations.next().await {
            let Ok(state) = authorization.refresh().await else { continue };
            let said = state.challenges.iter().find_map(|challenge| challenge.error.clone());
            if let Some(problem) = said {
                let why = problem.detail.clone().unwrap_or_else(|| problem.to_string());
                return AcmeError::NotFound { host: self.name.to_string(), why };
            }
        }
        match whole {
            Some(problem) => AcmeError::Refused(problem),
            None => AcmeError::GivenUp { url },
        }
    }

    async fn finish(&self, chain: String, attempt: &Attempt) -> Result<(), AcmeError> {
        let cluster = &self.worker.cluster;
        let key = cluster.open(&Attempt::place(self.name), &attempt.key)?;
        let now = Timestamp::now();
        let facts = temps_certificates::read_issued(&chain, &key, now)?;
        let id = fresh_id();
        let certificate = Certificate {
            id,
            names: facts.names,
            chain,
            key: cluster.seal(&Certificate::place(id), &key)?,
            not_before: facts.not_before,
            not_after: facts.not_after,
            issuer: facts.issuer,
            source: CertificateSource::Issued {
                domain: self.name.clone(),
                directory: attempt.directory.clone(),
            },
            created_at: now,
            renewal: None,
        };
        let spent = vec![self.spent(Spending::Certificate)];
        let (name, fence) = (self.name.clone(), self.fence.lock().await);
        let finish = Command::FinishOrder { name, fence: *fence, certificate, spent };
        self.worker.cluster.propose_own(finish).await?;
        Ok(())
    }

    /// Keeps how far the attempt has come; the index of its log entry.
    async fn keep(&self, attempt: &Attempt, spent: Vec<Spent>) -> Result<u64, AcmeError> {
        let (name, attempt) = (self.name.clone(), attempt.clone());
        let fence = self.fence.lock().await;
        let command = Command::KeepAttempt { name, fence: *fence, attempt, spent };
        Ok(self.worker.cluster.propose_own(command).await?.index)
    }

    fn spent(&self, what: Spending) -> Spent {
        spent(&self.settings.directory, self.name, what)
    }

    fn state(&self) -> Arc<Applied> {
        self.worker.cluster.state()
    }

    fn asked<T>(&self, answer: Result<T, CaError>) -> Result<T, AcmeError> {
        let of = |error| of_authority(error, &self.settings.directory, self.authority.take_wait());
        answer.map_err(of)
    }
}

/// Something that counts against an authority's limits, now.
fn spent(directory: &str, name: &DomainName, what: Spending) -> Spent {
    Spent {
        at: Timestamp::now(),
        directory: directory.into(),
        name: name.clone(),
        registered: ledger::registered(name),
        what,
    }
}

/// Whether an authority may take the same order where it replaces nothing: whatever it has against it but what passes, or
/// what has to do with the account. An answer that does not say what is replaced counts, as it must (RFC 9773 §5).
fn may_be_about_replacing(error: &CaError) -> bool {
    match error {
        CaError::Api(problem) => {
            let kind = problem.r#type.as_deref().unwrap_or_default();
            let kind = kind.rsplit(':').next().unwrap_or_default();
            let passes = ["badNonce", "rateLimited", "serverInternal", "accountDoesNotExist"];
            !passes.contains(&kind) && problem.status.is_none_or(|status| status < 500)
        }
        CaError::Unsupported(_) => true,
        CaError::Other(why) => why.to_string().starts_with("replaces field mismatch"),
        _ => false,
    }
}

fn asked_as(kind: ChallengeKind) -> ChallengeType {
    match kind {
        ChallengeKind::Http01 => ChallengeType::Http01,
        ChallengeKind::TlsAlpn01 => ChallengeType::TlsAlpn01,
        ChallengeKind::Dns01 => ChallengeType::Dns01,
    }
}
