//! `pushwatch investigate`: from where, by whom, and where does it run.

mod answer;
mod call;
#[cfg(feature = "aws")]
mod event_history;
#[cfg(feature = "aws")]
mod live;
#[cfg(feature = "aws")]
mod registry;
mod source;
#[cfg(feature = "aws")]
mod workloads;
