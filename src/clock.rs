//! The time, passed in wherever it matters, so that tests can set it.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use jiff::Timestamp;

/// The time, and ways to wait.
pub trait Clock {
    /// The present time, not cut to whole seconds.
    fn now(&self) -> Timestamp;

    /// Waits this long.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send;

    /// Waits until `time`; not at all if that has passed.
    fn until(&self, time: Timestamp) -> impl Future<Output = ()> + Send;
}

/// The output of `future`; none if the deadline comes first.
pub(crate) async fn before<T>(
    deadline: Timestamp,
    clock: &impl Clock,
    future: impl Future<Output = T>,
) -> Option<T> {
    let mut future = pin!(future);
    let mut too_late = pin!(clock.until(deadline));
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => too_late.as_mut().poll(context).map(|()| None),
    })
    .await
}

/// The clock of the machine, in UTC.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    async fn until(&self, time: Timestamp) {
        let left = time.duration_since(self.now());
        tokio::time::sleep(Duration::try_from(left).unwrap_or_default()).await;
    }
}
