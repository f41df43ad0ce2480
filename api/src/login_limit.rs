//! How often somebody may try to log in: per client address and per account, in a table of bounded size.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Failed logins from one address within [`WINDOW`].
pub const ADDRESS_ATTEMPTS_MAX: u32 = 20;
/// Failed logins for one account within [`WINDOW`].
pub const ACCOUNT_ATTEMPTS_MAX: u32 = 10;
/// How long failed logins count.
pub const WINDOW: Duration = Duration::from_secs(60);
/// How many addresses and accounts are remembered; the one with the oldest window goes first.
pub const SUBJECTS_MAX: usize = 10_000;

/// Whom attempts are counted against.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Subject {
    Address(IpAddr),
    Account(String),
}

impl Subject {
    fn attempts_max(&self) -> u32 {
        match self {
            Self::Address(_) => ADDRESS_ATTEMPTS_MAX,
            Self::Account(_) => ACCOUNT_ATTEMPTS_MAX,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Attempts {
    since: Instant,
    count: u32,
}

/// The attempts of late.
#[derive(Debug, Default)]
pub(crate) struct LoginLimit {
    attempts: Mutex<HashMap<Subject, Attempts>>,
}

impl LoginLimit {
    /// Counts an attempt, or says how long to wait.
    pub fn attempt(&self, from: Option<IpAddr>, email: &str, now: Instant) -> Result<(), Duration> {
        let mut table = self.table();
        let subjects = subjects(from, email);
        let wait = subjects.iter().filter_map(|subject| wait(&table, subject, now)).max();
        if let Some(wait) = wait {
            return Err(wait);
        }
        for subject in subjects {
            make_room(&mut table, &subject, now);
            let attempts = table.entry(subject).or_insert(Attempts { since: now, count: 0 });
            if now.duration_since(attempts.since) >= WINDOW {
                *attempts = Attempts { since: now, count: 0 };
            }
            attempts.count += 1;
        }
        Ok(())
    }

    /// Takes an attempt back: it was a good one.
    pub fn succeeded(&self, from: Option<IpAddr>, email: &str) {
        let mut table = self.table();
        for subject in subjects(from, email) {
            if let Some(attempts) = table.get_mut(&subject) {
                attempts.count = attempts.count.saturating_sub(1);
            }
        }
    }

    fn table(&self) -> MutexGuard<'_, HashMap<Subject, Attempts>> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn subjects(from: Option<IpAddr>, email: &str) -> Vec<Subject> {
    let account = Subject::Account(email.to_lowercase().chars().take(254).collect());
    from.map(|from| Subject::Address(network(from))).into_iter().chain([account]).collect()
}

/// An IPv6 client owns a network of 56 bits, as for the edge, so attempts count against that.
fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 72)).into(),
    }
}

fn wait(table: &HashMap<Subject, Attempts>, subject: &Subject, now: Instant) -> Option<Duration> {
    let attempts = table.get(subject).filter(|a| a.count >= subject.attempts_max())?;
    WINDOW.checked_sub(now.duration_since(attempts.since)).filter(|left| !left.is_zero())
}

fn make_room(table: &mut HashMap<Subject, Attempts>, new: &Subject, now: Instant) {
    if table.len() < SUBJECTS_MAX || table.contains_key(new) {
        return;
    }
    table.retain(|_, attempts| now.duration_since(attempts.since) < WINDOW);
    while table.len() >= SUBJECTS_MAX {
        let Some(oldest) = table.iter().min_by_key(|(_, a)| a.since).map(|(s, _)| s.clone()) else {
            return;
        };
        table.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));

    #[test]
    fn an_account_waits_after_too_many_failures_and_may_try_again_later() {
        let limit = LoginLimit::default();
        let start = Instant::now();
        for _ in 0..ACCOUNT_ATTEMPTS_MAX {
            assert_eq!(limit.attempt(None, "a@b.c", start), Ok(()));
        }
        assert_eq!(limit.attempt(None, "A@B.C", start), Err(WINDOW), "in any case");
        assert_eq!(limit.attempt(None, "other@b.c", start), Ok(()));
        assert_eq!(limit.attempt(None, "a@b.c", start + WINDOW), Ok(()));
    }

    #[test]
    fn an_address_waits_whatever_accounts_it_tries() {
        let limit = LoginLimit::default();
        let start = Instant::now();
        for n in 0..ADDRESS_ATTEMPTS_MAX {
            assert_eq!(limit.attempt(HERE, &format!("{n}@b.c"), start), Ok(()));
        }
        assert!(limit.attempt(HERE, "new@b.c", start).is_err());
        assert_eq!(limit.attempt(None, "new@b.c", start), Ok(()), "nothing was counted");
    }

    #[test]
    fn good_logins_do_not_count() {
        let limit = LoginLimit::default();
        let start = Instant::now();
        for _ in 0..100 {
            assert_eq!(limit.attempt(HERE, "a@b.c", start), Ok(()));
            limit.succeeded(HERE, "a@b.c");
        }
    }

    #[test]
    fn the_table_stays_bounded() {
        let limit = LoginLimit::default();
        let start = Instant::now();
        for n in 0..SUBJECTS_MAX + 50 {
            assert_eq!(limit.attempt(None, &format!("{n}@b.c"), start), Ok(()));
        }
        assert_eq!(limit.table().len(), SUBJECTS_MAX);
    }

    #[test]
    fn an_ipv6_client_is_its_network() {
        let a: IpAddr = "2001:db8:1:2:3::4".parse().unwrap();
        let b: IpAddr = "2001:db8:1:2:ffff::".parse().unwrap();
        assert_eq!(network(a), network(b));
    }
}
