//! Where findings are published: a trait, SNS, and the terminal. What people read
//! there is made by [`render`](crate::render).

#[cfg(feature = "sdk")]
mod sns;
#[cfg(feature = "cli")]
mod terminal;

use std::convert::Infallible;
use std::error::Error;
use std::future::Future;
use std::time::Duration;

#[cfg(feature = "sdk")]
pub use sns::SnsNotifier;
#[cfg(feature = "cli")]
pub use terminal::TerminalNotifier;

use crate::finding::Finding;
use crate::render::Message;

/// Publishes nothing: for a command that shows findings in its own way.
#[derive(Debug, Clone, Copy, Default)]
pub struct NullNotifier;

impl Notifier for NullNotifier {
    type Error = Infallible;

    async fn publish(&self, _: Message<'_>, _: Duration) -> Result<String, Infallible> {
        Ok(String::new())
    }
}

/// Publishes messages to people and tools.
pub trait Notifier {
    /// What can go wrong.
    type Error: Error;

    /// Publishes a message. An answer, the message's id, means that it was accepted
    /// for delivery. If it is not accepted `within` this time, that is an error,
    /// although the message may be delivered all the same.
    fn publish(
        &self,
        message: Message<'_>,
        within: Duration,
    ) -> impl Future<Output = Result<String, Self::Error>> + Send;

    /// Whether it is of no use to publish the same message again: it was refused, and
    /// time changes nothing about that. Publishing its findings one by one may help.
    fn is_refused(error: &Self::Error) -> bool {
        let _ = error;
        false
    }

    /// How many of the findings, from the first one, one list can name.
    fn fit(&self, findings: &[Finding]) -> usize {
        findings.len()
    }
}
