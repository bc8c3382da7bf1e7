//! How people are told: a trait, SNS, and the terminal. What they read is made by
//! [`render`](crate::render).

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

/// Tells nobody: for whoever shows findings in a way of his own.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nobody;

impl Notifier for Nobody {
    type Error = Infallible;

    async fn publish(&self, _: Message<'_>, _: Duration) -> Result<String, Infallible> {
        Ok(String::new())
    }
}

/// Tells people.
pub trait Notifier {
    /// What can go wrong.
    type Error: Error;

    /// Tells a message. When this answers, with the message's id, it was
    /// accepted for delivery. What is not accepted `within` this time is an error,
    /// although it may be delivered all the same.
    fn publish(
        &self,
        message: Message<'_>,
        within: Duration,
    ) -> impl Future<Output = Result<String, Self::Error>> + Send;

    /// Whether trying the same message again can't help: any refusal that is not a
    /// matter of time. Telling its findings one by one may help.
    fn is_refused(error: &Self::Error) -> bool {
        let _ = error;
        false
    }

    /// How many of the findings, from the first one, one list can name.
    fn fit(&self, findings: &[Finding]) -> usize {
        findings.len()
    }
}
