//! `pushwatch findings answer`.

use std::process::ExitCode;

use clap::Args;
use pushwatch::store::{Answer, AnswerOutcome, Manage as _};
use pushwatch::text::clean_cut;
use pushwatch::time::whole_seconds;

use super::Deployment;
use crate::args::parse_reason;
use crate::deployment::TablesArgs;
use crate::error::CommandError;
use crate::known::answer_in_words;
use crate::ui::say;

/// Note that a finding was looked at, and why it needs no more attention
///
/// Who typed the command and when is kept beside the reason. The finding stays as it is:
/// one that is still owed is published all the same, and the uploader's next push is
/// decided as before. To say something about the uploader, use `pushwatch uploaders trust`
/// or `revoke`, which answer the open findings about it too.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pushwatch findings answer 2f1d8a0c-3b5e-5c1f-9d0a-6f4e2b7a9c11 --stack pushwatch \\
    --reason 'asked Mary: it was the migration'")]
pub struct AnswerArgs {
    /// The finding's id, as `list` shows it; its beginning, if no other id begins so
    id: String,

    /// Why
    #[arg(long, value_name = "TEXT", value_parser = parse_reason)]
    reason: String,

    #[command(flatten)]
    pub tables: TablesArgs,
}

/// Answers a finding.
pub async fn answer(deployment: &Deployment, args: &AnswerArgs) -> Result<ExitCode, CommandError> {
    let finding = deployment.finding(&args.id).await?;
    let shown = clean_cut(&finding.id, 80);
    let answer = Answer {
        by: deployment.session.caller().await?.arn,
        at: whole_seconds(deployment.now),
        reason: clean_cut(&args.reason, 1024),
    };
    let outcome = deployment.store.answer(&finding.id, &answer).await;
    match outcome.map_err(CommandError::store)? {
        AnswerOutcome::Answered => {
            say(&format!("Answered finding {shown}."));
            if finding.owed.is_some() {
                say("It is still owed, and published all the same.");
            }
            Ok(ExitCode::SUCCESS)
        }
        AnswerOutcome::AnsweredBefore(stored) => {
            let before = stored.answer.as_ref().map_or_else(String::new, |answer| {
                format!(", {}", answer_in_words(answer, deployment.now))
            });
            Err(CommandError::Usage(format!(
                "finding {shown} is answered already{before}; that stays"
            )))
        }
        AnswerOutcome::NoSuchFinding => Err(CommandError::NoSuchFinding(shown)),
    }
}
