//! A message as SMS: the subject, which every phone shows whole. It has at most 99
//! ASCII characters; a single SMS holds 140 bytes, that is 160 characters of GSM's
//! alphabet.

use super::{Message, subject};

/// The text.
pub(super) fn of(message: Message<'_>) -> String {
    subject::of(message)
}
