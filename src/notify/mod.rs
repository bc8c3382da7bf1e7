//! How people are told: a trait, and a notifier for terminals.

#[cfg(feature = "cli")]
mod terminal;

use std::error::Error;
use std::future::Future;

#[cfg(feature = "cli")]
pub use terminal::{Format, TerminalNotifier};

use crate::finding::Finding;

/// Tells people.
pub trait Notifier {
    /// What can go wrong.
    type Error: Error;

    /// Tells a finding. When this answers, it was accepted for delivery.
    fn publish(&self, finding: &Finding) -> impl Future<Output = Result<(), Self::Error>> + Send;
}
