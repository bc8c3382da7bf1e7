//! Why a list of uploaders can't be used.

use std::io;

use thiserror::Error;

/// Why a list of uploaders can't be used.
#[derive(Debug, Error)]
pub enum ListError {
    #[error("{path}: {error}")]
    Unreadable { path: String, error: io::Error },
    /// The bad lines, so that they can be mended at once.
    #[error("{0}")]
    BadLines(String),
    #[error("{path}: line {line}: {fault}")]
    Form {
        path: String,
        line: u64,
        fault: String,
    },
    #[error(
        "{path} is {form}, which would be rewritten as JSON Lines; `pushwatch uploaders import \
         {path} --file NEW.jsonl` makes an uploaders file of it, `export` one of a deployment"
    )]
    OtherForm { path: String, form: &'static str },
    #[error("{path} can't be written: {error}")]
    Unwritable { path: String, error: io::Error },
}
