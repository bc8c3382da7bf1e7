//! What stops a command: one line and an exit code.

use std::io;
use std::process::ExitCode;

use thiserror::Error;

use crate::deployment::DeploymentError;
use crate::list::ListError;
use crate::ui::{AskError, counted};

/// Ctrl-C, as shells count it.
const EXIT_INTERRUPTED: u8 = 130;
/// Something could not be read, or an option is wrong.
const EXIT_FAULT: u8 = 2;

/// The exit code of a command that ran to its end; the faults it met are said.
pub fn exit_code(has_faults: bool) -> ExitCode {
    if has_faults {
        ExitCode::from(EXIT_FAULT)
    } else {
        ExitCode::SUCCESS
    }
}

/// What stops a command.
#[derive(Debug, Error)]
pub enum CommandError {
    #[error("--suppress: {0}")]
    Suppress(#[from] pushwatch::suppress::SuppressionError),
    #[error(transparent)]
    List(#[from] ListError),
    #[error(transparent)]
    Deployment(#[from] DeploymentError),
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error("no uploader has the key {0}; `pushwatch uploaders list` shows the keys")]
    NoSuchUploader(String),
    #[cfg(feature = "aws")]
    #[error("no finding has the id {0}; `pushwatch findings list` shows the ids")]
    NoSuchFinding(String),
    #[error("{0} is written by others all the time; try again")]
    Busy(String),
    #[error(
        "{}, named above; nothing is written. Mend them, or pass over them with --skip-bad",
        counted(.0, "bad line")
    )]
    BadLines(usize),
    #[cfg(feature = "aws")]
    #[error("CloudTrail LookupEvents in {region}: {fault}; {advice}{}", to_go_on(.kept.as_deref()))]
    Lookup {
        region: String,
        fault: String,
        advice: String,
        /// The file that keeps what was read, if one does.
        kept: Option<String>,
    },
    #[cfg(feature = "aws")]
    #[error(
        "{path} can't be read: {fault}; delete it to begin anew, or name another file with --progress"
    )]
    Progress { path: String, fault: String },
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Store(String),
    #[error("stopped; nothing is half-written: run the same command again")]
    Interrupted,
    #[cfg(feature = "aws")]
    #[error("stopped; {0}")]
    LeftBehind(String),
    #[error("no PATH is given, and nothing is piped in; see pushwatch replay --help")]
    NothingToRead,
    #[error("the runtime can't start: {0}")]
    Runtime(io::Error),
    #[error("standard output: {0}")]
    Output(io::Error),
    #[error("this push can't be decided: {0}")]
    Watch(String),
}

impl CommandError {
    /// What a store says, in one line.
    #[allow(clippy::needless_pass_by_value)] // for `map_err`
    pub fn store(error: impl std::error::Error) -> Self {
        Self::Store(error.to_string())
    }

    /// Whether the reader of the output has closed it.
    pub fn is_closed_output(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(match self {
            Self::Interrupted => EXIT_INTERRUPTED,
            #[cfg(feature = "aws")]
            Self::LeftBehind(_) => EXIT_INTERRUPTED,
            _ => EXIT_FAULT,
        })
    }
}

#[cfg(feature = "aws")]
fn to_go_on(kept: Option<&str>) -> String {
    kept.map_or_else(String::new, |kept| {
        format!(". What was read is kept in {kept}: run it again to go on")
    })
}
