//! Work under way for clients: so much in all, so much for each, and so much for a site of several.

use std::collections::HashMap;
use std::future::pending;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::task::{AbortHandle, Id, JoinSet};

use crate::limits::SITE_SHARES;

/// For whom a task is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Whose {
    /// What counts as one client.
    pub(crate) client: IpAddr,
    /// The site that the client is at, which has but a few clients' shares.
    pub(crate) site: Option<IpAddr>,
}

/// Tasks, each for a client. They end when this is dropped.
pub(crate) struct Crowd {
    tasks: JoinSet<()>,
    places: HashMap<Id, Place>,
    of_client: HashMap<IpAddr, usize>,
    of_site: HashMap<IpAddr, usize>,
    all_max: usize,
    each_max: usize,
    turns: Arc<AtomicU64>,
}

struct Place {
    whose: Whose,
    voice: Voice,
    task: AbortHandle,
}

/// How a task tells that its client spoke.
#[derive(Clone)]
pub(crate) struct Voice {
    turns: Arc<AtomicU64>,
    last: Arc<AtomicU64>,
}

impl Voice {
    fn new(turns: Arc<AtomicU64>) -> Self {
        let voice = Self { turns, last: Arc::default() };
        voice.heard();
        voice
    }

    /// The client spoke just now.
    pub(crate) fn heard(&self) {
        let turn = self.turns.fetch_add(1, Ordering::Relaxed);
        self.last.store(turn, Ordering::Relaxed);
    }
}

impl Crowd {
    /// No tasks yet, and never more than that many.
    pub(crate) fn new(all_max: usize, each_max: usize) -> Self {
        Self {
            tasks: JoinSet::new(),
            places: HashMap::new(),
            of_client: HashMap::new(),
            of_site: HashMap::new(),
            all_max,
            each_max,
            turns: Arc::default(),
        }
    }

    /// Whether a client may have another task.
    pub(crate) fn has_room(&self, whose: Whose) -> bool {
        !self.is_full() && self.has_share(whose)
    }

    /// The same, where the task whose client has been silent longest ends for it if there is no place left.
    pub(crate) fn makes_room(&mut self, whose: Whose) -> bool {
        if !self.has_share(whose) {
            return false;
        }
        if self.is_full() {
            self.end_most_silent();
        }
        !self.is_full()
    }

    fn is_full(&self) -> bool {
        self.places.len() >= self.all_max
    }

    /// Whether neither the client nor its site has all that it may have.
    fn has_share(&self, whose: Whose) -> bool {
        let has = |counts: &HashMap<_, usize>, key| counts.get(&key).copied().unwrap_or(0);
        has(&self.of_client, whose.client) < self.each_max
            && whose.site.is_none_or(|site| {
                has(&self.of_site, site) < self.each_max.saturating_mul(SITE_SHARES)
            })
    }

    fn end_most_silent(&mut self) {
        let silence = |place: &Place| place.voice.last.load(Ordering::Relaxed);
        let silent = self.places.iter().min_by_key(|(_, place)| silence(place));
        if let Some(id) = silent.map(|(id, _)| *id) {
            self.forget(id);
        }
    }

    /// Begins a task, which tells when its client speaks.
    pub(crate) fn begin<F>(&mut self, whose: Whose, work: impl FnOnce(Voice) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let voice = Voice::new(self.turns.clone());
        let task = self.tasks.spawn(work(voice.clone()));
        self.places.insert(task.id(), Place { whose, voice, task });
        *self.of_client.entry(whose.client).or_default() += 1;
        if let Some(site) = whose.site {
            *self.of_site.entry(site).or_default() += 1;
        }
    }

    /// Waits for the end of all tasks.
    pub(crate) async fn all_ended(mut self) {
        while self.tasks.join_next().await.is_some() {}
    }

    /// Waits for the end of a task; for ever while there is none.
    pub(crate) async fn ended(&mut self) {
        let id = match self.tasks.join_next_with_id().await {
            Some(Ok((id, ()))) => id,
            Some(Err(error)) => error.id(),
            None => return pending().await,
        };
        self.forget(id);
    }

    /// Gives a place back, and ends its task if that goes on.
    fn forget(&mut self, id: Id) {
        let Some(Place { whose, task, .. }) = self.places.remove(&id) else { return };
        task.abort();
        count_down(&mut self.of_client, whose.client);
        if let Some(site) = whose.site {
            count_down(&mut self.of_site, site);
        }
    }
}

fn count_down(counts: &mut HashMap<IpAddr, usize>, key: IpAddr) {
    match counts.get_mut(&key) {
        Some(has) if *has > 1 => *has -= 1,
        _ => drop(counts.remove(&key)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alone(n: u8) -> Whose {
        Whose { client: IpAddr::from([10, 0, 0, n]), site: None }
    }

    #[tokio::test]
    async fn there_is_room_for_so_many_in_all_and_so_many_each() {
        let [one, two, three] = [1, 2, 3].map(alone);
        let mut crowd = Crowd::new(3, 2);
        crowd.begin(one, |_| async {});
        crowd.begin(one, |_| pending());
        assert!(!crowd.has_room(one) && crowd.has_room(two));
        crowd.begin(two, |_| async { panic!("a task may fail") });
        assert!(!crowd.has_room(three));
        crowd.ended().await;
        crowd.ended().await;
        assert!([one, two, three].into_iter().all(|client| crowd.has_room(client)));
        crowd.begin(one, |_| pending());
        assert!(!crowd.has_room(one));
    }

    #[tokio::test]
    async fn a_site_has_the_shares_of_a_few_clients() {
        let site = |n: u8| Some(IpAddr::from([10, 0, n, 0]));
        let at = |n: usize| Whose { site: site(1), ..alone(n as u8) };
        let mut crowd = Crowd::new(100, 2);
        for n in 0..SITE_SHARES * 2 {
            assert!(crowd.has_room(at(n)), "{n}");
            crowd.begin(at(n), |_| async move {
                if n > 0 {
                    pending().await
                }
            });
        }
        assert!(!crowd.has_room(at(99)) && !crowd.makes_room(at(99)));
        assert!(crowd.has_room(Whose { site: site(2), ..at(99) }));
        crowd.ended().await;
        assert!(crowd.has_room(at(99)));
    }

    #[tokio::test]
    async fn where_all_places_are_taken_the_longest_silent_makes_room() {
        let mut crowd = Crowd::new(3, 2);
        let mut voices = Vec::new();
        for n in 1..=3 {
            crowd.begin(alone(n), |voice| {
                voices.push(voice);
                pending()
            });
        }
        voices[0].heard();
        assert!(!crowd.has_room(alone(4)) && crowd.makes_room(alone(4)));
        crowd.begin(alone(4), |_| pending());
        let there = |crowd: &Crowd| {
            (1..=4).filter(|n| crowd.of_client.contains_key(&alone(*n).client)).collect::<Vec<_>>()
        };
        assert_eq!(there(&crowd), [1, 3, 4]);
        crowd.ended().await;
        assert_eq!(there(&crowd), [1, 3, 4], "its end is counted once");
        assert!(crowd.makes_room(alone(5)));
        assert_eq!(there(&crowd), [1, 4]);
        // Who has all that it may have takes nobody's place.
        crowd.begin(alone(1), |_| pending());
        assert!(!crowd.makes_room(alone(1)));
    }
}
