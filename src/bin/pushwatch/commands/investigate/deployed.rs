//! With AWS: a finding of a deployment, and archives beside it.

use std::process::ExitCode;

use pushwatch::finding::Finding;
use pushwatch::render::RenderContext;
use pushwatch::store::{DynamoStore, Manage as _};
use pushwatch::text::clean_cut;

use super::conduct::{Case, conduct};
use super::offline::{ArchiveRecords, NotAsked};
use super::source::Records;
use super::{InvestigateArgs, event_of, finish, names_a_file, subject};
use crate::deployment::{DeploymentError, Session};
use crate::error::{CommandError, exit_code};
use crate::known::Findings;

/// How long a finding's id is.
const ID_LENGTH: usize = 36;

/// The deployment whose finding it may be.
struct Deployment {
    session: Session,
    store: DynamoStore,
    context: RenderContext,
}

/// Investigates with AWS at hand.
///
/// # Errors
/// When the push is not found, or is none; when a source can't be read at all.
pub async fn investigate(args: &InvestigateArgs) -> Result<ExitCode, CommandError> {
    let deployment = Deployment::open(args).await?;
    let stored = if names_a_file(args) {
        None
    } else {
        deployment.finding(subject::id(&args.subject)?).await?
    };
    let mut records = ArchiveRecords::of(&args.archive)?;
    let case = case(args, stored, &mut records).await?;
    let context = Some(&deployment.context);
    let investigation = conduct(&case, &mut records, &mut NotAsked, context).await?;
    finish(args, &case, &investigation)?;
    Ok(exit_code(records.has_faults()))
}

/// The push in a file, of a stored finding, or of an event's id.
async fn case(
    args: &InvestigateArgs,
    stored: Option<Finding>,
    records: &mut ArchiveRecords,
) -> Result<Case, CommandError> {
    if names_a_file(args) {
        return subject::in_file(&args.subject);
    }
    match stored {
        // The record says more than the finding.
        Some(finding) => {
            let record = records.event(&finding.push.event_id).await?;
            Ok(subject::with_record(subject::of_finding(finding), record))
        }
        None => event_of(subject::id(&args.subject)?, records).await,
    }
}

impl Deployment {
    async fn open(args: &InvestigateArgs) -> Result<Self, CommandError> {
        let session = Session::open(args.tables.region.as_deref(), false).await?;
        let names = session.names(&args.tables).await?;
        if names.findings.is_none() {
            return Err(DeploymentError::NoFindings.into());
        }
        Ok(Self {
            store: session.store(&names),
            context: session.render_context(&names, 0),
            session,
        })
    }

    /// The stored finding of an id, or of its beginning, or about the event of that id.
    async fn finding(&self, id: &str) -> Result<Option<Finding>, CommandError> {
        let found = self.store.finding(id).await.map_err(CommandError::store)?;
        let body = match found {
            Some(found) => Some(found.body),
            None if id.len() < ID_LENGTH => {
                let mut all = Findings::of(&self.store).await?.readable;
                all.retain(|finding| finding.id.starts_with(id));
                match all.as_slice() {
                    [one] => Some(one.body.clone()),
                    [] => return Err(CommandError::NoSuchFinding(clean_cut(id, 80))),
                    _ => {
                        return Err(CommandError::Usage(format!(
                            "{} findings begin with {}; `pushwatch findings list` shows the ids",
                            all.len(),
                            clean_cut(id, 80)
                        )));
                    }
                }
            }
            None => None,
        };
        let body = body.map(|body| serde_json::from_str(&body));
        body.transpose().map_err(|error| {
            CommandError::Usage(format!(
                "the body of finding {} can't be read: {}",
                clean_cut(id, 80),
                clean_cut(&error.to_string(), 200)
            ))
        })
    }
}
