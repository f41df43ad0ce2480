//! A timer that is set often and goes off seldom.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, Sleep, sleep_until};

/// Goes off at the time that it was asked for last. To set it to a later time costs nothing: a timer that is enlisted stays so
/// until it goes off, and only then is set anew.
#[derive(Default)]
pub(super) struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Ready from a time on.
    pub(super) fn poll_at(&mut self, cx: &mut Context<'_>, time: Instant) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(time)));
        if sleep.deadline() > time {
            sleep.as_mut().reset(time);
        }
        loop {
            ready!(sleep.as_mut().poll(cx));
            if sleep.deadline() == time {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(time);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_goes_off_when_asked_last_whether_earlier_or_later() {
        let (mut alarm, began) = (Alarm::default(), Instant::now());
        let mut now = Duration::ZERO;
        for (asked_first, asked_last) in [(5, 9), (30, 12), (13, 13), (14, 60)] {
            let time = |seconds| began + Duration::from_secs(seconds);
            poll_fn(|cx| {
                assert!(alarm.poll_at(cx, time(asked_first)).is_pending());
                Poll::Ready(())
            })
            .await;
            poll_fn(|cx| alarm.poll_at(cx, time(asked_last))).await;
            assert!(began.elapsed() >= time(asked_last) - began && began.elapsed() > now);
            now = began.elapsed();
            assert!(now < Duration::from_secs(asked_last + 1));
        }
    }
}
