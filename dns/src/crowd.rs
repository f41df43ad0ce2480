//! Work under way for clients: so much in all, and so much for each.

use std::collections::HashMap;
use std::future::pending;
use std::net::IpAddr;

use tokio::task::{Id, JoinSet};

/// Tasks, each for a client. They end when this is dropped.
pub(crate) struct Crowd {
    tasks: JoinSet<()>,
    whose: HashMap<Id, IpAddr>,
    of_client: HashMap<IpAddr, usize>,
    all_max: usize,
    each_max: usize,
}

impl Crowd {
    /// No tasks yet, and never more than that many.
    pub(crate) fn new(all_max: usize, each_max: usize) -> Self {
        let (whose, of_client) = (HashMap::new(), HashMap::new());
        Self { tasks: JoinSet::new(), whose, of_client, all_max, each_max }
    }

    /// Whether a client may have another task.
    pub(crate) fn has_room(&self, client: IpAddr) -> bool {
        let has = self.of_client.get(&client).copied().unwrap_or(0);
        self.whose.len() < self.all_max && has < self.each_max
    }

    /// Begins a task.
    pub(crate) fn begin(
        &mut self,
        client: IpAddr,
        work: impl Future<Output = ()> + Send + 'static,
    ) {
        let id = self.tasks.spawn(work).id();
        self.whose.insert(id, client);
        *self.of_client.entry(client).or_default() += 1;
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
        let Some(client) = self.whose.remove(&id) else { return };
        match self.of_client.get_mut(&client) {
            Some(has) if *has > 1 => *has -= 1,
            _ => drop(self.of_client.remove(&client)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn there_is_room_for_so_many_in_all_and_so_many_each() {
        let [one, two, three] = [1, 2, 3].map(|n| IpAddr::from([10, 0, 0, n]));
        let mut crowd = Crowd::new(3, 2);
        crowd.begin(one, async {});
        crowd.begin(one, pending());
        assert!(!crowd.has_room(one) && crowd.has_room(two));
        crowd.begin(two, async { panic!("a task may fail") });
        assert!(!crowd.has_room(three));
        crowd.ended().await;
        crowd.ended().await;
        assert!([one, two, three].into_iter().all(|client| crowd.has_room(client)));
        crowd.begin(one, pending());
        assert!(!crowd.has_room(one));
    }
}
