//! How many requests of an account are under way at a time, and that none follows once the provider asks to wait.

use tokio::sync::Semaphore;

use crate::ProviderError;
use crate::error::Scope;

/// How many requests of an account are under way at a time.
pub(crate) const REQUESTS_AT_ONCE: usize = 8;

/// Lets requests of an account through, until one shows that no other would fare better.
#[derive(Debug)]
pub(crate) struct Gate(Semaphore);

impl Gate {
    pub(crate) fn new() -> Self {
        Self(Semaphore::new(REQUESTS_AT_ONCE))
    }

    /// What a request leads to; nothing where it was not sent, as none is any more.
    pub(crate) async fn pass<T, E: AsRef<ProviderError>>(
        &self,
        request: impl Future<Output = Result<T, E>>,
    ) -> Option<Result<T, E>> {
        let place = self.0.acquire().await.ok()?;
        let answer = request.await;
        if answer.as_ref().is_err_and(|error| error.as_ref().scope() == Scope::Account) {
            self.0.close();
        }
        drop(place);
        Some(answer)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join_all;
    use tokio::sync::Barrier;

    use super::*;

    #[tokio::test]
    async fn as_many_requests_are_under_way_as_may_be() {
        let (gate, together) = (Gate::new(), Barrier::new(REQUESTS_AT_ONCE));
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let request = || async {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            together.wait().await;
            now.fetch_sub(1, Ordering::SeqCst);
            Ok::<_, ProviderError>(())
        };
        let all = (0..3 * REQUESTS_AT_ONCE).map(|_| gate.pass(request()));
        assert!(join_all(all).await.iter().all(|passed| matches!(passed, Some(Ok(())))));
        assert_eq!(most.into_inner(), REQUESTS_AT_ONCE);
    }

    #[tokio::test]
    async fn none_follows_once_the_provider_asks_to_wait() {
        let gate = Gate::new();
        let fails = |error| gate.pass(std::future::ready(Err::<(), ProviderError>(error)));
        assert!(fails(ProviderError::refused("no")).await.is_some());
        assert!(fails(ProviderError::Limited { wait: None }).await.is_some());
        assert!(fails(ProviderError::refused("no")).await.is_none());
    }
}
