//! A finding for Amazon Q Developer in chat applications: its custom
//! notification, version 1.0. Amazon Q discards anything else on a topic in silence.

use serde_json::json;

use super::defang::defanged;
use super::remediation::{self, Step};
use super::wording::{
    advice, capital, headline, reason_in_words, sentence, severity_in_words, severity_word, shown,
};
use super::{Message, RenderContext, facts, subject};
use crate::finding::Finding;
use crate::text::cut_bytes;

/// Longest description, in bytes; the limit is 8,000 characters.
pub(super) const MAX_DESCRIPTION: usize = 7_000;

/// The JSON of a message. A list must not have more findings than its description
/// can name.
pub(super) fn json(message: Message<'_>, context: &RenderContext) -> String {
    let id = message.id().to_string();
    let (description, steps) = match message {
        Message::Finding(finding) => {
            let why = capital(&reason_in_words(finding, context.absence_days));
            let through = facts::through_in_words(finding);
            let through = through.map_or_else(String::new, |through| {
                // Our full stop makes a link of `www`.
                format!("\n\n{}", defanged(&format!("{through}.")))
            });
            let description = plain(&format!(
                "{}{through}\n\n{why}.\n\n{} {}",
                sentence(finding),
                advice(finding),
                severity_in_words(finding),
            ));
            let cut = cut_bytes(&description, MAX_DESCRIPTION);
            (cut.to_owned(), next_steps(finding, context))
        }
        Message::Rollup(_) | Message::Digest(_) => {
            let lines: Vec<_> = message.findings().iter().map(line).collect();
            (lines.join("\n"), Vec::new())
        }
    };
    let mut context = serde_json::Map::new();
    if let Message::Finding(finding) = message {
        for (name, value) in [
            ("severity", finding.severity.as_str()),
            ("reason", finding.reason.as_str()),
            ("uploader", &plain(&shown(&finding.uploader.key, 300))),
        ] {
            context.insert(name.to_owned(), json!(value));
        }
    }
    json!({
        "version": "1.0",
        "source": "custom",
        "id": id,
        "content": {
            "textType": "client-markdown",
            "title": plain(&subject::of(message)),
            "description": description,
            "nextSteps": steps,
            "keywords": ["PushWatch", message.severity().as_str()],
        },
        "metadata": {
            "threadId": id,
            "summary": plain(&subject::of(message)),
            "eventType": "PushWatch finding",
            "additionalContext": context,
        },
    })
    .to_string()
}

/// A finding's line in the description of a list.
pub(super) fn line(finding: &Finding) -> String {
    let severity = severity_word(finding.severity);
    let line = format!("- [{severity}] {} ({})", headline(finding), finding.id);
    plain(&line)
}

/// Words and commands in turn, the commands as code.
fn next_steps(finding: &Finding, context: &RenderContext) -> Vec<String> {
    let expected = remediation::expected(finding, context).into_iter();
    let mut steps = Vec::new();
    for step in expected.chain(remediation::not_expected(finding, context)) {
        match step {
            Step::Words(words) => steps.push(plain(&words)),
            Step::Whole(link) if link.starts_with("https://") => steps.push(link),
            Step::Whole(command)
                if !command.contains(['`', '<', '>']) && !command.contains("](") =>
            {
                steps.push(format!("`{command}`"));
            }
            Step::Whole(_) => {}
        }
    }
    steps
}

/// Text of an event without what a chat would obey: `<!channel>`, a link in
/// Markdown, emphasis. Names keep their `_` and `@`.
fn plain(text: &str) -> String {
    let obeyed = |c| matches!(c, '<' | '>' | '`' | '*' | '~' | '|');
    text.replace(obeyed, " ").replace("](", "] (")
}
