//! SHA-256 as text: a short name for a long text, which nobody can give to another one.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// The SHA-256 of a text, in 64 hexadecimal digits.
pub(crate) fn sha256_hex(text: &str) -> String {
    let digest = Sha256::digest(text);
    digest.iter().fold(String::new(), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
