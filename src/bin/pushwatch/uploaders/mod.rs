//! `pushwatch uploaders`: the known uploaders in people's hands.

pub mod args;
mod change;
pub mod import;
pub mod list;
mod show;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use jiff::Timestamp;
use pushwatch::record::Record;
use pushwatch::render::RenderContext;
use pushwatch::store::{Manage, MemoryStore};

use crate::deployment::{Names, Session};
use crate::uploader_key::former_key;
use crate::uploaders_file::{self, Save};
use crate::{CommandError, block_on, store_fault};
use args::{PlaceArgs, UploadersArgs, UploadersCommand};

/// Whose uploaders a command is about.
pub enum Place {
    File(PathBuf),
    Tables(Box<Session>, Names),
}

impl Place {
    /// Which uploaders these are, and no others, in words.
    ///
    /// # Errors
    /// When this folder has no name.
    pub fn describe(&self) -> Result<String, CommandError> {
        Ok(match self {
            Self::File(path) => {
                let path = std::path::absolute(path).map_err(CommandError::Runtime)?;
                format!("the file {}", path.display())
            }
            Self::Tables(session, names) => {
                let endpoint = session.dynamodb_endpoint();
                let endpoint = endpoint.map_or_else(String::new, |url| format!(" at {url}"));
                let (table, region) = (&names.uploaders, session.region());
                format!("the table {table} in {region}{endpoint}")
            }
        })
    }
}

/// What a command needs to know beside the store.
pub struct Context {
    /// Who types it.
    pub caller: String,
    /// Where findings can be looked up, if they can.
    pub findings: Option<RenderContext>,
    pub now: Timestamp,
}

/// Runs the command.
///
/// # Errors
/// On a wrong option, before any work; when a call or output fails.
pub fn run(args: &UploadersArgs) -> Result<ExitCode, CommandError> {
    block_on(run_on(&args.command))?
}

async fn run_on(command: &UploadersCommand) -> Result<ExitCode, CommandError> {
    let now = Timestamp::now();
    if command.key().is_some_and(|key| key.trim().is_empty()) {
        return Err(CommandError::Usage(
            "the KEY is empty, maybe since a variable is; `pushwatch uploaders list` shows the keys"
                .to_owned(),
        ));
    }
    match command.place().find().await? {
        Place::File(path) => {
            if matches!(command, UploadersCommand::Forget(_)) {
                uploaders_file::check_can_be_rewritten(&path)?;
            }
            let store = read_file(&path, command.may_begin_a_file())?;
            let context = Context::of_file(now);
            let done = dispatch(&store, command, &context).await?;
            if done.has_changed {
                write_file(&store, &path).await?;
            }
            Ok(done.code)
        }
        Place::Tables(session, names) => {
            let store = session.store(&names.uploaders, names.findings.as_deref());
            let context = Context {
                // Only who changes something is asked for.
                caller: match command {
                    UploadersCommand::Trust(_)
                    | UploadersCommand::Revoke(_)
                    | UploadersCommand::Import(_) => session.caller().await?.arn,
                    _ => String::new(),
                },
                // Which absence the function lets pass is not asked for.
                findings: names.findings.as_ref().map(|_| session.place(&names, 0)),
                now,
            };
            let done = dispatch(&store, command, &context).await?;
            Ok(done.code)
        }
    }
}

async fn dispatch<S: Manage>(
    store: &S,
    command: &UploadersCommand,
    context: &Context,
) -> Result<Done, CommandError> {
    match command {
        UploadersCommand::List(args) => list::list(store, args, context).await.map(Done::looked),
        UploadersCommand::Show(args) => show::show(store, args, context).await.map(Done::looked),
        UploadersCommand::Trust(args) => change::trust(store, args, context).await,
        UploadersCommand::Revoke(args) => change::revoke(store, args, context).await,
        UploadersCommand::Forget(args) => change::forget(store, args, context).await,
        UploadersCommand::Import(args) => import::import(store, args, context).await,
        UploadersCommand::Export(args) => list::export(store, args).await.map(Done::looked),
    }
}

/// The record of an uploader, under its key or, if there is none, under its former
/// key: a finding may be due to a revocation of that.
async fn find<S: Manage>(store: &S, key: &str) -> Result<Option<Record>, CommandError> {
    let record = store.find(key).await.map_err(store_fault)?;
    match (record, former_key(key)) {
        (None, Some(former)) => store.find(&former).await.map_err(store_fault),
        (record, _) => Ok(record),
    }
}

/// The uploaders of a file.
///
/// # Errors
/// When it can't be read, or is one that may be new and that no command can write
/// back; that there is none is one only if it must be there.
pub fn read_file(path: &Path, may_be_new: bool) -> Result<MemoryStore, CommandError> {
    if may_be_new {
        uploaders_file::check_can_be_rewritten(path)?;
    }
    let is_new = may_be_new && matches!(path.try_exists(), Ok(false));
    let records = if is_new {
        Vec::new()
    } else {
        uploaders_file::read(path)?
    };
    Ok(MemoryStore::with_records(records))
}

/// Writes the uploaders of a store into a file, whole or not at all.
///
/// # Errors
/// When it can't be written.
pub async fn write_file(store: &MemoryStore, path: &Path) -> Result<(), CommandError> {
    let mut save = Save::prepare(path)?;
    let mut next = None;
    loop {
        let page = Manage::records(store, next).await.map_err(store_fault)?;
        save.append(&page.records)?;
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    Ok(save.finish()?)
}

impl Context {
    /// For an uploaders file, which knows no AWS.
    pub fn of_file(now: Timestamp) -> Self {
        Self {
            caller: std::env::var("USER")
                .or_else(|_| std::env::var("USERNAME"))
                .unwrap_or_else(|_| "somebody".to_owned()),
            findings: None,
            now,
        }
    }
}

/// What a command came to.
pub struct Done {
    pub code: ExitCode,
    /// Whether a record is another one now.
    pub has_changed: bool,
}

impl Done {
    fn looked(code: ExitCode) -> Self {
        Self {
            code,
            has_changed: false,
        }
    }

    fn changed(has_changed: bool) -> Self {
        Self {
            code: ExitCode::SUCCESS,
            has_changed,
        }
    }
}

impl PlaceArgs {
    /// What the options name, or else the environment.
    ///
    /// # Errors
    /// When neither names anything; when AWS can't be reached.
    pub async fn find(&self) -> Result<Place, CommandError> {
        if let Some(path) = &self.file {
            return Ok(Place::File(path.clone()));
        }
        let mut tables = self.tables.clone();
        if tables.stack.is_none() && tables.table.is_none() {
            let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
            tables.stack = variable("PUSHWATCH_STACK");
            if tables.stack.is_none() {
                tables.table = variable("UPLOADERS_TABLE");
                tables.findings_table = variable("FINDINGS_TABLE");
            }
        }
        if tables.stack.is_none() && tables.table.is_none() {
            return Err(CommandError::NoPlace);
        }
        tables.check()?;
        let session = Session::open(tables.region.as_deref(), false).await?;
        match tables.names(&session).await? {
            Some(names) => Ok(Place::Tables(Box::new(session), names)),
            None => Err(CommandError::NoPlace),
        }
    }
}
