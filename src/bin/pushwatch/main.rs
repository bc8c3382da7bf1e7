//! The command line of PushWatch.
//!
//! ```text
//! commands/     what each command does, and its options
//!   ├─► input/        pushes out of files, of streams of JSON, and of the event history
//!   ├─► deployment/   which uploaders a command is about; tables and topic in AWS
//!   ├─► known/        the known uploaders of a store: found, changed, written
//!   └─► list/         lists of uploaders: uploaders files, CSV, plain keys
//! ui/           what is said, asked and drawn on the terminal
//! ```

mod args;
mod commands;
#[cfg_attr(not(feature = "aws"), allow(dead_code))] // errors that only AWS meets
mod deployment;
mod error;
mod input;
mod known;
mod list;
mod runtime;
#[cfg_attr(not(feature = "aws"), allow(dead_code, unused_imports))] // for AWS
mod ui;
mod when;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    match commands::Cli::parse().run() {
        Ok(code) => code,
        // Who reads the output has seen enough.
        Err(error) if error.is_closed_output() => ExitCode::SUCCESS,
        Err(error) => {
            ui::say(&format!("error: {error}"));
            error.exit_code()
        }
    }
}
