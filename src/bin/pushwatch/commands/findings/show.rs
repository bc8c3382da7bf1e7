//! `pushwatch findings show`.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;
use pushwatch::render::safe;
use pushwatch::store::StoredFinding;
use pushwatch::text::clean_cut;

use super::Deployment;
use super::json::write_json;
use crate::deployment::TablesArgs;
use crate::error::CommandError;
use crate::known::{answer_in_words, as_email, delivery};
use crate::ui::ago;

/// Show a finding as it was told, and what became of it
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The finding's id, as `list` shows it; its beginning, if no other id begins so
    id: String,

    #[command(flatten)]
    pub tables: TablesArgs,

    /// As JSON, as the table has it
    #[arg(long)]
    json: bool,
}

/// Shows a finding.
pub async fn show(deployment: &Deployment, args: &ShowArgs) -> Result<ExitCode, CommandError> {
    let finding = deployment.finding(&args.id).await?;
    let mut output = io::stdout();
    let written = if args.json {
        write_json(&mut output, &finding)
    } else {
        let state = words(&finding, deployment.now);
        let email = as_email(&finding, &deployment.render);
        writeln!(output, "{state}\n{email}")
    };
    written.map_err(CommandError::Output)?;
    Ok(ExitCode::SUCCESS)
}

/// What became of it, a line a field.
fn words(finding: &StoredFinding, now: Timestamp) -> String {
    let answer = match &finding.answer {
        Some(answer) => answer_in_words(answer, now),
        None => "by nobody".to_owned(),
    };
    let decided = finding.decided_at;
    let mut shown = format!("{}\n", clean_cut(&finding.id, 80));
    for (label, value) in [
        (
            "reason",
            format!("{} ({})", safe(&finding.reason, 40), finding.severity),
        ),
        ("uploader", clean_cut(&finding.uploader, 1024)),
        ("event", safe(&finding.event_id, 80)),
        ("decided", format!("{decided} ({})", ago(decided, now))),
        ("state", delivery(finding)),
        ("answered", answer),
    ] {
        // Writing to a String cannot fail.
        let _ = writeln!(shown, "  {label:<9} {value}");
    }
    shown
}
