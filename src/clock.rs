//! The time, passed in wherever it matters, so that tests can set it.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use jiff::Timestamp;

/// Tells the time, and lets it pass.
pub trait Clock {
    /// The time now.
    fn now(&self) -> Timestamp;

    /// Waits.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send;

    /// Waits until `time`, if that is to come.
    fn until(&self, time: Timestamp) -> impl Future<Output = ()> + Send;
}

/// What `future` comes to; none if that takes until `deadline`.
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

/// The machine's clock.
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
