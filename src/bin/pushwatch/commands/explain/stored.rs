//! What a deployment keeps of a finding and of an uploader, in words.

use compact_str::CompactString;
use jiff::Timestamp;
use pushwatch::decide::DecisionRule;
use pushwatch::finding::{Finding, Reason};
use pushwatch::identity::Uploader;
use pushwatch::policy::Policy;
use pushwatch::record::{Record, Standing};
use pushwatch::render::{safe, safe_words};
use pushwatch::store::StoredFinding;
use pushwatch::text::clean_cut;

use super::lines::Lines;
use super::push::{decision, heading};
use crate::known::{answer_in_words, delivery};
use crate::list::has_root_power;
use crate::ui::{ago, counted};

/// What a finding or an uploader is looked at with.
pub struct Settings<'a> {
    pub policy: &'a Policy,
    /// The option or parameter that suppresses findings.
    pub suppressed_by: &'static str,
    pub now: Timestamp,
}

/// The push that a finding is about, if the finding can be read.
pub fn heading_of(finding: &StoredFinding) -> Lines {
    match serde_json::from_str::<Finding>(&finding.body) {
        Ok(finding) => heading(&finding.push),
        Err(_) => Lines::under(&format!("event {}", safe(&finding.event_id, 80))),
    }
}

/// What is remembered of an uploader.
pub fn record(lines: &mut Lines, key: &str, record: Option<&Record>, now: Timestamp) {
    let Some(record) = record else {
        lines.add("record", "none: nobody of this key is remembered");
        return;
    };
    let standing = safe(record.standing.as_str(), 40);
    let until = record.trusted_until;
    let until = until.map_or_else(String::new, |until| format!(" until {until}"));
    let seen = |label: &str, time: Option<Timestamp>| {
        time.map_or_else(String::new, |time| format!(", {label} seen {time}"))
    };
    lines.add(
        "record",
        format!(
            "{standing}{until}{}{}, {}",
            seen("first", record.first_seen),
            seen("last", record.last_seen),
            counted(record.pushes, "push")
        ),
    );
    if record.uploader != key {
        let former = clean_cut(&record.uploader, 300);
        lines.add("", format!("under its former key {former}"));
    }
    let (by, at, why) = match record.standing {
        Standing::Trusted => (&record.trusted_by, record.trusted_at, &record.trust_reason),
        Standing::Revoked => (&record.revoked_by, record.revoked_at, &record.revoke_reason),
        _ => return,
    };
    if let Some(by) = by {
        let at = at.map_or_else(String::new, |at| format!(" {at} ({})", ago(at, now)));
        let why = why.as_ref();
        let why = why.map_or_else(String::new, |why| format!(": {}", clean_cut(why, 1024)));
        lines.add("", format!("by {}{at}{why}", safe(by, 1024)));
    }
}

impl Settings<'_> {
    /// What was decided, and what became of it.
    pub fn finding(&self, lines: &mut Lines, stored: &StoredFinding) {
        let body = serde_json::from_str::<Finding>(&stored.body).ok();
        lines.add("finding", in_a_line(stored));
        if let Some(body) = &body {
            decision(lines, rule_of(body));
        }
        lines.add("state", delivery(stored));
        lines.add("answered", answered(stored, self.now));
        if let Some(body) = &body {
            lines.add("filter", self.filter(body));
        }
        lines.add(
            "outcome",
            "decided then, and not again: one event gives one finding",
        );
    }

    /// Who may have kept a finding from its readers.
    fn filter(&self, finding: &Finding) -> String {
        let by = self.suppressed_by;
        let Some(expression) = &self.policy.suppress else {
            return format!("{NOBODY}: {by} is not set; {SUBSCRIPTIONS}");
        };
        match expression.matches(finding) {
            Ok(false) => format!("{NOBODY}: {by} does not match; {SUBSCRIPTIONS}"),
            Ok(true) => {
                format!("{by} matches it now, but did not when it was decided; {SUBSCRIPTIONS}")
            }
            Err(fault) => format!(
                "{NOBODY}: {by} fails on it, and suppresses nothing: {}",
                safe_words(&fault, 200)
            ),
        }
    }

    /// An uploader: its record, its findings, and what its next push brings.
    pub fn uploader(
        &self,
        key: &str,
        remembered: Option<&Record>,
        findings: &[&StoredFinding],
    ) -> Lines {
        let mut lines = Lines::under(&clean_cut(key, 1024));
        record(&mut lines, key, remembered, self.now);
        for finding in findings {
            lines.add("finding", in_a_line(finding));
            lines.add("", delivery(finding));
            let answered = answered(finding, self.now);
            lines.add("", format!("answered {answered}"));
        }
        if findings.is_empty() {
            lines.add("finding", "none is stored about it");
        }
        let (rule, told) = self.next(key, remembered);
        decision(&mut lines, rule);
        lines.add("outcome", format!("of its next push {told}"));
        lines
    }

    /// What an ordinary push at this moment would be, and what would be told.
    fn next(&self, key: &str, record: Option<&Record>) -> (DecisionRule, String) {
        let (policy, now) = (self.policy, self.now);
        let uploader = Uploader {
            key: key.into(),
            kind: CompactString::default(),
            name: CompactString::default(),
            account_id: None,
            principal_id: None,
            session: None,
            counts_as_root: has_root_power(key),
            former_key: None,
        };
        let told = |what: &str| what.to_owned();
        if uploader.is_unidentified() {
            return (DecisionRule::Unidentified, told("each is told"));
        }
        if record.is_some_and(|record| record.standing == Standing::Revoked) {
            return (DecisionRule::Revoked, told("each is told, failed ones too"));
        }
        if let Some(glob) = policy.trusting(&uploader).next() {
            let glob = clean_cut(&glob.to_string(), 200);
            let told = format!("nothing is told: the trusted glob {glob} matches");
            return (DecisionRule::TrustedByPattern, told);
        }
        let known = record.filter(|record| match record.standing {
            Standing::New | Standing::Learned => true,
            Standing::Trusted => record.trusted_until.is_none_or(|until| until > now),
            _ => false,
        });
        let Some(known) = known else {
            return if policy.learns(&uploader, now) {
                let told = told("the learning digest tells");
                (DecisionRule::Learned, told)
            } else {
                (
                    DecisionRule::New,
                    told("it is told that somebody new pushed"),
                )
            };
        };
        let is_trusted = known.standing == Standing::Trusted;
        let last = known.last_seen.filter(|_| !is_trusted);
        if last.is_some_and(|last| policy.absent(last, now)) {
            let told = told("its return after a long absence is told");
            return (DecisionRule::ReturnedAfterAbsence, told);
        }
        let told = "nothing is told, unless another unique id has its name, or the push is \
                    outside its habits";
        (DecisionRule::Known, told.to_owned())
    }
}

const NOBODY: &str = "by nobody we know of";
const SUBSCRIPTIONS: &str = "a subscription of the topic may have a filter policy";

fn in_a_line(stored: &StoredFinding) -> String {
    format!(
        "{}: {} ({}), decided {}",
        clean_cut(&stored.id, 80),
        safe(&stored.reason, 40),
        stored.severity,
        stored.decided_at
    )
}

fn answered(stored: &StoredFinding, now: Timestamp) -> String {
    let answer = stored.answer.as_ref();
    answer.map_or_else(
        || "by nobody".to_owned(),
        |answer| answer_in_words(answer, now),
    )
}

/// The row that gave a finding.
fn rule_of(finding: &Finding) -> DecisionRule {
    match finding.reason {
        Reason::RevokedUploader => DecisionRule::Revoked,
        Reason::NewUploader => DecisionRule::New,
        Reason::UnidentifiedUploader => DecisionRule::Unidentified,
        Reason::AttemptedUpload => DecisionRule::AttemptedUpload,
        Reason::ReturnedAfterAbsence => DecisionRule::ReturnedAfterAbsence,
        Reason::UnusualPush => DecisionRule::UnusualPush,
        Reason::LearnedUploader => DecisionRule::Learned,
        // Of a late one the known principal was seen no earlier.
        Reason::RecreatedPrincipal => {
            let time = finding.push.event_time;
            if finding.previously_seen.is_some_and(|seen| seen >= time) {
                DecisionRule::LateEventOfUnknownPrincipal
            } else {
                DecisionRule::Recreated
            }
        }
    }
}
