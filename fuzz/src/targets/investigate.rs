//! The bytes of a file of events through `pushwatch investigate`, in each of its forms.

use std::path::Path;

use serde_json::Value;

use crate::command_line::{caught, run};
use crate::events::now;
use crate::input::{Selection, read};
use crate::oracles::{characters, commands, links, printed};
use crate::scratch::Scratch;

/// How many pushes of an input are investigated.
const MOST: usize = 2;

pub fn check(input: &[u8]) {
    let scratch = Scratch::new();
    let events = scratch.file("events.json", input);
    // A file of which CloudTrail's name says the time.
    let named = "111122223333_CloudTrail_eu-central-1_20260112T0905Z_Ab3dEf.json";
    let named = scratch.file(named, input);
    let (contents, ..) = caught(|| {
        read(
            std::slice::from_ref(&events),
            Selection::Pushes,
            now(),
            true,
        )
    });
    investigate(&events, &[&events, &named]);
    for push in contents.pushes.iter().take(MOST) {
        let id = Path::new(push.push.event_id.as_str());
        // An option, or a file that is there, is no id.
        if !push.push.event_id.starts_with('-') && !id.exists() {
            investigate(id, &[&events]);
        }
    }
}

fn investigate(subject: &Path, archive: &[&Path]) {
    let answer = |form: &str| {
        let begin = [
            Path::new("investigate"),
            "--format".as_ref(),
            form.as_ref(),
            subject,
        ];
        let ran = run(&[&begin, archive].concat());
        printed::assert_said(&ran);
        ran
    };
    let json = answer("json");
    let answers: Value = if json.is_done {
        serde_json::from_str(&json.out).expect("JSON")
    } else {
        Value::Null
    };
    let commands = commands_of(&answers);
    let text = answer("text");
    for line in text.out.lines() {
        assert_shown(line);
        assert_command(line, &commands);
    }
    let markdown = answer("markdown");
    assert_markdown(&markdown.out, &commands);
    assert_eq!(
        (text.is_done, text.is_done),
        (markdown.is_done, json.is_done)
    );
}

/// The commands that are ours.
fn commands_of(answer: &Value) -> Vec<&str> {
    let actions = answer["actions"].as_array().into_iter().flatten();
    let commands = actions.filter_map(|action| action["command"].as_str());
    commands.collect()
}

fn assert_shown(line: &str) {
    characters::assert_ascii_lines(line);
    // A path in what Kubernetes answers, which a mail program takes for a host.
    links::assert_none(&line.replace("{.metadata.name}", ""));
}

/// A line that looks like a command is one of ours, in which a shell finds nothing else to
/// act on.
fn assert_command(line: &str, commands: &[&str]) {
    if commands::is_command(line) {
        assert!(commands.contains(&line.trim_start()), "{line:?}");
        let ours = line
            .replace("'\"$(date -u +%Y-%m-%dT%H:%M:%SZ)\"'", "")
            .replace(" | grep -F", "");
        commands::assert_inert(&ours);
    }
}

/// Outside of code nothing is Markdown but ours.
fn assert_markdown(page: &str, commands: &[&str]) {
    let mut is_block = false;
    for line in page.lines() {
        characters::assert_ascii_lines(line);
        if line.trim_start().starts_with("````") {
            is_block = !is_block;
        } else if is_block {
            assert_shown(line);
            assert_command(line, commands);
        } else {
            let parts = parts(line);
            for words in parts.iter().filter(|part| !part.is_code) {
                for odd in ["](", "<", ">", "![", "`"] {
                    assert!(!words.markdown.contains(odd), "{line:?}");
                }
            }
            let texts = parts.into_iter().map(|part| part.text);
            let shown = texts.collect::<Vec<_>>().join(" ");
            assert_shown(&shown);
            assert_command(&shown, commands);
        }
    }
    assert!(!is_block, "{page}");
}

/// A span of code, or what is between two.
#[derive(Default)]
struct Part {
    is_code: bool,
    /// As people see it.
    text: String,
    /// Without each punctuation that a backslash makes a mere character.
    markdown: String,
}

fn parts(line: &str) -> Vec<Part> {
    let mut parts = vec![Part::default()];
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        let span = (c == '`').then(|| span_of_code(rest)).flatten();
        if let Some(length) = span {
            parts.push(Part {
                is_code: true,
                text: rest[..length].trim_matches('`').to_owned(),
                markdown: String::new(),
            });
            parts.push(Part::default());
            rest = &rest[length..];
            continue;
        }
        let words = parts.last_mut().expect("never empty");
        match after.chars().next().filter(char::is_ascii_punctuation) {
            Some(escaped) if c == '\\' => {
                words.text.push(escaped);
                rest = &after[1..];
            }
            _ => {
                words.text.push(c);
                words.markdown.push(c);
                rest = after;
            }
        }
    }
    parts
}

/// The length of the span of code that begins there, if one does.
fn span_of_code(text: &str) -> Option<usize> {
    let run = |text: &str| text.len() - text.trim_start_matches('`').len();
    let fence = run(text);
    let mut at = fence;
    loop {
        at += text[at..].find('`')?;
        let closing = run(&text[at..]);
        at += closing;
        if closing == fence {
            return Some(at);
        }
    }
}
