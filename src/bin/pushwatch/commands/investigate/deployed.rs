//! With AWS: a finding of a deployment or an event of the event history, and what AWS says
//! of the image now. Archives take the place of the event history.

use std::process::ExitCode;
use std::time::Duration;

use jiff::Timestamp;
use pushwatch::finding::Finding;
use pushwatch::render::RenderContext;
use pushwatch::render::{safe, safe_words};
use pushwatch::store::{DynamoStore, StoredFinding};

use super::conduct::{Case, conduct};
use super::event_history::EventHistory;
use super::live::Live;
use super::offline::ArchiveRecords;
use super::source::Records;
use super::{InvestigateArgs, event_of, finish, names_a_file, subject};
use crate::deployment::{DeploymentError, Session, TablesArgs};
use crate::error::{CommandError, exit_code};
use crate::known::{Findings, find_finding};
use crate::ui::say;

/// How long the id of an event or a finding is.
const ID_LENGTH: usize = 36;

/// Investigates with AWS at hand.
///
/// # Errors
/// When the push is not found, or is none; when a source can't be read at all.
pub async fn investigate(args: &InvestigateArgs) -> Result<ExitCode, CommandError> {
    let tables = args.tables.clone().or_environment();
    tables.check()?;
    let file = names_a_file(args).then(|| subject::in_file(&args.subject));
    let file = file.transpose()?;
    let session = Session::open(tables.region.as_deref(), false).await?;
    let deployment = Deployment::of(&session, &tables).await?;
    let stored = match (&file, &deployment) {
        (None, Some(deployment)) => deployment.finding(subject::id(&args.subject)?).await?,
        _ => None,
    };
    let context = deployment.as_ref().map(|deployment| &deployment.context);
    let mut images = Live::of(&session, args.lambda, args.thorough);
    if !args.archive.is_empty() {
        let mut records = ArchiveRecords::of(&args.archive)?;
        let case = match (file, stored) {
            (Some(case), _) => case,
            (None, Some(case)) => with_record(case, &mut records).await?,
            (None, None) => event_of(subject::id(&args.subject)?, &mut records).await?,
        };
        let investigation = conduct(&case, &mut records, &mut images, context).await?;
        finish(args, &case, &investigation)?;
        return Ok(exit_code(records.has_faults()));
    }
    let known = file.as_ref().or(stored.as_ref());
    let region = known.and_then(|case| case.push.region.as_deref());
    let region = region.unwrap_or(session.region()).to_owned();
    let limit = (!args.thorough).then(|| Duration::from_secs(args.lookup_seconds));
    let mut records = EventHistory::of(&session, &region, limit, Timestamp::now());
    let case = match (file, stored) {
        (Some(case), _) => case,
        // A right that is missing is said with the answers.
        (None, Some(case)) => {
            let record = records.event(&case.push.event_id).await;
            subject::with_record(case, record.ok().flatten())
        }
        (None, None) => {
            let id = subject::id(&args.subject)?;
            event(id, &region, &mut records, deployment.as_ref()).await?
        }
    };
    let investigation = Box::pin(conduct(&case, &mut records, &mut images, context)).await?;
    finish(args, &case, &investigation)?;
    Ok(ExitCode::SUCCESS)
}

/// With the record of a finding, which says more than the finding.
async fn with_record(case: Case, records: &mut ArchiveRecords) -> Result<Case, CommandError> {
    let record = records.event(&case.push.event_id).await?;
    Ok(subject::with_record(case, record))
}

/// The push of an id that no finding has: as the event history has it, or else as a finding
/// about it has.
async fn event(
    id: &str,
    region: &str,
    records: &mut EventHistory,
    deployment: Option<&Deployment>,
) -> Result<Case, CommandError> {
    if let Some(call) = records.event(id).await? {
        return subject::of_call(call);
    }
    let about = match deployment {
        Some(deployment) => deployment.finding_about(id).await?,
        None => None,
    };
    about.ok_or_else(|| {
        CommandError::Usage(format!(
            "no finding and no event has the id {}: CloudTrail's event history has 90 days of \
             this account in {region}, up to a quarter of an hour late; name another --region, \
             the --stack of the finding, or an ARCHIVE",
            safe(id, 80)
        ))
    })
}

/// The deployment whose finding it may be.
struct Deployment {
    store: DynamoStore,
    context: RenderContext,
}

impl Deployment {
    /// None where none is named.
    async fn of(session: &Session, tables: &TablesArgs) -> Result<Option<Self>, CommandError> {
        if !tables.name_a_deployment() {
            return Ok(None);
        }
        let names = session.names(tables).await?;
        if names.findings.is_none() {
            return Err(DeploymentError::NoFindings.into());
        }
        Ok(Some(Self {
            store: session.store(&names),
            context: session.render_context(&names, 0),
        }))
    }

    /// The stored finding of an id, or of its beginning.
    async fn finding(&self, id: &str) -> Result<Option<Case>, CommandError> {
        match find_finding(&self.store, id).await {
            Ok(Some(found)) => of_stored(&found).map(Some),
            // No event has so short an id.
            Ok(None) if id.len() < ID_LENGTH => Err(CommandError::NoSuchFinding(safe(id, 80))),
            Ok(None) => Ok(None),
            Err(CommandError::Store(fault)) => {
                say(&format!("The findings can't be read: {fault}"));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The stored finding about an event.
    async fn finding_about(&self, event: &str) -> Result<Option<Case>, CommandError> {
        let findings = match Findings::of(&self.store).await {
            Ok(findings) => findings.readable,
            // It was said before.
            Err(CommandError::Store(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut about = findings.iter().filter(|finding| finding.event_id == event);
        about.next().map(of_stored).transpose()
    }
}

fn of_stored(stored: &StoredFinding) -> Result<Case, CommandError> {
    match serde_json::from_str::<Finding>(&stored.body) {
        Ok(finding) => Ok(subject::of_finding(finding)),
        Err(error) => Err(CommandError::Usage(format!(
            "the body of finding {} can't be read: {}",
            safe(&stored.id, 80),
            safe_words(&error.to_string(), 200)
        ))),
    }
}
