//! Keeps a panic inside a quinn connection from becoming the caller's.
//!
//! quinn guards each connection by a mutex; a panic under it makes every later call on the connection and its streams
//! panic too, destructors included. So those calls go through [`shield`], and the connection then counts as lost. A
//! panic under the endpoint's own mutex cannot be held back: the destructor of quinn's driver panics again while
//! unwinding, which aborts the process. What of that can be foreseen, unfit TLS settings, is checked in `config`.

use std::{
    future::poll_fn,
    io, mem,
    panic::{AssertUnwindSafe, catch_unwind},
    task::Poll,
};

/// Calls into quinn; `None` when it panicked.
pub(crate) fn shield<T>(call: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(call)).ok()
}

/// [`shield`] for a poll of a stream.
pub(crate) fn shield_poll<T>(call: impl FnOnce() -> Poll<io::Result<T>>) -> Poll<io::Result<T>> {
    shield(call).unwrap_or_else(|| Poll::Ready(Err(broken())))
}

/// [`shield`] for a future, which is leaked when it panics.
pub(crate) async fn shield_future<F: Future>(future: F) -> Option<F::Output> {
    let mut future = Box::pin(future);
    let output = poll_fn(|cx| match shield(|| future.as_mut().poll(cx)) {
        Some(polled) => polled.map(Some),
        None => Poll::Ready(None),
    });
    let output = output.await;
    if output.is_none() {
        mem::forget(future);
    }
    output
}

/// Drops a handle after a last call. When that panics, so would the destructor: the handle is leaked then.
pub(crate) fn drop_after<T>(mut handle: T, last: impl FnOnce(&mut T)) {
    match shield(|| last(&mut handle)) {
        Some(()) => drop(handle),
        None => mem::forget(handle),
    }
}

/// What a panic looks like from outside: the same as a lost connection.
pub(crate) fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "the connection broke")
}

#[cfg(test)]
mod tests {
    use super::*;

    struct PanicsInDrop;

    impl Drop for PanicsInDrop {
        fn drop(&mut self) {
            panic!("in drop")
        }
    }

    #[test]
    fn a_panic_in_a_poll_is_a_lost_connection() {
        let Poll::Ready(Err(error)) = shield_poll::<()>(|| panic!("in poll")) else {
            panic!("not an error");
        };
        assert_eq!(error.kind(), io::ErrorKind::NotConnected);
    }

    #[tokio::test]
    async fn a_future_that_panics_has_no_output_and_is_not_dropped() {
        let within = PanicsInDrop;
        let panics = async move {
            let _within = mem::ManuallyDrop::new(within);
            panic!("in poll")
        };
        assert_eq!(shield_future::<_>(panics).await, None::<()>);
        assert_eq!(shield_future(async { 1 }).await, Some(1));
    }

    #[test]
    fn what_would_panic_when_dropped_is_not_dropped() {
        drop_after(PanicsInDrop, |_| panic!("in the last call"));
    }
}
