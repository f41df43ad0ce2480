//! One at a time for each name: whoever comes second waits, and finds the work done.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;

/// What is under way, by name. Names nobody waits for are forgotten.
#[derive(Default)]
pub(crate) struct Flights {
    under_way: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl Flights {
    /// Waits until nobody else works on `name`; the work is over when the guard is dropped.
    pub(crate) async fn lock(&self, name: &str) -> OwnedMutexGuard<()> {
        let flight = {
            let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
            under_way.retain(|_, flight| Arc::strong_count(flight) > 1);
            Arc::clone(under_way.entry(name.into()).or_default())
        };
        flight.lock_owned().await
    }
}
