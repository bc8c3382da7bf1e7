//! The commands: each owns its options.

#[cfg(feature = "aws")]
mod doctor;
mod explain;
#[cfg(feature = "aws")]
mod findings;
#[cfg_attr(not(feature = "aws"), allow(dead_code))] // what only AWS answers
mod investigate;
#[cfg(feature = "aws")]
mod learn;
#[cfg(feature = "aws")]
mod reconcile;
#[cfg(feature = "aws")]
mod redrive;
mod render;
mod replay;
mod report;
#[cfg(feature = "aws")]
mod status;
mod uploaders;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::error::CommandError;

/// Reports, once, when somebody new pushes a container image to Amazon ECR
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Replay(replay::ReplayArgs),
    Report(report::ReportArgs),
    Explain(explain::ExplainArgs),
    Investigate(investigate::InvestigateArgs),
    Render(render::RenderArgs),
    Uploaders(uploaders::UploadersArgs),
    #[cfg(feature = "aws")]
    Findings(findings::FindingsArgs),
    #[cfg(feature = "aws")]
    Learn(learn::LearnArgs),
    #[cfg(feature = "aws")]
    Reconcile(reconcile::ReconcileArgs),
    #[cfg(feature = "aws")]
    Redrive(redrive::RedriveArgs),
    #[cfg(feature = "aws")]
    Doctor(doctor::DoctorArgs),
    #[cfg(feature = "aws")]
    Status(status::StatusArgs),
    /// Look at the findings of a deployment, and answer them (not in this build, which has no AWS)
    #[cfg(not(feature = "aws"))]
    Findings(NotInThisBuild),
    /// Learn who pushed in the past (not in this build, which has no AWS)
    #[cfg(not(feature = "aws"))]
    Learn(NotInThisBuild),
    /// Hand pushes that never arrived to the function (not in this build, which has no AWS)
    #[cfg(not(feature = "aws"))]
    Reconcile(NotInThisBuild),
    /// Hand what is parked back to the function (not in this build, which has no AWS)
    #[cfg(not(feature = "aws"))]
    Redrive(NotInThisBuild),
    /// Look at each part of a deployment (not in this build, which has no AWS)
    #[cfg(not(feature = "aws"))]
    Doctor(NotInThisBuild),
    /// Show a deployment on one screen (not in this build, which has no AWS)
    #[cfg(not(feature = "aws"))]
    Status(NotInThisBuild),
    /// Print a completion script for a shell
    ///
    /// For bash: pushwatch completions bash > ~/.local/share/bash-completion/completions/pushwatch
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Whatever is typed behind a command that needs the feature `aws`.
#[cfg(not(feature = "aws"))]
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
struct NotInThisBuild {
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<std::ffi::OsString>,
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// When it has to stop.
    pub fn run(&self) -> Result<ExitCode, CommandError> {
        match &self.command {
            Command::Replay(args) => replay::run(args),
            Command::Report(args) => report::run(args),
            Command::Explain(args) => explain::run(args),
            Command::Investigate(args) => investigate::run(args),
            Command::Render(args) => render::run(args),
            Command::Uploaders(args) => uploaders::run(args),
            #[cfg(feature = "aws")]
            Command::Findings(args) => findings::run(args),
            #[cfg(feature = "aws")]
            Command::Learn(args) => learn::run(args),
            #[cfg(feature = "aws")]
            Command::Reconcile(args) => reconcile::run(args),
            #[cfg(feature = "aws")]
            Command::Redrive(args) => redrive::run(args),
            #[cfg(feature = "aws")]
            Command::Doctor(args) => doctor::run(args),
            #[cfg(feature = "aws")]
            Command::Status(args) => status::run(args),
            #[cfg(not(feature = "aws"))]
            Command::Findings(_)
            | Command::Learn(_)
            | Command::Reconcile(_)
            | Command::Redrive(_)
            | Command::Doctor(_)
            | Command::Status(_) => Err(crate::deployment::DeploymentError::NotInThisBuild.into()),
            Command::Completions { shell } => completions(*shell),
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
