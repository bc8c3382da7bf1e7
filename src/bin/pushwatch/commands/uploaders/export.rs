//! `pushwatch uploaders export`.

use std::io::{self, BufWriter, Write as _};
use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;

use clap::Args;
use futures_util::TryStreamExt as _;
use pushwatch::store::Manage;

use crate::deployment::TargetArgs;
use crate::error::{CommandError, exit_code};
use crate::known::{self, write_json};
use crate::list::Save;
use crate::ui::say;

/// Export all uploaders as an uploaders file, a record a line
#[derive(Debug, Args)]
pub struct ExportArgs {
    #[command(flatten)]
    pub target: TargetArgs,

    /// Write to this file instead of standard output
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Exports all uploaders.
pub async fn export<S: Manage>(store: &S, args: &ExportArgs) -> Result<ExitCode, CommandError> {
    // A file is written as a whole or not at all.
    let mut file = args.output.as_deref().map(Save::prepare).transpose()?;
    let mut damaged = 0;
    let mut pages = pin!(known::pages(store));
    while let Some(page) = pages.try_next().await? {
        for fault in &page.damaged {
            say(fault);
        }
        damaged += page.damaged.len();
        if let Some(save) = &mut file {
            save.append(&page.records)?;
        } else {
            let mut output = BufWriter::new(io::stdout().lock());
            for record in &page.records {
                write_json(&mut output, record).map_err(CommandError::Output)?;
            }
            output.flush().map_err(CommandError::Output)?;
        }
    }
    if let Some(save) = file {
        save.finish()?;
    }
    Ok(exit_code(damaged > 0))
}
