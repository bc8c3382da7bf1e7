//! `pushwatch render`: what a finding looks like, in any of its forms.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anstream::AutoStream;
use clap::Args;
use jiff::Timestamp;
use pushwatch::event::{self, Event};
use pushwatch::finding::Finding;
use pushwatch::identity::identify;
use pushwatch::policy::{DEFAULT_ABSENCE_DAYS, Policy};
use pushwatch::render::safe_words;
use pushwatch::render::{Format, Message, render};
use pushwatch::store::MemoryStore;
use pushwatch::text::clean;
use pushwatch::watch::Watch;
use serde_json::Value;

use crate::args::{FormatArg, render_context};
use crate::error::CommandError;
use crate::runtime::block_on;

/// Render a finding as an e-mail, OCSF, chat, pager or Security Hub gets it
///
/// FILE is an event or a CloudTrail file of one, whose push is decided on with nobody
/// known; or a finding: our own JSON, the OCSF body, a list of findings, or the SNS
/// notification around any of them.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  # The e-mail
  pushwatch render events/iam-user.json

  # What Security Hub would import
  pushwatch render --format asff events/iam-user.json > finding.json
  aws securityhub batch-import-findings --findings file://finding.json")]
pub struct RenderArgs {
    /// An event or a finding, or - for standard input
    pub file: PathBuf,

    /// The form
    #[arg(long, value_enum, default_value_t = FormatArg::Email)]
    pub format: FormatArg,

    /// The uploaders table that commands name
    #[arg(long, value_name = "NAME")]
    pub table: Option<String>,

    /// The findings table that commands name
    #[arg(long, value_name = "NAME")]
    pub findings_table: Option<String>,

    /// The region that commands name
    #[arg(long)]
    pub region: Option<String>,

    /// Days of absence that are let pass, for the wording
    #[arg(long, value_name = "N", default_value_t = DEFAULT_ABSENCE_DAYS)]
    pub absence_days: u16,
}

/// What a file holds: a finding, or a list of them.
enum FindingFile {
    Finding(Box<Finding>),
    Rollup(Vec<Finding>),
    Digest(Vec<Finding>),
}

/// Runs the command.
///
/// # Errors
/// When there is no finding in the file; when output fails.
pub fn run(args: &RenderArgs) -> Result<ExitCode, CommandError> {
    let shown = clean(&args.file.to_string_lossy());
    let text =
        read(&args.file).map_err(|error| CommandError::Usage(format!("{shown}: {error}")))?;
    let found = find(&text).map_err(|fault| CommandError::Usage(format!("{shown}: {fault}")))?;
    let message = match &found {
        FindingFile::Finding(finding) => Message::Finding(finding),
        FindingFile::Rollup(findings) => Message::Rollup(findings),
        FindingFile::Digest(findings) => Message::Digest(findings),
    };
    let context = render_context(
        args.table.as_deref(),
        args.findings_table.as_deref(),
        args.region.as_deref(),
        args.absence_days,
    );
    let format = Format::from(args.format);
    let rendered = render(message, format, &context);
    let mut stdout = AutoStream::auto(io::stdout());
    writeln!(stdout, "{}", rendered.trim_end()).map_err(CommandError::Output)?;
    Ok(ExitCode::SUCCESS)
}

fn read(path: &PathBuf) -> io::Result<String> {
    if path.as_os_str() != "-" {
        return fs::read_to_string(path);
    }
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    Ok(text)
}

/// The finding or the list that a text holds, or the finding that its push gives.
fn find(text: &str) -> Result<FindingFile, String> {
    let value: Value =
        serde_json::from_str(text).map_err(|error| safe_words(&error.to_string(), 200))?;
    if let Some(found) = finding(&value)? {
        return Ok(found);
    }
    match event::read(&the_one_of(value)?.to_string(), Timestamp::now()) {
        Ok(Event::Push(push, identity)) => {
            let uploader = identify(&identity, push.account.as_deref()).uploader;
            let watch = Watch::in_memory(MemoryStore::default(), Policy::default());
            let outcome = block_on(watch.push(&push, &uploader, Timestamp::MAX))
                .map_err(|error| error.to_string())?;
            let finding = outcome.map_err(|error| error.to_string())?.finding;
            let finding = finding.ok_or("nothing is told about this push")?;
            Ok(FindingFile::Finding(Box::new(finding)))
        }
        Ok(Event::Sweep) => Err("it asks for a sweep, and tells nothing itself".to_owned()),
        Ok(Event::Ignored(why)) => Err(safe_words(&why, 200)),
        Err(error) => Err(error.to_string()),
    }
}

/// The event of an array or of a CloudTrail file, if there is one only.
fn the_one_of(value: Value) -> Result<Value, String> {
    let mut events = match value {
        Value::Array(events) => events,
        Value::Object(mut fields) => match fields.remove("Records") {
            Some(Value::Array(events)) => events,
            _ => return Ok(Value::Object(fields)),
        },
        other => return Ok(other),
    };
    match (events.pop(), events.len()) {
        (None, _) => Err("there is no event in it".to_owned()),
        (Some(event), 0) => Ok(event),
        (Some(_), others) => Err(format!(
            "there are {} events in it, and one can be rendered; `pushwatch replay --format FORM` \
             renders those of many",
            others + 1
        )),
    }
}

/// The finding in our own JSON, or in what is around it.
fn finding(value: &Value) -> Result<Option<FindingFile>, String> {
    let read = |value: &Value| {
        serde_json::from_value::<Finding>(value.clone())
            .map_err(|error| safe_words(&error.to_string(), 200))
    };
    // The notification that SNS delivers, or the bodies that were published.
    let around = value.get("Message").or_else(|| value.get("default"));
    if let Some(message) = around.and_then(Value::as_str) {
        let inner: Value =
            serde_json::from_str(message).map_err(|error| safe_words(&error.to_string(), 200))?;
        return finding(&inner);
    }
    if let Some(own) = value.pointer("/unmapped/pushwatch") {
        return finding(own);
    }
    if let Some(findings) = value.get("findings").and_then(Value::as_array) {
        let findings = findings.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        if findings.is_empty() {
            return Err("the list has no findings".to_owned());
        }
        return Ok(Some(match value.get("kind").and_then(Value::as_str) {
            Some("digest") => FindingFile::Digest(findings),
            _ => FindingFile::Rollup(findings),
        }));
    }
    if value.get("reason").is_some() && value.get("uploader").is_some() {
        return Ok(Some(FindingFile::Finding(Box::new(read(value)?))));
    }
    Ok(None)
}
