//! A finding as an e-mail: plain text under 72 columns, but for commands and
//! links, which stay whole so that they can be pasted.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::defang::{defanged, defanged_wholly};
use super::remediation::{self, Step};
use super::wording::{
    HIDDEN, MAX_KEY_SHOWN, WHY_ROOT, advice, capital, general_reason, headline, is_of_root,
    is_program, particular_reason, reason_in_words, sentence, severity_in_words, severity_word,
    shown,
};
use super::{Message, RenderContext, facts};
use crate::finding::{Finding, Reason};

/// Longest line, without a command or a link.
const WIDTH: usize = 71;
/// Where the values of the facts begin.
const INDENT: usize = 10;

/// The body of a message.
pub(super) fn body(message: Message<'_>, context: &RenderContext) -> String {
    let mut text = match message {
        Message::Finding(finding) => of_finding(finding, context),
        Message::Rollup(findings) => {
            let intro = format!(
                "{} findings came at once, worst first. Each is told here only. To see one \
                 whole, with what to do about it, type the command under it.",
                findings.len()
            );
            list(&intro, findings, context)
        }
        Message::Digest(findings) => digest(findings, context),
    };
    sender(&mut text, context);
    text
}

/// Unusual pushes by known uploaders, and those who were learned, as far as there are
/// any of either.
fn digest(findings: &[Finding], context: &RenderContext) -> String {
    // Worst first: those who were learned come last.
    let learned = |finding: &Finding| finding.reason == Reason::LearnedUploader;
    let unusual_count = findings.iter().take_while(|one| !learned(one)).count();
    let (unusual, learned) = findings.split_at(unusual_count);
    let mut text = String::new();
    if !unusual.is_empty() {
        let pushes = match unusual.len() {
            1 => "1 push by a known uploader, outside its habits".to_owned(),
            count => format!("{count} pushes by known uploaders, outside their habits"),
        };
        let intro = format!(
            "{pushes}. Most such pushes are ordinary growth. Each is told here only, and is a \
             habit from now on. If nobody expected it, type the command under it."
        );
        text.push_str(&list(&intro, unusual, context));
    }
    if !learned.is_empty() {
        let learned_from = match learned.len() {
            1 => "1 uploader was learned from its pushes, and is known from now on".to_owned(),
            count => format!(
                "{count} uploaders were learned from their pushes, and are known from now on"
            ),
        };
        let intro = format!(
            "{learned_from}. If there is somebody you do not know, type the command under the \
             name: every later push is then a critical finding."
        );
        text.push_str(&list(&intro, learned, context));
    }
    text
}

/// Who sends the message, and where its operators read what to do.
fn sender(text: &mut String, context: &RenderContext) {
    let stack = context.stack.as_deref();
    let stack = stack.map_or_else(String::new, |stack| {
        format!(", stack {}", shown(stack, 128))
    });
    let account = context.account.as_deref();
    let account = account.map_or_else(String::new, |id| format!(", account {}", shown(id, 40)));
    wrap(text, &format!("Sent by PushWatch{stack}{account}."), "", "");
    let runbook = context.runbook.as_deref();
    if let Some(link) = runbook.filter(|link| link.bytes().all(|byte| byte.is_ascii_graphic())) {
        // A word of the deployment's owner, not of an event.
        let _ = writeln!(text, "Runbook: {link}");
    }
}

/// What a finding adds to a list at most.
pub(super) fn part(finding: &Finding, context: &RenderContext) -> String {
    let mut text = String::new();
    parts(&mut text, std::slice::from_ref(finding), context);
    text
}

/// Findings that are reported for the same reason, which is said once.
fn parts(text: &mut String, findings: &[Finding], context: &RenderContext) {
    let first = findings.first();
    // All of a digest were learned, as its beginning says.
    let told = first.filter(|finding| finding.reason != Reason::LearnedUploader);
    if let Some(first) = told {
        let why = capital(&general_reason(first, context.absence_days));
        let count = match findings.len() {
            1 => "1 finding".to_owned(),
            count => format!("{count} findings"),
        };
        wrap(text, &format!("{count}: {why}."), "", "");
        text.push('\n');
    }
    for finding in findings {
        text.push_str(&one_of_list(finding, context));
    }
}

fn one_of_list(finding: &Finding, context: &RenderContext) -> String {
    let mut text = String::new();
    let head = format!(
        "[{}] {}",
        severity_word(finding.severity),
        headline(finding)
    );
    wrap(&mut text, &head, "", "  ");
    let push = &finding.push;
    let location = format!(
        "account {} {}",
        shown(push.account.as_deref().unwrap_or("unknown"), 40),
        shown(push.region.as_deref().unwrap_or("unknown"), 40)
    );
    let mut when = facts::when(finding);
    when.push(location);
    let mut lines = vec![when.join(", ")];
    lines.extend(facts::through_in_words(finding));
    lines.extend(particular_reason(finding).map(|why| capital(&why)));
    if push.parameters_omitted {
        lines.push(capital(HIDDEN));
    }
    let verb = if finding.reason == Reason::LearnedUploader {
        "revoke"
    } else {
        if is_of_root(finding) {
            lines.push(format!("Critical, {WHY_ROOT}"));
        }
        "show"
    };
    lines.push(format!("Finding {}", finding.id));
    for line in lines {
        wrap(&mut text, &line, "  ", "  ");
    }
    // Somebody unidentified has no record to show, but there is the event.
    let command = remediation::uploaders_command(finding, verb, context);
    match command.or_else(|| remediation::event_link(finding)) {
        Some(line) => _ = writeln!(text, "  {line}"),
        None => wrap(
            &mut text,
            &shown(&finding.uploader.key, MAX_KEY_SHOWN),
            "  ",
            "  ",
        ),
    }
    text.push('\n');
    text
}

fn list(intro: &str, findings: &[Finding], context: &RenderContext) -> String {
    let mut text = String::new();
    wrap(&mut text, intro, "", "");
    text.push('\n');
    let why = |finding: &Finding| general_reason(finding, context.absence_days);
    for alike in findings.chunk_by(|one, next| why(one) == why(next)) {
        parts(&mut text, alike, context);
    }
    text
}

fn of_finding(finding: &Finding, context: &RenderContext) -> String {
    let mut text = String::new();
    let severity = severity_word(finding.severity);
    wrap(
        &mut text,
        &format!("[{severity}] {}", sentence(finding)),
        "",
        "",
    );
    text.push('\n');
    wrap(
        &mut text,
        &format!("{} The steps stand below.", advice(finding)),
        "",
        "",
    );
    text.push('\n');
    facts(&mut text, finding);

    heading(&mut text, "WHY YOU ARE TOLD");
    let why = capital(&reason_in_words(finding, context.absence_days));
    wrap(&mut text, &format!("{why}."), "", "");

    heading(&mut text, "HOW BAD IT IS");
    wrap(&mut text, &how_bad(finding), "", "");

    let expected = remediation::expected(finding, context);
    if !expected.is_empty() {
        heading(&mut text, "IF YOU EXPECTED IT");
        steps(&mut text, &expected);
    }
    heading(&mut text, "IF YOU DID NOT");
    steps(&mut text, &remediation::not_expected(finding, context));

    let _ = writeln!(text, "\nFinding {} ({})", finding.id, finding.reason);
    text
}

fn facts(text: &mut String, finding: &Finding) {
    for (label, lines) in facts::of(finding) {
        for (index, line) in lines.iter().enumerate() {
            let label = if index == 0 { label } else { "" };
            // A digest fits into a line without the indent, and can be marked as one word.
            if label.is_empty() && line.starts_with("sha256:") && line.len() <= WIDTH {
                let _ = writeln!(text, "{line}");
                continue;
            }
            let indent = " ".repeat(INDENT);
            wrap(text, line, &format!("{label:<INDENT$}"), &indent);
        }
    }
}

fn how_bad(finding: &Finding) -> String {
    let attack: Vec<_> = finding
        .attack
        .0
        .iter()
        .map(|technique| format!("{} {}", technique.technique, technique.name))
        .collect();
    let consequence = if finding.push.failed() {
        "Nothing was stored; but whoever gets an image in can have code run wherever it is pulled"
    } else {
        "Whoever can push an image can have code run wherever it is pulled"
    };
    format!(
        "{} {consequence} (MITRE ATT&CK {}).",
        severity_in_words(finding),
        attack.join(", ")
    )
}

fn steps(text: &mut String, steps: &[Step]) {
    for step in steps {
        match step {
            Step::Words(words) => wrap(text, words, "- ", "  "),
            Step::Whole(line) => _ = writeln!(text, "  {line}"),
        }
    }
}

fn heading(text: &mut String, heading: &str) {
    let _ = writeln!(text, "\n{heading}");
}

/// Writes words in lines of at most [`WIDTH`] characters. A word that is longer
/// is broken, and none begins a line as a command would.
fn wrap(text: &mut String, words: &str, first: &str, rest: &str) {
    let mut line = first.to_owned();
    let mut width = first.chars().count();
    let mut is_empty = true;
    let begin = |text: &mut String, line: &mut String, width: &mut usize| {
        let _ = writeln!(text, "{}", line.trim_end());
        rest.clone_into(line);
        *width = rest.chars().count();
    };
    let room = WIDTH.saturating_sub(rest.len());
    let words = words.split(' ').filter(|word| !word.is_empty());
    for (word, is_first) in words.flat_map(|word| fitting(word, room)) {
        let mut word = Cow::Borrowed(word);
        if word.len() > room {
            word = Cow::Owned(defanged_wholly(&word));
        }
        let space = usize::from(is_first);
        let length = word.chars().count();
        if !is_empty && width + space + length > WIDTH {
            begin(text, &mut line, &mut width);
            is_empty = true;
        }
        if !is_empty && is_first {
            line.push(' ');
            width += 1;
        }
        if line.trim().is_empty() && is_program(&word) {
            word = Cow::Owned(format!("[{word}]"));
        }
        for (at, c) in word.char_indices() {
            if width == WIDTH {
                // `evil.comfort`, broken behind `com`, is a link that it was not.
                let last_dot = line.rfind('.').filter(|_| defanged(&line) != line);
                let moved = last_dot.map(|at| line.split_off(at));
                begin(text, &mut line, &mut width);
                if let Some(moved) = moved {
                    width += moved.chars().count();
                    line.push_str(&moved);
                } else if is_program(&word[at..]) {
                    let _ = write!(line, "[{}]", &word[at..]);
                    width += word.len() - at + 2;
                    break;
                }
            }
            line.push(c);
            width += 1;
        }
        is_empty = false;
    }
    let _ = writeln!(text, "{}", line.trim_end());
}

/// A word in parts that fit into a line, as far as it can be broken behind a slash: a
/// name or an address of mail at the end of an ARN stays whole. Each with whether it is
/// the first.
fn fitting(word: &str, room: usize) -> Vec<(&str, bool)> {
    let mut parts = Vec::new();
    let (mut begin, mut end) = (0, 0);
    for piece in word.split_inclusive('/') {
        if end > begin && end + piece.len() - begin > room {
            parts.push((&word[begin..end], begin == 0));
            begin = end;
        }
        end += piece.len();
    }
    parts.push((&word[begin..], begin == 0));
    parts
}

#[cfg(test)]
mod tests {
    use super::wrap;

    #[test]
    fn a_long_name_is_broken_before_an_address_of_mail_and_not_within() {
        let role = "arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_AdministratorsOfAllAccountsAndRegions";
        let mut text = String::new();
        wrap(
            &mut text,
            &format!("{role}/mary.major@example.com"),
            "Who  ",
            "     ",
        );
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        assert_eq!(*lines.last().unwrap(), "mary.major@example.com");
        assert!(text.lines().all(|line| line.len() <= 71), "{text}");
    }

    #[test]
    fn lines_are_broken_between_words_and_long_words_within() {
        let mut text = String::new();
        wrap(&mut text, &"word ".repeat(30), "Label ", "      ");
        wrap(&mut text, &"x".repeat(100), "", "  ");
        for line in text.lines() {
            assert!(line.chars().count() <= 71, "{line}");
        }
        assert_eq!(text.matches("word").count(), 30);
        assert_eq!(text.matches('x').count(), 100);
        assert!(text.starts_with("Label word word"));
    }

    #[test]
    fn no_line_begins_as_a_command() {
        for words in [
            format!("{}/aws to Amazon ECR.", "a".repeat(69)),
            format!("{}aws to Amazon ECR.", "a".repeat(71)),
            format!("{} aws to Amazon ECR.", "a".repeat(69)),
            "aws to Amazon ECR.".to_owned(),
        ] {
            let mut text = String::new();
            wrap(&mut text, &words, "", "  ");
            assert!(text.contains("[aws] to Amazon ECR."), "{text}");
            assert!(text.lines().all(|line| line.len() <= 71), "{text}");
        }
    }

    #[test]
    fn a_break_within_a_word_makes_no_link() {
        let word = format!("{}evil.comfortable", "x".repeat(63));
        let mut text = String::new();
        wrap(&mut text, &word, "", "  ");
        assert_eq!(text, format!("{}evil\n  .comfortable\n", "x".repeat(63)));
        // Nor of an address of mail, whose host comes to stand alone.
        let word = format!("{}@evil.com", "x".repeat(70));
        let mut text = String::new();
        wrap(&mut text, &word, "", "  ");
        assert_eq!(text, format!("{}@\n  evil[.]com\n", "x".repeat(70)));
    }
}
