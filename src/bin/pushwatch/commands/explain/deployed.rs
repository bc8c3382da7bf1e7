//! Why a deployment told of a push, or did not: by event, finding or uploader. It only reads.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use compact_str::CompactString;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use pushwatch::decide::decide;
use pushwatch::event::{self, Event};
use pushwatch::identity::{Uploader, identify};
use pushwatch::policy::Policy;
use pushwatch::record::Record;
use pushwatch::render::safe_words;
use pushwatch::store::{DynamoStore, Store as _, StoredFinding};
use pushwatch::text::clean_cut;

use super::ExplainArgs;
use super::push::{self, Case, Decided};
use super::stored::{self, Settings};
use crate::deployment::{DeploymentError, Session};
use crate::error::{CommandError, exit_code};
use crate::input::event_history::{find_event, lookup_error};
use crate::input::{self, Contents, IdentifiedPush, Selection};
use crate::known::{AT_ONCE, Findings, find};
use crate::ui::{Spinner, say};

/// A deployment, as far as it can be read.
struct Deployment {
    session: Session,
    store: DynamoStore,
    /// None where no findings table is named.
    findings: Option<Vec<StoredFinding>>,
    policy: Policy,
    suppressed_by: &'static str,
    now: Timestamp,
}

/// What is typed.
enum Subject<'a> {
    Finding(&'a StoredFinding),
    Uploader(&'a str),
    /// An event that no finding is stored of.
    Event(&'a str),
}

/// Explains files, then the ids and keys.
///
/// # Errors
/// On a wrong option; when the deployment can't be read; when nothing has an id.
pub async fn explain(args: &ExplainArgs) -> Result<ExitCode, CommandError> {
    let (files, ids): (Vec<&PathBuf>, Vec<_>) = args
        .subjects
        .iter()
        .partition(|subject| subject.as_os_str() == "-" || subject.exists());
    let deployment = Deployment::open(args).await?;
    let subjects = ids.into_iter().map(|id| deployment.subject(id));
    let subjects: Vec<_> = subjects.collect::<Result<_, _>>()?;
    let mut text = String::new();
    let mut has_faults = false;
    if !files.is_empty() {
        let files: Vec<_> = files.into_iter().cloned().collect();
        let contents = input::read(&files, Selection::Everything, deployment.now, false);
        has_faults = contents.fault_count > 0;
        text += &deployment.contents(&contents).await?;
    }
    for subject in subjects {
        text += &match subject {
            Subject::Finding(finding) => deployment.finding(finding).await?,
            Subject::Uploader(key) => deployment.uploader(key).await?,
            Subject::Event(id) => {
                let contents = deployment.event(id).await?;
                deployment.contents(&contents).await?
            }
        };
    }
    io::stdout()
        .write_all(text.as_bytes())
        .map_err(CommandError::Output)?;
    Ok(exit_code(has_faults))
}

impl Deployment {
    async fn open(args: &ExplainArgs) -> Result<Self, CommandError> {
        let tables = &args.tables;
        if args.policy.known.is_some() {
            return Err(DeploymentError::TwoStores.into());
        }
        tables.check()?;
        let session = Session::open(tables.region.as_deref(), false).await?;
        let (names, settings) = session.names_and_settings(tables, &args.policy).await?;
        let set = if let Some(settings) = settings {
            settings.announce(false).policy
        } else {
            say("Tables have no settings: only the options count. --stack NAME has them.");
            Policy::default()
        };
        let store = session.store(&names);
        let reading = Spinner::on("reading the findings", false);
        let findings = if names.findings.is_some() {
            let findings = Findings::of(&store).await?;
            for fault in &findings.damaged {
                say(fault);
            }
            Some(findings.readable)
        } else {
            None
        };
        drop(reading);
        Ok(Self {
            policy: args.policy.before(set)?,
            suppressed_by: match (&args.policy.suppress, &tables.stack) {
                (None, Some(_)) => "SuppressFindings",
                _ => "--suppress",
            },
            session,
            store,
            findings,
            now: Timestamp::now(),
        })
    }

    fn settings(&self) -> Settings<'_> {
        Settings {
            policy: &self.policy,
            suppressed_by: self.suppressed_by,
            now: self.now,
        }
    }

    fn findings(&self) -> impl Iterator<Item = &StoredFinding> {
        self.findings.iter().flatten()
    }

    /// What a word stands for that is no file.
    fn subject<'a>(&'a self, typed: &'a Path) -> Result<Subject<'a>, CommandError> {
        let shown = clean_cut(&typed.to_string_lossy(), 200);
        let unknown = || {
            CommandError::Usage(format!(
                "`{shown}` is no file, and can't be the id of an event or a finding, or an \
                 uploader's key; `pushwatch findings list` and `pushwatch uploaders list` show \
                 them"
            ))
        };
        let id = typed.to_str().ok_or_else(unknown)?;
        if let Some(finding) = self.findings().find(|finding| finding.id == id) {
            return Ok(Subject::Finding(finding));
        }
        if let Some(finding) = self.findings().find(|finding| finding.event_id == id) {
            return Ok(Subject::Finding(finding));
        }
        if id.contains(':') {
            return Ok(Subject::Uploader(id));
        }
        let is_id = id.len() >= 32 && id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        is_id.then_some(Subject::Event(id)).ok_or_else(unknown)
    }

    async fn finding(&self, finding: &StoredFinding) -> Result<String, CommandError> {
        let record = find(&self.store, &finding.uploader).await?;
        let mut lines = stored::heading_of(finding);
        lines.add("uploader", clean_cut(&finding.uploader, 300));
        stored::record(&mut lines, &finding.uploader, record.as_ref(), self.now);
        self.settings().finding(&mut lines, finding);
        Ok(lines.into_text())
    }

    async fn uploader(&self, key: &str) -> Result<String, CommandError> {
        let record = find(&self.store, key).await?;
        let findings = self.findings().filter(|finding| finding.uploader == key);
        let findings: Vec<_> = findings.collect();
        if record.is_none() && findings.is_empty() {
            say(&format!(
                "Nothing is known of {}; `pushwatch uploaders list` shows the keys.",
                clean_cut(key, 200)
            ));
        }
        let lines = self.settings().uploader(key, record.as_ref(), &findings);
        Ok(lines.into_text())
    }

    /// An event out of CloudTrail's event history.
    async fn event(&self, id: &str) -> Result<Contents, CommandError> {
        let region = self.session.region();
        let asking = Spinner::on("asking CloudTrail for the event", false);
        let found = find_event(&self.session, region, id).await;
        drop(asking);
        let found = found.map_err(|fault| lookup_error(region, &fault, None))?;
        let shown = clean_cut(id, 80);
        let Some(found) = found else {
            return Err(CommandError::Usage(format!(
                "no finding and no event has the id {shown}: CloudTrail's event history has 90 \
                 days of this account in {region}; with the event's file, give that"
            )));
        };
        let read = event::read_whole(&found.json, self.now);
        let mut contents = Contents::default();
        match read.map_err(|fault| CommandError::Usage(format!("event {shown}: {fault}")))? {
            Event::Push(push, identity) => {
                let identification = identify(&identity, push.account.as_deref());
                contents.pushes.push(Box::new(IdentifiedPush {
                    push: *push,
                    identification,
                    text: None,
                }));
            }
            Event::Ignored(why) => contents
                .ignored
                .push(format!("event {shown}: {}", safe_words(&why, 400))),
            Event::Sweep => contents.ignored.push(format!("event {shown}: a sweep")),
        }
        Ok(contents)
    }

    /// Pushes in the order of their times, each by itself.
    async fn contents(&self, contents: &Contents) -> Result<String, CommandError> {
        let uploaders = contents.pushes.iter();
        let uploaders = uploaders.map(|pushed| &pushed.identification.uploader);
        let records = self.records(uploaders).await?;
        let mut text = String::new();
        for why in &contents.ignored {
            text.extend(["Ignored: ", why, "\n"]);
        }
        for pushed in &contents.pushes {
            let uploader = &pushed.identification.uploader;
            let former = || records.get(uploader.former_key.as_ref()?);
            let record = records.get(&uploader.key).or_else(former);
            text += &self.push(pushed, record);
        }
        Ok(text)
    }

    /// The records of uploaders, under their keys and their former keys.
    async fn records(
        &self,
        uploaders: impl Iterator<Item = &Uploader>,
    ) -> Result<BTreeMap<CompactString, Record>, CommandError> {
        let keys = uploaders.flat_map(|uploader| {
            let own = [&uploader.key];
            own.into_iter().chain(&uploader.former_key)
        });
        let keys: BTreeSet<_> = keys.collect();
        let _reading = Spinner::on("reading the uploaders", false);
        let records = stream::iter(keys)
            .map(|key| self.store.find(key))
            .buffer_unordered(AT_ONCE)
            .try_filter_map(|record| std::future::ready(Ok(record)))
            .map_ok(|record| (record.uploader.clone(), record));
        records.try_collect().await.map_err(CommandError::store)
    }

    /// What became of a push; of one that no finding is stored of, what would.
    fn push(&self, pushed: &IdentifiedPush, record: Option<&Record>) -> String {
        let (push, uploader) = (&pushed.push, &pushed.identification.uploader);
        let mut lines = push::heading(push);
        push::identity(&mut lines, pushed);
        stored::record(&mut lines, &uploader.key, record, self.now);
        let mut findings = self.findings().filter(|finding| {
            finding.event_id == push.event_id.as_str() && finding.uploader == uploader.key.as_str()
        });
        if let Some(finding) = findings.next() {
            self.settings().finding(&mut lines, finding);
            return lines.into_text();
        }
        let decided = Decided::from(decide(record, push, uploader, &self.policy));
        let case = Case {
            pushed,
            before: record,
            policy: &self.policy,
            suppressed_by: self.suppressed_by,
        };
        lines.add(
            "finding",
            match (&self.findings, &decided.finding) {
                (None, _) => "not looked for: name the table of findings, or --stack NAME",
                (Some(_), None) => "none is stored of this event",
                (Some(_), Some(_)) => {
                    "none is stored of this event: the function has not handled it, or told \
                     nothing then, or it is older than 400 days"
                }
            },
        );
        case.outcome(&mut lines, &decided, "if it came now: ");
        lines.into_text()
    }
}
