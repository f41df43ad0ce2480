//! What is checked before a request is forwarded: [`checks`] are made when the state changes, [`verdict`] judges, and
//! [`Gate`] brings together what is known of a request. All of it is in memory; nothing here waits for anything but a
//! password to be hashed.

mod challenge;
mod checks;
mod cookie;
mod countries;
mod memory;
mod pace;
mod page;
mod password;
mod seal;
mod suspicion;
mod verdict;

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::USER_AGENT;
use http::{HeaderMap, Method};
use pingora_http::RequestHeader;
use temps_state::{AttackMode, ClusterKey, EnvironmentId, Rate, Scope, Trigger};

pub(crate) use checks::{Checks, Guards};
pub(crate) use cookie::strip as strip_passes;
pub use countries::Countries;
pub(crate) use verdict::{Hindrance, Verdict};

use crate::client_share::{SITE_SHARES, network_of, site_of};
use crate::error_page::{Fault, Page, wants_html};
use crate::headers::text;
use cookie::Pass;
use memory::{Memory, ticks};
use pace::Pace;
use password::Passwords;
use seal::Seal;
use verdict::{Asked, Place, judge, kept_out, seconds};

/// For how long a client that gave a reason for a challenge is asked for one.
const SUSPECT_FOR: Duration = Duration::from_secs(600);
/// For how long an address is known once somebody there has solved a challenge.
const KNOWN_FOR: Duration = Duration::from_secs(24 * 3_600);
/// How often one client may try passwords on one node.
const PASSWORD_TRIES: Rate = Rate { requests: 10, seconds: 60, burst: 10 };
/// How often somebody at one address may bring right answers to challenges to one node; each takes a place among those
/// that were answered.
const ANSWERS: Rate = Rate { requests: 60, seconds: 60, burst: 60 };
/// What the checks of a node remember and know.
pub(crate) struct Gate {
    seal: Seal,
    countries: Option<Countries>,
    /// How often clients asked.
    asked: Memory,
    /// How often all clients of an app asked. Apart, so that no crowd of clients has it forgotten.
    common: Memory,
    /// How often clients tried passwords and answered challenges. Apart for the same reason.
    tries: Memory,
    /// Clients that gave reasons for a challenge, and addresses where one was solved.
    known: Memory,
    /// Tokens that were answered.
    used: Memory,
    passwords: Passwords,
}

/// A request, as far as it is looked at here.
#[derive(Clone, Copy)]
pub(crate) struct Caller<'a> {
    /// Its head.
    pub(crate) head: &'a RequestHeader,
    /// The host that it names.
    pub(crate) host: &'a str,
    /// Who sent it.
    pub(crate) client: IpAddr,
    /// Whether it came over TLS.
    pub(crate) https: bool,
    /// Its id.
    pub(crate) request_id: &'a str,
}

/// Where a client sends what a page asked it for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Door {
    /// The answer to a challenge.
    Challenge,
    /// A password.
    Password,
}

/// What is remembered of a client.
#[derive(Hash)]
enum Memo {
    Requests(IpAddr),
    SiteRequests(IpAddr),
    AllRequests,
    Tries(Door, IpAddr),
    SiteTries(Door, IpAddr),
    Suspect(IpAddr),
    Solved(IpAddr),
}

impl Door {
    /// How often one client may knock there on one node.
    fn rate(self) -> Rate {
        match self {
            Self::Challenge => ANSWERS,
            Self::Password => PASSWORD_TRIES,
        }
    }

    /// The door at which a request knocks, where the environment has one. Passwords are for those who solved what there
    /// is to solve.
    pub(crate) fn of(checks: &Checks, verdict: &Verdict, head: &RequestHeader) -> Option<Self> {
        let knocks = |door: &str| head.uri.query() == door.strip_prefix('?');
        let challenged = *verdict == Verdict::Challenge;
        match head.method {
            Method::POST if knocks(challenge::DOOR) => {
                (checks.attack != AttackMode::Off).then_some(Self::Challenge)
            }
            Method::POST if knocks(password::DOOR) => {
                (checks.password.is_some() && !challenged).then_some(Self::Password)
            }
            _ => None,
        }
    }
}

impl Gate {
    /// A gate that remembers nothing yet.
    pub(crate) fn new(key: Option<&ClusterKey>, countries: Option<Countries>) -> Self {
        Self {
            seal: Seal::new(key),
            countries,
            asked: Memory::default(),
            common: Memory::default(),
            tries: Memory::default(),
            known: Memory::default(),
            used: Memory::default(),
            passwords: Passwords::default(),
        }
    }

    /// Judges a request, and counts it where requests are counted.
    pub(crate) fn judge(&self, checks: &Checks, caller: &Caller<'_>) -> Verdict {
        let mut asked = Asked::by(caller.client, self.place_of(checks, caller.client));
        if kept_out(checks, &asked).is_none() {
            self.recognise(checks, caller, &mut asked);
            asked.client_wait = self.client_wait(checks, asked.client);
            // What gets a page of the edge's own costs the app nothing.
            if judge(checks, &asked) == Verdict::Pass {
                asked.common_wait = count(&self.common, checks.in_all, Memo::AllRequests);
            }
        }
        let verdict = judge(checks, &asked);
        if verdict == Verdict::Challenge && (asked.suspicious || asked.client_wait.is_some()) {
            let now = self.known.now();
            let suspect = (checks.environment, Memo::Suspect(network_of(caller.client)));
            self.known.keep(suspect, now, now + ticks(SUSPECT_FOR));
        }
        verdict
    }

    /// How long a client should wait that asked too often, or whose site did.
    fn client_wait(&self, checks: &Checks, client: IpAddr) -> Option<Duration> {
        let counted = |per_client, memo| count(&self.asked, per_client, memo);
        counted(checks.per_client, Memo::Requests(network_of(client))).or_else(|| {
            let of_site = |(scope, pace): (Scope, Pace)| (scope, pace.of_many(SITE_SHARES));
            counted(checks.per_client.map(of_site), Memo::SiteRequests(site_of(client)?))
        })
    }

    /// The page that asks for what a verdict says is missing.
    pub(crate) fn page(&self, checks: &Checks, caller: &Caller<'_>, verdict: &Verdict) -> Page {
        let accept = text(&caller.head.headers, http::header::ACCEPT);
        let html = wants_html(accept);
        match verdict {
            Verdict::Challenge if html => {
                let names = Names::of(checks, caller);
                challenge::page(&self.seal, &names.of_client(), now(), caller.request_id)
            }
            Verdict::Challenge => Page::problem(&Fault::ChallengeRequired, caller.request_id),
            _ if html => {
                let next = caller.head.uri.path_and_query().map_or("/", |target| target.as_str());
                let next = if caller.head.method == Method::GET { next } else { "/" };
                password::page(&Fault::PasswordRequired, next, caller.request_id)
            }
            _ => Page::problem(&Fault::PasswordRequired, caller.request_id),
        }
    }

    /// Takes what a client brings to a door.
    pub(crate) async fn answer(
        &self,
        door: Door,
        checks: &Checks,
        caller: &Caller<'_>,
        form: &[u8],
    ) -> Page {
        match door {
            Door::Challenge => self.take_answer(checks, caller, form),
            Door::Password => self.take_password(checks, caller, form).await,
        }
    }

    fn take_answer(&self, checks: &Checks, caller: &Caller<'_>, form: &[u8]) -> Page {
        let (names, time) = (Names::of(checks, caller), now());
        let (token, number) = (field(form, "token"), field(form, "nonce"));
        let answered = challenge::check(&self.seal, &names.of_client(), &token, &number, time);
        if answered.is_some()
            && let Err(wait) = self.tries(Door::Challenge, checks.environment, caller.client)
        {
            return Page::problem(&Fault::TooManyRequests(seconds(wait)), caller.request_id);
        }
        let fresh = answered.is_some_and(|answered| {
            let now = self.used.now();
            let until = now + ticks(Duration::from_secs(answered.left));
            self.used.keep_once(answered.challenge, now, until)
        });
        if !fresh {
            return Page::problem(&Fault::WrongAnswer, caller.request_id);
        }
        let solved = (checks.environment, Memo::Solved(network_of(caller.client)));
        let now = self.known.now();
        self.known.keep(solved, now, now + ticks(KNOWN_FOR));
        Page::passed(Pass::Solved.give(&self.seal, &names.of_solver(), time, caller.https))
    }

    async fn take_password(&self, checks: &Checks, caller: &Caller<'_>, form: &[u8]) -> Page {
        let next = field(form, "next");
        let refused = |fault: Fault| password::page(&fault, &next, caller.request_id);
        let Some(hash) = &checks.password else { return refused(Fault::PasswordRequired) };
        if let Err(wait) = self.tries(Door::Password, checks.environment, caller.client) {
            return refused(Fault::TooManyPasswords(seconds(wait)));
        }
        match self.passwords.check(field(form, "password"), hash.clone()).await {
            None => refused(Fault::TooManyPasswords(1)),
            Some(false) => refused(Fault::WrongPassword),
            Some(true) => {
                let names = Names::of(checks, caller);
                let bound = names.of_knower(hash);
                let pass = Pass::Unlocked.give(&self.seal, &bound, now(), caller.https);
                Page::sends_on(password::local(&next), pass)
            }
        }
    }

    fn place_of(&self, checks: &Checks, client: IpAddr) -> Place {
        match &self.countries {
            Some(countries) if checks.walls.iter().any(|wall| wall.has_countries()) => {
                countries.place_of(client)
            }
            _ => Place::NotAsked,
        }
    }

    /// Counts what a client tries at one of the doors; else tells when it may again, or another of its site.
    fn tries(&self, door: Door, at: EnvironmentId, client: IpAddr) -> Result<(), Duration> {
        let (pace, now) = (Pace::new(door.rate(), 1), self.tries.now());
        pace.count(&self.tries, (at, Memo::Tries(door, network_of(client))), now)?;
        site_of(client).map_or(Ok(()), |site| {
            let pace = pace.of_many(SITE_SHARES);
            pace.count(&self.tries, (at, Memo::SiteTries(door, site)), now)
        })
    }

    /// Looks who asks, as far as the checks ask for it.
    fn recognise(&self, checks: &Checks, caller: &Caller<'_>, asked: &mut Asked) {
        let headers = &caller.head.headers;
        if checks.attack == AttackMode::Off && checks.password.is_none() {
            return;
        }
        let names = Names::of(checks, caller);
        if checks.attack != AttackMode::Off {
            let bound = names.of_solver();
            asked.passed = Pass::Solved.is_shown(headers, &self.seal, &bound, now());
        }
        if let Some(hash) = &checks.password {
            let bound = names.of_knower(hash);
            asked.unlocked = Pass::Unlocked.is_shown(headers, &self.seal, &bound, now());
        }
        if let AttackMode::Auto { triggers } = &checks.attack {
            let has = |memo: Memo| self.known.has((checks.environment, memo), self.known.now());
            let client = network_of(caller.client);
            asked.suspect = has(Memo::Suspect(client));
            asked.known = triggers.contains(&Trigger::FirstRequest) && has(Memo::Solved(client));
            asked.suspicious = triggers.contains(&Trigger::SuspiciousPattern)
                && is_suspicious(caller.head, headers);
        }
    }
}

/// Counts a request; tells how long to wait where there were too many.
fn count(memory: &Memory, counted: Option<(Scope, Pace)>, memo: Memo) -> Option<Duration> {
    let (scope, pace) = counted?;
    pace.count(memory, (scope, memo), memory.now()).err()
}

fn is_suspicious(head: &RequestHeader, headers: &HeaderMap) -> bool {
    let target = head.uri.path_and_query().map_or("", |target| target.as_str());
    suspicion::is_suspicious(target, text(headers, USER_AGENT))
}

/// What challenges and passes hold for.
struct Names<'a> {
    environment: String,
    host: &'a str,
    client: String,
}

impl<'a> Names<'a> {
    fn of(checks: &Checks, caller: &Caller<'a>) -> Self {
        let Checks { environment, .. } = checks;
        let environment: &EnvironmentId = environment;
        Self {
            environment: environment.to_string(),
            host: caller.host,
            client: network_of(caller.client).to_string(),
        }
    }

    /// Who is to solve a challenge, and where.
    fn of_client(&self) -> [&str; 3] {
        [&self.environment, self.host, &self.client]
    }

    /// Who solved one.
    fn of_solver(&self) -> [&str; 2] {
        [&self.environment, &self.client]
    }

    /// Whoever knows a password.
    fn of_knower<'b>(&'b self, hash: &'b str) -> [&'b str; 2] {
        [&self.environment, hash]
    }
}

/// A field of a form; empty where it is not there.
fn field(form: &[u8], name: &str) -> String {
    let mut fields = form_urlencoded::parse(form);
    fields.find(|(known, _)| known == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use temps_state::Id;

    use super::*;

    #[test]
    fn a_site_asks_as_often_as_a_few_clients() {
        let gate = Gate::new(None, None);
        let environment = EnvironmentId::from_parts(0, 1);
        let answer = |n: u32| {
            let client = format!("2001:db8:0:{:x}::1", (n % 32) << 8).parse().unwrap();
            gate.tries(Door::Password, environment, client)
        };
        let most = PASSWORD_TRIES.burst * SITE_SHARES;
        let taken = (0..32 * most).filter(|n| answer(*n).is_ok()).count();
        assert!((most as usize..most as usize + 4).contains(&taken), "{taken}");
        assert!(gate.tries(Door::Password, environment, "2001:db8:1::".parse().unwrap()).is_ok());
    }

    #[test]
    fn one_address_takes_few_places_of_those_that_answered() {
        let gate = Gate::new(None, None);
        let environment = EnvironmentId::from_parts(0, 1);
        let answer =
            |client: &str| gate.tries(Door::Challenge, environment, client.parse().unwrap());
        let taken = (0..1_000).filter(|_| answer("192.0.2.1").is_ok()).count();
        assert!((60..70).contains(&taken), "{taken}");
        assert!(answer("192.0.2.2").is_ok(), "somebody else");
    }

    #[test]
    fn a_crowd_of_clients_does_not_have_the_common_rate_forgotten() {
        let gate = Gate::new(None, None);
        let pace = Pace::new(Rate { requests: 1, seconds: 86_400, burst: 1 }, 1);
        let counted = Some((Scope::Cluster, pace));
        assert_eq!(count(&gate.common, counted, Memo::AllRequests), None);
        for n in 0..memory::REMEMBERED_MAX * 4 {
            let client = Memo::Requests(IpAddr::from(u32::try_from(n).unwrap().to_be_bytes()));
            count(&gate.asked, counted, client);
        }
        assert!(count(&gate.common, counted, Memo::AllRequests).is_some());
    }
}
