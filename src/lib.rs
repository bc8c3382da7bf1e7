//! PushWatch notifies you, once, when somebody new pushes a container image to
//! Amazon ECR, and remembers everyone who ever did.
//!
//! The way of a push through this crate:
//!
//! ```text
//! event ─► Push ─► Uploader ─► touch: one conditional write ── known ──► done
//!                                │ refused: the stored record comes back
//!                                ▼
//!                            decide (pure) ─► commit: record + owed finding ─► publish ─► settle
//! ```
//!
//! - [`event`] reads what CloudTrail sends into a [`Push`](event::Push) and the
//!   [`UserIdentity`](event::UserIdentity) behind it; every field may be absent.
//! - [`identity`] says which [`Uploader`](identity::Uploader) that is.
//! - [`decide`] compares the push with the uploader's [`record`] and the
//!   [`policy`], and says what is reported and what is remembered.
//! - [`habit`] says what is usual of an uploader, and what of a push is not.
//! - [`finding`] is what is reported, and [`render`] makes of it what people read.
//! - [`watch`] runs the way above over a [`store`] and a notifier ([`notify`]).
//!
//! All that stands above [`watch`] in this list is pure: it knows no clock, no file
//! and no AWS. Times and settings are handed to it.

pub mod arn;
#[cfg(feature = "sdk")]
pub mod aws;
pub mod clock;
#[cfg(feature = "sdk")]
pub mod config;
pub mod decide;
pub mod event;
pub mod finding;
#[cfg(feature = "function")]
pub mod function;
pub mod glob;
pub mod habit;
mod hash;
pub mod identity;
pub mod notify;
pub mod policy;
pub mod record;
pub mod render;
pub mod store;
pub mod suppress;
pub mod text;
pub mod time;
pub mod watch;
