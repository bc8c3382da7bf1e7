//! The command line of PushWatch.

mod archive;
mod args;
mod deployment;
mod explain;
mod json_stream;
mod replay;
mod summary;
mod uploaders_file;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use thiserror::Error;

use args::{Cli, Command};

/// Something could not be read, or an option is wrong.
const EXIT_FAULT: u8 = 2;
/// There are findings, and somebody asked for this code.
const EXIT_FINDING: u8 = 3;

/// What stops a command: one line and an exit code.
#[derive(Debug, Error)]
enum CommandError {
    #[error("--suppress: {0}")]
    Suppress(#[from] pushwatch::suppress::SuppressionError),
    #[error(transparent)]
    UploadersFile(#[from] uploaders_file::UploadersFileError),
    #[error(transparent)]
    Deployment(#[from] deployment::DeploymentError),
    #[error("no PATH is given, and nothing is piped in; see pushwatch replay --help")]
    NothingToRead,
    #[error("the runtime can't start: {0}")]
    Runtime(io::Error),
    #[error("standard output: {0}")]
    Output(io::Error),
    #[error("this push can't be decided: {0}")]
    Watch(String),
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Replay(args) => replay::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Completions { shell } => completions(shell),
    };
    match result {
        Ok(code) => code,
        // Who reads the output has seen enough.
        Err(CommandError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            say(&format!("error: {error}"));
            ExitCode::from(EXIT_FAULT)
        }
    }
}

fn completions(shell: clap_complete::Shell) -> Result<ExitCode, CommandError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "pushwatch", &mut script);
    io::stdout()
        .write_all(&script)
        .map_err(CommandError::Output)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes a line to standard error, if anybody listens.
fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Runs a future to its end on this thread.
fn block_on<T>(future: impl Future<Output = T>) -> Result<T, CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CommandError::Runtime)?;
    Ok(runtime.block_on(future))
}
