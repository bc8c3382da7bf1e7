//! What a comparison found: a line for each finding, and counts that add up.

use std::io::{self, Write as _};

use indicatif::ProgressBar;
use jiff::Timestamp;
use pushwatch::decide::Decision;
use pushwatch::event::Push;
use pushwatch::identity::Uploader;
use pushwatch::render::safe;
use pushwatch::text::{clean_cut, clean_json};
use serde::Serialize;

use super::function::Answer;
use crate::error::CommandError;
use crate::ui::{counted, say};

/// What is counted. Each event is in one count but `looked_at`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub since: Timestamp,
    #[serde(rename = "until")]
    pub now: Timestamp,
    pub dry_run: bool,
    pub looked_at: usize,
    pub seen: usize,
    pub missing: usize,
    pub suppressed: usize,
    pub too_young: usize,
    pub unreadable: usize,
    /// Missing, and the function failed on it.
    pub failed: usize,
    /// The same event once more.
    pub copies: usize,
    /// Before the span of time.
    pub older: usize,
    /// Of an account or a region whose pushes the deployment does not get.
    pub elsewhere: usize,
    /// All that is missing.
    events: Vec<Missing>,
    #[serde(skip)]
    pub json: bool,
    #[serde(skip)]
    pub bar: ProgressBar,
    /// Who reads the lines has seen enough.
    #[serde(skip)]
    is_closed: bool,
}

/// An event that was missing.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Missing {
    event_id: String,
    event_time: Timestamp,
    uploader: String,
    image: String,
    /// None if there was nothing to report: the uploader's times or habits were behind.
    reason: Option<&'static str>,
    severity: Option<&'static str>,
    finding_id: Option<String>,
    /// What the function answered; none in a dry run.
    outcome: Option<String>,
    #[serde(skip)]
    is_suppressed: bool,
}

impl Missing {
    /// One that is not handed over.
    pub fn undecided(push: &Push, uploader: &Uploader, decision: &Decision) -> Self {
        let finding = decision.finding.as_ref();
        let part = |text: &Option<_>, most| {
            text.as_ref()
                .map(|text: &compact_str::CompactString| clean_cut(text, most))
        };
        let repository = part(&push.repository, 256).unwrap_or_else(|| "?".to_owned());
        let image = match part(&push.tag, 128) {
            Some(tag) => format!("{repository}:{tag}"),
            None => repository,
        };
        Self {
            event_id: clean_cut(&push.event_id, 80),
            event_time: push.event_time,
            uploader: clean_cut(&uploader.key, 1024),
            image,
            reason: finding.map(|finding| finding.reason.as_str()),
            severity: finding.map(|finding| finding.severity.as_str()),
            finding_id: finding.map(|finding| finding.id.to_string()),
            outcome: None,
            is_suppressed: decision.suppressed,
        }
    }

    /// One that the function handled.
    pub fn decided(push: &Push, uploader: &Uploader, decision: &Decision, answer: Answer) -> Self {
        let outcome = answer.outcome.as_deref().map(|text| clean_cut(text, 40));
        Self {
            finding_id: answer.finding_id.map(|text| clean_cut(&text, 40)),
            outcome,
            ..Self::undecided(push, uploader, decision)
        }
    }

    fn line(&self) -> Option<String> {
        let became = match self.outcome.as_deref() {
            None => "not handed over",
            Some("finding_published") => "published",
            Some("finding_deferred") => "owed, the sweep publishes it",
            Some("learned") => "learned, a line of the digest",
            Some(other) => other,
        };
        Some(format!(
            "{} {} {} {} pushed {}, event {}: {became}",
            self.event_time,
            self.severity?,
            self.reason?,
            self.uploader,
            safe(&self.image, 400),
            safe(&self.event_id, 80),
        ))
    }
}

impl Report {
    pub fn of(since: Timestamp, now: Timestamp, dry_run: bool, json: bool) -> Self {
        Self {
            since,
            now,
            dry_run,
            looked_at: 0,
            seen: 0,
            missing: 0,
            suppressed: 0,
            too_young: 0,
            unreadable: 0,
            failed: 0,
            copies: 0,
            older: 0,
            elsewhere: 0,
            events: Vec::new(),
            json,
            bar: ProgressBar::hidden(),
            is_closed: false,
        }
    }

    /// Takes an event in that was missing, and says its finding at once.
    ///
    /// # Errors
    /// When the line can't be written.
    pub fn missing(&mut self, missing: Missing) -> Result<(), CommandError> {
        if missing.is_suppressed {
            self.suppressed += 1;
            return Ok(());
        }
        self.missing += 1;
        if let Some(line) = missing.line()
            && !self.json
            && !self.is_closed
        {
            match self.bar.suspend(|| writeln!(io::stdout(), "{line}")) {
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.is_closed = true,
                written => written.map_err(CommandError::Output)?,
            }
        }
        self.events.push(missing);
        Ok(())
    }

    pub fn has_faults(&self) -> bool {
        self.unreadable + self.failed > 0
    }

    /// Says what was done when it stops before its end.
    pub fn say_how_far(&self) {
        self.bar.finish_and_clear();
        let compared = self.seen + self.missing + self.suppressed + self.failed;
        let done = if self.dry_run {
            "missing"
        } else {
            "handed over"
        };
        say(&format!(
            "Compared {compared} of {}, {} {done}; the rest was not touched.",
            counted(self.looked_at, "push"),
            self.missing
        ));
    }

    /// Says the result.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn end(&self) -> io::Result<()> {
        if self.json {
            let json = serde_json::to_string(self).map_err(io::Error::other)?;
            return writeln!(io::stdout(), "{}", clean_json(&json));
        }
        let told = self.events.iter().filter(|event| event.reason.is_some());
        let told = told.count();
        let mut became = Vec::new();
        if told > 0 {
            became.push(format!("{} above", counted(told, "finding")));
        }
        if self.missing > told {
            let silent = self.missing - told;
            became.push(format!("{silent} with nothing to report"));
        }
        let end = match (self.missing, self.dry_run) {
            (0, _) => "",
            (_, true) => "; this was a dry run",
            (missing, false) if missing > told => ", remembered now",
            _ => "",
        };
        let became = became.join(", ") + end;
        let colon = if became.is_empty() { "" } else { ": " };
        say(&format!(
            "Looked at   {} since {}",
            counted(self.looked_at, "push"),
            self.since
        ));
        say(&format!("Seen        {}", self.seen));
        say(&format!("Missing     {}{colon}{became}", self.missing));
        say(&format!("Suppressed  {}", self.suppressed));
        say(&format!(
            "Too young   {}, of the last 15 minutes: they may still be on their way",
            self.too_young
        ));
        say(&format!("Unreadable  {}", self.unreadable));
        for (count, what) in [
            (self.failed, "Failed      {}, named above; run it again"),
            (
                self.copies,
                "Copies      {} of events that are counted above",
            ),
            (self.older, "Older       {}, before that time"),
            (
                self.elsewhere,
                "Elsewhere   {} of other accounts or regions (--account, --lookup-region)",
            ),
        ] {
            if count > 0 {
                say(&what.replace("{}", &count.to_string()));
            }
        }
        Ok(())
    }
}
