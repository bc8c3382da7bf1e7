//! The page that people read, as text or as Markdown.
//!
//! Every text of a record is shown by [`Form::value`]: on one line, in ASCII, not too long, no
//! link, and in Markdown as code. What stands around it is ours.

use std::fmt::Write as _;

use compact_str::CompactString;
use jiff::Timestamp;
use pushwatch::render::{safe, safe_words};

use super::answer::{
    CallGroup, Image, Investigation, Issuance, Origin, Question, Unknown, Workload, WorkloadKind,
};
use crate::ui::counted;

/// How many pushes of an image are shown.
const MOST_PUSHES: usize = 10;
/// How many kinds of calls are shown.
const MOST_CALLS: usize = 30;

/// How it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Text,
    Markdown,
}

impl Form {
    /// A text of a record.
    fn value(self, text: &str, most: usize) -> String {
        let safe = safe(text, most);
        match self {
            Self::Text => safe,
            Self::Markdown => code(&safe),
        }
    }

    /// Words of ours, which may have a text in them.
    fn words(self, text: &str) -> String {
        // A key of AWS, a path and a region are the longest that are in them.
        let safe = safe_words(text, 600);
        match self {
            Self::Text => safe,
            Self::Markdown => safe.chars().fold(String::new(), |mut escaped, c| {
                if c.is_ascii_punctuation() && !".,;:'()/-=".contains(c) {
                    escaped.push('\\');
                }
                escaped.push(c);
                escaped
            }),
        }
    }
}

/// A span of code, whatever is in it.
fn code(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let space = if text.contains('`') { " " } else { "" };
    format!("{fence}{space}{text}{space}{fence}")
}

/// A page being written. Writing to a String cannot fail.
struct Page {
    form: Form,
    text: String,
}

/// All answers on one page.
pub fn page(investigation: &Investigation, form: Form) -> String {
    let mut page = Page {
        form,
        text: String::new(),
    };
    page.subject(investigation);
    page.section(
        "From where",
        Question::From,
        investigation,
        investigation.from.len(),
    );
    for origin in &investigation.from {
        page.origin(origin);
    }
    page.unknown(Question::From, investigation);

    page.section(
        "How the credentials came about",
        Question::IssuedBy,
        investigation,
        investigation.issued_by.len(),
    );
    for issuance in &investigation.issued_by {
        page.issuance(issuance);
    }
    page.unknown(Question::IssuedBy, investigation);

    page.section(
        "What else the session did",
        Question::Calls,
        investigation,
        investigation.calls.len(),
    );
    for group in investigation.calls.iter().take(MOST_CALLS) {
        page.group(group);
    }
    page.more(investigation.calls.len(), MOST_CALLS, "kind of call");
    page.unknown(Question::Calls, investigation);

    page.section("The image", Question::Image, investigation, 1);
    page.image(&investigation.image);
    page.unknown(Question::Image, investigation);

    page.section(
        "Where it runs",
        Question::RunsOn,
        investigation,
        investigation.runs_on.len(),
    );
    for workload in &investigation.runs_on {
        page.workload(workload);
    }
    page.unknown(Question::RunsOn, investigation);

    page.section(
        "What to do now",
        Question::Actions,
        investigation,
        investigation.actions.len(),
    );
    for action in &investigation.actions {
        let why = form.words(action.why.trim_end_matches(['.', ':']));
        page.item(&format!(
            "{why}{}",
            if action.command.is_some() { ":" } else { "." }
        ));
        if let Some(command) = &action.command {
            page.command(command);
        }
    }
    page.unknown(Question::Actions, investigation);
    page.covered(investigation);
    page.text
}

impl Page {
    fn value(&self, text: &str, most: usize) -> String {
        self.form.value(text, most)
    }

    fn or_unknown(&self, text: Option<&CompactString>, most: usize) -> String {
        text.map_or_else(|| "unknown".to_owned(), |text| self.value(text, most))
    }

    fn proof(&self, name: &str, time: Timestamp, id: &str) -> String {
        format!(
            "{time} {}, event {}",
            self.value(name, 80),
            self.value(id, 80)
        )
    }

    fn subject(&mut self, investigation: &Investigation) {
        let event = &investigation.event;
        let what = match (&event.repository, &event.tag) {
            (Some(repository), Some(tag)) => self.value(&format!("{repository}:{tag}"), 600),
            (Some(repository), None) => self.value(repository, 300),
            (None, _) => "an image".to_owned(),
        };
        let did = if event.error_code.is_some() {
            "Failed push of"
        } else {
            "Push of"
        };
        let by = self.value(&event.uploader, 300);
        let title = format!("{did} {what} by {by}");
        _ = match self.form {
            Form::Text => writeln!(self.text, "{title}"),
            Form::Markdown => writeln!(self.text, "# {title}\n"),
        };
        let time = event
            .time
            .map_or_else(String::new, |time| format!("{time}, "));
        self.line(&format!("{time}event {}", self.value(&event.event_id, 80)));
        let account = self.or_unknown(event.account.as_ref(), 40);
        let region = self.or_unknown(event.region.as_ref(), 40);
        self.line(&format!("account {account}, region {region}"));
        let key = self.or_unknown(event.access_key_id.as_ref(), 128);
        let start = event.session_start;
        let start = start.map_or_else(|| "unknown".to_owned(), |start| start.to_string());
        self.line(&format!("access key {key}, session begun {start}"));
        if let Some(id) = &event.finding_id {
            self.line(&format!("finding {}", self.value(id, 80)));
        }
    }

    fn line(&mut self, line: &str) {
        _ = match self.form {
            Form::Text => writeln!(self.text, "  {line}"),
            Form::Markdown => writeln!(self.text, "{line}  "),
        };
    }

    /// A heading; where nothing is known and nothing says why, that.
    fn section(
        &mut self,
        title: &str,
        question: Question,
        investigation: &Investigation,
        answers: usize,
    ) {
        _ = match self.form {
            Form::Text => writeln!(self.text, "\n{}", title.to_uppercase()),
            Form::Markdown => writeln!(self.text, "\n## {title}\n"),
        };
        let mut unknown = investigation.unknown.iter();
        if answers == 0 && !unknown.any(|unknown| unknown.question == question) {
            self.item("nothing");
        }
    }

    fn item(&mut self, line: &str) {
        _ = match self.form {
            Form::Text => writeln!(self.text, "  {line}"),
            Form::Markdown => writeln!(self.text, "- {line}"),
        };
    }

    fn detail(&mut self, line: &str) {
        _ = match self.form {
            Form::Text => writeln!(self.text, "    {line}"),
            Form::Markdown => writeln!(self.text, "  - {line}"),
        };
    }

    fn command(&mut self, command: &str) {
        _ = match self.form {
            Form::Text => writeln!(self.text, "    {command}"),
            Form::Markdown => writeln!(self.text, "\n  ````sh\n  {command}\n  ````\n"),
        };
    }

    fn more(&mut self, all: usize, most: usize, noun: &str) {
        if let Some(more) = all.checked_sub(most).filter(|more| *more > 0) {
            self.item(&format!(
                "and {}; JSON has all",
                counted(more, &format!("more {noun}"))
            ));
        }
    }

    fn unknown(&mut self, question: Question, investigation: &Investigation) {
        let of = |unknown: &&Unknown| unknown.question == question;
        for unknown in investigation.unknown.iter().filter(of) {
            let why = self.form.words(&unknown.why);
            self.item(&format!("not known: {why}"));
        }
    }

    fn origin(&mut self, origin: &Origin) {
        let address = self.value(&origin.source_ip, 60);
        let agent = origin.user_agent.as_ref();
        let agent = agent.map(|agent| format!(", {}", self.value(agent, 160)));
        self.item(&format!(
            "{} {address}{}",
            origin.certainty.as_str(),
            agent.unwrap_or_default()
        ));
        self.detail(&self.proof(&origin.event_name, origin.time, &origin.event_id));
        let why = self.form.words(&origin.why);
        self.detail(&why);
    }

    fn issuance(&mut self, issuance: &Issuance) {
        let by = self.value(&issuance.principal, 300);
        let from = issuance.source_ip.as_ref();
        let from = from.map(|address| format!(" from {}", self.value(address, 80)));
        self.item(&format!(
            "{} {} by {by}{}",
            issuance.certainty.as_str(),
            self.value(&issuance.event_name, 80),
            from.unwrap_or_default()
        ));
        self.detail(&format!(
            "{}, event {}",
            issuance.time,
            self.value(&issuance.event_id, 80)
        ));
        for (label, value) in [
            ("identity provider", &issuance.provider),
            ("subject", &issuance.subject),
            ("source identity", &issuance.source_identity),
        ] {
            if let Some(value) = value {
                self.detail(&format!("{label} {}", self.value(value, 300)));
            }
        }
        if let Some(mfa) = issuance.mfa {
            self.detail(if mfa { "with MFA" } else { "without MFA" });
        }
        let why = self.form.words(&issuance.why);
        self.detail(&why);
    }

    fn group(&mut self, group: &CallGroup) {
        let service = group.event_source.trim_end_matches(".amazonaws.com");
        let errors = match group.errors {
            0 => String::new(),
            errors => format!(", {}", counted(errors, "error")),
        };
        let call = self.value(&format!("{service}:{}", group.event_name), 120);
        let mark = match (group.technique, group.meaning) {
            (Some(technique), Some(meaning)) => format!(" [{technique}: {meaning}]"),
            _ => String::new(),
        };
        let count = group.count;
        self.item(&format!("{call} x{count}{errors}{mark}"));
        let span = if group.first == group.last {
            group.first.to_string()
        } else {
            format!("{} to {}", group.first, group.last)
        };
        self.detail(&format!(
            "{span}, event {}",
            self.value(&group.event_id, 80)
        ));
    }

    fn image(&mut self, image: &Image) {
        let digest = self.or_unknown(image.digest.as_ref(), 200);
        self.item(&format!("digest {digest}"));
        for platform in image.platforms.iter().flatten() {
            self.detail(&format!("stands for {}", self.value(platform, 200)));
        }
        let facts = &image.facts;
        let mut said = Vec::new();
        said.extend(facts.media_type.as_ref().map(|name| self.value(name, 120)));
        said.extend(facts.size_bytes.map(|size| counted(size, "byte")));
        said.extend(facts.pushed_at.map(|time| format!("pushed {time}")));
        said.extend(facts.last_pulled.map(|time| format!("last pulled {time}")));
        if !said.is_empty() {
            self.item(&said.join(", "));
        }
        if let Some(tags) = &facts.tags {
            let tags: Vec<_> = tags
                .iter()
                .take(20)
                .map(|tag| self.value(tag, 130))
                .collect();
            let tags = if tags.is_empty() {
                "none".to_owned()
            } else {
                tags.join(", ")
            };
            self.item(&format!("tags now: {tags}"));
        }
        if let Some(now) = &facts.current_digest_of_tag {
            let now = match &image.digest {
                Some(digest) if digest == now => "this image".to_owned(),
                _ => self.value(now, 200),
            };
            self.item(&format!("its tag stands for {now} now"));
        }
        match facts.referrers.as_deref() {
            None => {}
            Some([]) => self.item("not signed: nothing refers to it"),
            Some(referrers) => {
                for referrer in referrers.iter().take(MOST_PUSHES) {
                    let kind = self.or_unknown(referrer.artifact_type.as_ref(), 120);
                    let digest = self.value(&referrer.digest, 200);
                    self.item(&format!("referred to by {digest} ({kind})"));
                }
            }
        }
        for push in image.pushes.iter().take(MOST_PUSHES) {
            let tag = push.tag.as_ref();
            let tag = tag.map_or_else(|| "untagged".to_owned(), |tag| self.value(tag, 130));
            let failed = push.error_code.as_ref();
            let failed = failed.map(|code| format!(", failed: {}", self.value(code, 80)));
            self.item(&format!(
                "pushed {} as {tag} by {}{}",
                push.time,
                self.value(&push.uploader, 300),
                failed.unwrap_or_default()
            ));
            let digest = self.or_unknown(push.digest.as_ref(), 200);
            self.detail(&format!(
                "{digest}, event {}",
                self.value(&push.event_id, 80)
            ));
        }
        self.more(image.pushes.len(), MOST_PUSHES, "push");
        if let Some(previous) = &image.previous_digest_of_tag {
            let previous = self.value(previous, 200);
            self.item(&format!("the tag had before: {previous}"));
        }
        if let Some(good) = &image.last_good_digest {
            let good = self.value(good, 200);
            self.item(&format!("last digest not of this session: {good}"));
        }
    }

    fn workload(&mut self, workload: &Workload) {
        let kind = match workload.kind {
            WorkloadKind::EcsTask => "ECS task",
            WorkloadKind::EcsTaskDefinition => "ECS task definition",
            WorkloadKind::EksWorkload => "EKS workload",
            WorkloadKind::LambdaFunction => "Lambda function",
        };
        let name = self.value(&workload.name, 300);
        let running = workload.running;
        let running = running.map_or_else(String::new, |count| format!(", {count} running"));
        self.item(&format!("{kind} {name}{running}"));
        if let Some(cluster) = &workload.cluster {
            self.detail(&format!("cluster {}", self.value(cluster, 300)));
        }
        let digest = workload.digest.as_ref();
        let digest = digest.map(|digest| format!(", digest {}", self.value(digest, 200)));
        let used = workload.last_in_use;
        let used = used.map(|time| format!(", last in use {time}"));
        self.detail(&format!(
            "by {}{}{}",
            workload.proof,
            used.unwrap_or_default(),
            digest.unwrap_or_default()
        ));
    }

    fn covered(&mut self, investigation: &Investigation) {
        let covered = &investigation.covered;
        let span = match (covered.from, covered.to) {
            (Some(from), Some(to)) => format!(", {from} to {to}"),
            _ => String::new(),
        };
        let sources = self.form.words(&covered.sources.join("; "));
        let records = counted(covered.records, "record");
        _ = writeln!(self.text, "\nLooked through {records}{span}: {sources}");
    }
}
