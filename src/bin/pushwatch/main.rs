//! The command line of PushWatch.

mod archive;
mod args;
mod deployment;
mod explain;
mod json_stream;
mod learn;
mod learn_progress;
mod lookup_events;
mod question;
mod render;
mod replay;
mod stack_settings;
mod summary;
mod uploader_key;
mod uploaders;
mod uploaders_csv;
mod uploaders_file;
mod waiting;
mod when;
mod words;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use thiserror::Error;

use args::{Cli, Command};

/// Ctrl-C, as shells count it.
const EXIT_INTERRUPTED: u8 = 130;
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
    #[error(transparent)]
    Parameter(#[from] stack_settings::ParameterError),
    #[error(
        "--known and --save are for the embedded store; the tables of a deployment remember by themselves"
    )]
    TwoStores,
    #[error("--table needs --findings-table and --topic too; --stack NAME finds all three")]
    HalfADeployment,
    #[error(
        "whose uploaders? Give --stack NAME, --table NAME or --file FILE, or set PUSHWATCH_STACK or UPLOADERS_TABLE"
    )]
    NoPlace,
    #[error("there is no terminal to ask on; give --yes if you mean it")]
    NobodyToAsk,
    #[error("no uploader has the key {0}; `pushwatch uploaders list` shows the keys")]
    NoSuchUploader(String),
    #[error("{0} is written by others all the time; try again")]
    Busy(String),
    #[error(
        "{}, named above; nothing is written. Mend them, or pass over them with --skip-bad",
        words::counted(.0, "bad line")
    )]
    BadLines(usize),
    #[error("CloudTrail LookupEvents in {region}: {fault}; {advice}{}", to_go_on(.kept.as_deref()))]
    Lookup {
        region: String,
        fault: String,
        advice: String,
        /// Where it is kept what was read, if something is.
        kept: Option<String>,
    },
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
        Command::Render(args) => render::run(&args),
        Command::Uploaders(args) => uploaders::run(&args),
        Command::Learn(args) => learn::run(&args),
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
            ExitCode::from(match error {
                CommandError::Interrupted => EXIT_INTERRUPTED,
                _ => EXIT_FAULT,
            })
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

/// What a store says, in one line.
#[allow(clippy::needless_pass_by_value)] // for `map_err`
fn store_fault(error: impl std::error::Error) -> CommandError {
    CommandError::Store(error.to_string())
}

/// Runs a future on this thread, to its end or to Ctrl-C: then it is dropped,
/// and cleans up behind it.
fn block_on<T>(future: impl Future<Output = T>) -> Result<T, CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CommandError::Runtime)?;
    let done = runtime.block_on(async {
        tokio::select! {
            done = future => Ok(done),
            Ok(()) = tokio::signal::ctrl_c() => Err(CommandError::Interrupted),
        }
    });
    // Files that are being read are not waited for.
    runtime.shutdown_background();
    done
}

fn to_go_on(kept: Option<&str>) -> String {
    kept.map_or_else(String::new, |kept| {
        format!(". What was read is kept in {kept}: run it again to go on")
    })
}
