//! Why a push is reported, or not, in words.

use compact_str::CompactString;
use pushwatch::decide::{Decision, DecisionRule};
use pushwatch::event::Push;
use pushwatch::finding::{Finding, Owed, Reason};
use pushwatch::habit::MAX_PLACES;
use pushwatch::identity::Uploader;
use pushwatch::policy::Policy;
use pushwatch::record::{Record, Standing};
use pushwatch::render::of_push;
use pushwatch::render::{safe, safe_words};
use pushwatch::text::clean_cut;
use pushwatch::watch::{DeferReason, Outcome, PushOutcome};

use super::lines::Lines;
use crate::input::IdentifiedPush;

/// What a push is decided on.
pub struct Case<'a> {
    pub pushed: &'a IdentifiedPush,
    /// What was remembered of the uploader.
    pub before: Option<&'a Record>,
    pub policy: &'a Policy,
    /// The option or parameter that suppresses findings.
    pub suppressed_by: &'static str,
}

/// What is decided on it.
pub struct Decided {
    rule: DecisionRule,
    pub finding: Option<Finding>,
    /// Whether it waits for the digest.
    waits: bool,
    suppressed: bool,
    suppression_fault: Option<String>,
}

impl From<Decision> for Decided {
    fn from(decision: Decision) -> Self {
        Self {
            rule: decision.rule,
            waits: decision.owed == Owed::Digest,
            finding: decision.finding,
            suppressed: decision.suppressed,
            suppression_fault: decision.suppression_fault,
        }
    }
}

impl<E> From<PushOutcome<E>> for Decided {
    fn from(outcome: PushOutcome<E>) -> Self {
        Self {
            rule: outcome.rule,
            waits: matches!(outcome.deferred, Some(DeferReason::Digest)),
            finding: outcome.finding,
            suppressed: outcome.outcome == Outcome::FindingSuppressed,
            suppression_fault: outcome.suppression_fault,
        }
    }
}

impl Decided {
    fn in_words(&self, suppressed_by: &str) -> String {
        match &self.finding {
            None if self.suppressed => format!("nothing is told: {suppressed_by} matches"),
            None => "nothing is told".to_owned(),
            Some(finding) if finding.reason == Reason::LearnedUploader => {
                "learned: named in the learning digest".to_owned()
            }
            Some(finding) => {
                let how = if self.waits {
                    "told in the daily digest"
                } else {
                    "told"
                };
                format!("{how}: {} ({})", finding.reason, finding.severity)
            }
        }
    }
}

/// Which push it is.
pub fn heading(push: &Push) -> Lines {
    let repository = push.repository.as_deref().unwrap_or("(no repository)");
    let tag = push.tag.as_deref().unwrap_or("(untagged)");
    Lines::under(&format!(
        "{} {} {}, event {}",
        push.event_time,
        safe(repository, 120),
        safe(tag, 60),
        safe(&push.event_id, 80),
    ))
}

/// Who pushed, and how that is known.
pub fn identity(lines: &mut Lines, pushed: &IdentifiedPush) {
    let rule = pushed.identification.rule;
    let key = &pushed.identification.uploader.key;
    lines.add("uploader", clean_cut(key, 300));
    lines.add("identity", format!("row {}: {}", rule.number(), rule.why()));
}

/// The row of the decision table.
pub fn decision(lines: &mut Lines, rule: DecisionRule) {
    lines.add("decision", format!("row {}: {}", rule.number(), rule.why()));
}

impl Case<'_> {
    /// What is decided on it, and why not otherwise. `when` stands before the outcome.
    pub fn outcome(&self, lines: &mut Lines, decided: &Decided, when: &str) {
        let (pushed, policy) = (self.pushed, self.policy);
        let uploader = &pushed.identification.uploader;
        decision(lines, decided.rule);
        let told = decided.finding.as_ref();
        if told.is_some_and(|finding| finding.reason != Reason::LearnedUploader) {
            if let Some(why) = why_no_glob(uploader, decided.rule, policy) {
                lines.add("trusted", why);
            }
            if let Some(why) = why_not_learned(pushed, decided.rule, policy) {
                lines.add("learning", why);
            }
        }
        for (label, facts) in of_push(&pushed.push) {
            for (index, what) in facts.into_iter().enumerate() {
                lines.add(if index == 0 { label } else { "" }, what);
            }
        }
        for (label, what) in habits(pushed, self.before, policy) {
            lines.add(label, what);
        }
        let told = decided.in_words(self.suppressed_by);
        lines.add("outcome", format!("{when}{told}"));
        if let Some(fault) = &decided.suppression_fault {
            let by = self.suppressed_by;
            let fault = safe_words(fault, 200);
            lines.add("warning", format!("{by} failed on this finding: {fault}"));
        }
    }
}

/// Which place and which way of the push are new, and which were known, of somebody
/// whose habits count.
fn habits(
    pushed: &IdentifiedPush,
    before: Option<&Record>,
    policy: &Policy,
) -> Vec<(&'static str, String)> {
    let push = &pushed.push;
    let counts = policy.watches_habits(&pushed.identification.uploader) && !push.failed();
    let Some(known) = before.filter(|before| counts && before.standing.has_habits()) else {
        return Vec::new();
    };
    let habits = &known.habits;
    let Some(since) = habits.habits_since else {
        return vec![(
            "habits",
            "none were known; they are learned from here on".to_owned(),
        )];
    };
    let place = push.place();
    let place = if habits.wide {
        format!("{place}; it pushes everywhere")
    } else {
        known_or_new(&place, habits.has_place(&place), &habits.places)
    };
    let way = known_or_new(&push.way, habits.has_way(&push.way), &habits.ways);
    let mut lines = vec![("place", place), ("way", way)];
    let is_new = !habits.has_place(&push.place());
    if is_new && known.standing == Standing::Trusted {
        lines.push(("", "of somebody trusted no place is told".to_owned()));
    } else if is_new && habits.places.len() == MAX_PLACES {
        lines.push((
            "",
            format!("one more than {MAX_PLACES}: it is wide from now on"),
        ));
    }
    let until = policy.learns_habits_until(since);
    if push.event_time < until {
        lines.push(("habits", format!("learned in silence until {until}")));
    }
    lines
}

fn known_or_new(habit: &str, is_known: bool, known: &[CompactString]) -> String {
    let habit = clean_cut(habit, 300);
    let known: Vec<_> = known.iter().map(|known| clean_cut(known, 300)).collect();
    match (is_known, known.as_slice()) {
        (true, _) => format!("{habit}, known"),
        (false, []) => format!("{habit}, new; none was known"),
        (false, known) => format!("{habit}, new; known: {}", known.join(", ")),
    }
}

/// Why no trusted glob keeps the finding back, if there are globs.
fn why_no_glob(uploader: &Uploader, row: DecisionRule, policy: &Policy) -> Option<String> {
    let mut globs = policy.trusted.iter();
    let Some(glob) = globs.find(|glob| glob.matches(&uploader.key)) else {
        let is_any = !policy.trusted.is_empty();
        return is_any.then(|| "no trusted glob matches".to_owned());
    };
    let but = match row {
        DecisionRule::Unidentified => "whom nothing identifies no glob trusts",
        DecisionRule::Revoked => "a revocation goes before it",
        // No row but these goes before a glob that trusts.
        _ => "the root user needs one without a wildcard",
    };
    Some(format!(
        "{} matches, but {but}",
        clean_cut(&glob.to_string(), 200)
    ))
}

/// Why somebody new is not learned, if anybody is.
fn why_not_learned(pushed: &IdentifiedPush, row: DecisionRule, policy: &Policy) -> Option<String> {
    let until = policy.learning_until.filter(|_| row == DecisionRule::New)?;
    Some(if pushed.push.event_time >= until {
        format!("it ended {until}, before this push")
    } else {
        "the root user is never learned, nor a session that it minted".to_owned()
    })
}
