//! How many requests are under way, in all and of each client: each holds memory, and a file or a connection of its own to an
//! app, and HTTP/2 brings many over one connection. No lock, and nothing grows.
//!
//! Counts by the hash of a key in two rows of a table; the smaller one holds. Keys that share both their places count as
//! one, so a count may be too high, never too low. The hash is seeded anew in every process, so that nobody can choose
//! addresses that share places with another's.

use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::client_share::{Bounds, network_of, site_of};
use crate::error_page::Fault;
use crate::limits::{Limits, REMOTE_PER_CLIENT_MAX};

/// Rows of the table.
const ROWS: usize = 2;
/// Counts of one row.
const COLUMNS: usize = 8_192;

/// The requests that are under way on this node.
pub(crate) struct RequestCount {
    all: AtomicU32,
    counts: Box<[AtomicU32]>,
    seed: RandomState,
    /// How many there may be whatever the settings say.
    most: Option<usize>,
}

/// What is counted.
#[derive(Debug, Hash)]
enum Key {
    Client(IpAddr),
    Site(IpAddr),
    /// What goes to other nodes.
    RemoteClient(IpAddr),
    RemoteSite(IpAddr),
}

/// Keys that one share is counted by.
const KEYS_MAX: usize = 2;

/// Where a key is counted.
type Places = [usize; ROWS];

/// One counted request; it stops counting when dropped.
#[derive(Debug)]
pub(crate) struct RequestShare {
    count: Arc<RequestCount>,
    /// Whether it is one of all, too.
    in_all: bool,
    places: [Option<Places>; KEYS_MAX],
}

impl RequestCount {
    /// Nothing yet, and never more than `most`.
    pub(crate) fn new(most: Option<usize>) -> Self {
        let counts = (0..ROWS * COLUMNS).map(|_| AtomicU32::new(0)).collect();
        Self { all: 0.into(), counts, seed: RandomState::new(), most }
    }

    /// Counts a request; refuses one too many. A proxy that says nothing of its client may be one of many.
    pub(crate) fn take(
        self: &Arc<Self>,
        client: IpAddr,
        limits: &Limits,
    ) -> Result<RequestShare, Fault> {
        let bounds = Bounds::of(limits, self.most);
        let before = self.all.fetch_add(1, Ordering::Relaxed);
        let share = self.nothing(true);
        if !is_below(before, bounds.all) {
            return Err(Fault::Overloaded);
        }
        share.of_client(client, [Key::Client, Key::Site], bounds, limits)
    }

    /// Counts a request that goes to an app of another node, besides.
    pub(crate) fn take_remote(
        self: &Arc<Self>,
        client: IpAddr,
        limits: &Limits,
    ) -> Result<RequestShare, Fault> {
        let bounds = Bounds::of(limits, self.most).per_client_at_most(REMOTE_PER_CLIENT_MAX);
        self.nothing(false).of_client(client, [Key::RemoteClient, Key::RemoteSite], bounds, limits)
    }

    fn nothing(self: &Arc<Self>, in_all: bool) -> RequestShare {
        RequestShare { count: self.clone(), in_all, places: [None; KEYS_MAX] }
    }

    fn places(&self, key: &Key) -> Places {
        let hash = self.seed.hash_one(key);
        [hash, hash >> 32].map(|part| usize::try_from(part % COLUMNS as u64).unwrap_or_default())
    }

    /// The counts of a key, one in each row.
    fn at(&self, places: Places) -> impl Iterator<Item = &AtomicU32> {
        let places = places.into_iter().enumerate().map(|(row, column)| row * COLUMNS + column);
        places.filter_map(|place| self.counts.get(place))
    }
}

impl fmt::Debug for RequestCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestCount").field("most", &self.most).finish_non_exhaustive()
    }
}

impl RequestShare {
    /// Counts one more of a client, and of its site.
    fn of_client(
        mut self,
        client: IpAddr,
        [of_client, of_site]: [fn(IpAddr) -> Key; 2],
        bounds: Bounds,
        limits: &Limits,
    ) -> Result<Self, Fault> {
        let has_share = limits.trusted.contains(client)
            || self.add(&of_client(network_of(client)), bounds.per_client)
                && site_of(client).is_none_or(|site| self.add(&of_site(site), bounds.per_site));
        if has_share { Ok(self) } else { Err(Fault::TooManyAtOnce) }
    }

    /// Counts one more of a key; tells whether there were less than `most`. It counts in any case, until this is dropped.
    fn add(&mut self, key: &Key, most: usize) -> bool {
        let Some(free) = self.places.iter_mut().find(|place| place.is_none()) else { return false };
        let places = self.count.places(key);
        *free = Some(places);
        let counts = self.count.at(places).map(|count| count.fetch_add(1, Ordering::Relaxed));
        is_below(counts.min().unwrap_or(0), most)
    }
}

fn is_below(count: u32, most: usize) -> bool {
    usize::try_from(count).is_ok_and(|count| count < most)
}

impl Drop for RequestShare {
    fn drop(&mut self) {
        let Self { count, in_all, places } = self;
        count.all.fetch_sub(u32::from(*in_all), Ordering::Relaxed);
        for count in places.iter().flatten().flat_map(|places| count.at(*places)) {
            count.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;

    fn few(all: usize, each: usize) -> Limits {
        Limits { connections_max: all, connections_per_client_max: each, ..Limits::default() }
    }

    /// As many as are allowed.
    fn all_of(take: impl Fn() -> Result<RequestShare, Fault>) -> (Vec<RequestShare>, Fault) {
        let mut shares = Vec::new();
        loop {
            match take() {
                Ok(share) => shares.push(share),
                Err(fault) => return (shares, fault),
            }
        }
    }

    /// As many as are allowed of what a client asks.
    fn taken(
        count: &Arc<RequestCount>,
        client: &str,
        limits: &Limits,
    ) -> (Vec<RequestShare>, Fault) {
        all_of(|| count.take(client.parse().unwrap(), limits))
    }

    #[test]
    fn requests_are_bounded_in_all_and_per_client() {
        let count = Arc::new(RequestCount::new(None));
        let limits = few(5, 3);
        let (first, fault) = taken(&count, "192.0.2.1", &limits);
        assert_eq!((first.len(), fault), (3, Fault::TooManyAtOnce));
        let (second, fault) = taken(&count, "192.0.2.2", &limits);
        assert_eq!((second.len(), fault), (2, Fault::Overloaded));
        drop(first);
        let (third, fault) = taken(&count, "192.0.2.2", &limits);
        assert_eq!((third.len(), fault), (1, Fault::TooManyAtOnce));
        drop((second, third));
        let mut counts = count.counts.iter().chain([&count.all]);
        assert!(counts.all(|count| count.load(Ordering::Relaxed) == 0));
    }

    #[test]
    fn one_client_has_but_a_part_of_what_goes_to_other_nodes() {
        let count = Arc::new(RequestCount::new(None));
        let limits = Limits::default();
        let [first, second] = ["192.0.2.1", "192.0.2.2"].map(|client| client.parse().unwrap());
        let (remote, fault) = all_of(|| count.take_remote(first, &limits));
        assert_eq!((remote.len(), fault), (REMOTE_PER_CLIENT_MAX, Fault::TooManyAtOnce));
        assert!(count.take(first, &limits).is_ok());
        assert!(count.take_remote(second, &limits).is_ok());
    }

    #[test]
    fn a_site_has_the_shares_of_a_few_clients() {
        let count = Arc::new(RequestCount::new(None));
        let limits = few(99, 2);
        let of = |n: u32| taken(&count, &format!("2001:db8:0:{:x}::1", n << 8), &limits).0;
        let held: Vec<_> = (0..9).map(of).collect();
        assert_eq!(held.iter().map(Vec::len).sum::<usize>(), 8, "two of each of four clients");
        assert_eq!(taken(&count, "2001:db8:1::1", &limits).0.len(), 2, "another site");
    }

    #[test]
    fn there_are_no_more_than_there_can_be_and_a_client_has_a_part_of_them() {
        let count = Arc::new(RequestCount::new(Some(8)));
        let limits = Limits {
            trusted: [&"192.0.2.9/32".parse().unwrap()].into_iter().collect(),
            ..few(99, 99)
        };
        let (held, _) = taken(&count, "192.0.2.1", &limits);
        assert_eq!(held.len(), 2);
        let (others, fault) = taken(&count, "192.0.2.9", &limits);
        assert_eq!((others.len(), fault), (6, Fault::Overloaded), "a proxy is many");
    }
}
