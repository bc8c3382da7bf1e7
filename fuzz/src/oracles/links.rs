//! No text of an event becomes a link in a mail program, a chat or a terminal.
//!
//! Written apart from `render::defang`, by what such programs link: a scheme, `www.` and
//! `ftp.`, a share of Windows, and any name under a domain of the first level. An address of
//! mail and the name of a service of AWS are let pass, since neither opens a page.

use serde_json::Value;

/// The hosts of the console, to which alone we link.
const CONSOLES: [&str; 3] = [
    "console.aws.amazon.com",
    "console.amazonaws.cn",
    "console.amazonaws-us-gov.com",
];

/// Schemes that are linked though no slashes follow.
const SCHEMES: [&str; 17] = [
    "callto", "file", "ftp", "gopher", "http", "https", "mailto", "news", "nntp", "onenote",
    "outlook", "sip", "sips", "skype", "tel", "telnet", "webcal",
];

/// What of the text would be linked, if anything; it is no link of ours.
pub fn live_link(text: &str) -> Option<String> {
    let text = as_address(text);
    if text.contains("://") {
        return Some("://".to_owned());
    }
    // What is between white space and what no host has in it.
    let mut runs = text.split(|c: char| !is_of_address(c));
    marked(&text)
        .or_else(|| share(&text))
        .or_else(|| runs.find_map(|run| bare_host(&text, run)))
}

/// The text as a program takes it that looks for addresses: in letters of one case, and what
/// is of full width, or is the full stop of another script, as the sign of ASCII for which it
/// stands in an address.
fn as_address(text: &str) -> String {
    let narrow = text.chars().map(|c| match c {
        '\u{3002}' | '\u{ff61}' => '.',
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        _ => c,
    });
    narrow.collect::<String>().to_lowercase()
}

/// A word before a colon or a dot that makes a link of what follows.
fn marked(text: &str) -> Option<String> {
    text.match_indices([':', '.']).find_map(|(at, mark)| {
        let word = text[..at].rsplit(|c: char| !c.is_ascii_alphanumeric());
        let word = word.into_iter().next().unwrap_or_default();
        let numbered = word.strip_prefix("www");
        let is_host = word.ends_with("www")
            || word == "ftp"
            || numbered.is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()));
        let is_marked = match mark {
            ":" => SCHEMES.contains(&word) && text[at + 1..].starts_with(|c: char| c > ' '),
            _ => is_host,
        };
        is_marked.then(|| format!("{word}{mark}"))
    })
}

/// A share of Windows: `\\server\share`.
fn share(text: &str) -> Option<String> {
    text.match_indices("\\\\").find_map(|(at, mark)| {
        let rest = text[at + mark.len()..].trim_start_matches('\\');
        let end = rest.find(|c| !is_of_address(c)).unwrap_or(rest.len());
        let is_share = end > 0 && rest[end..].starts_with('\\');
        is_share.then(|| rest[..end].to_owned())
    })
}

fn is_of_address(c: char) -> bool {
    c.is_alphanumeric() || "-.@_+".contains(c)
}

/// The host in a run of its characters.
fn bare_host(text: &str, run: &str) -> Option<String> {
    let begin = run.as_ptr() as usize - text.as_ptr() as usize;
    // A sentence may end behind it.
    let run = run.trim_end_matches('.');
    let mut after = text[begin + run.len()..].chars();
    let (next, second) = (after.next(), after.next());
    let (user, host) = match run.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, run),
    };
    // `host: word` is no port.
    let is_page = next.is_some_and(|c| "/?#".contains(c))
        || next == Some(':') && second.is_some_and(|c| !c.is_whitespace());
    // An address of mail opens no page.
    let is_mail = user.is_some_and(|user| user.ends_with(|c: char| c.is_ascii_alphanumeric()));
    if is_mail && !is_page {
        return None;
    }
    if is_page && host.parse::<std::net::Ipv4Addr>().is_ok() {
        return Some(host.to_owned());
    }
    let mut hosts: Vec<_> = host.split(['+', '_']).collect();
    if hosts.last().is_some_and(|host| is_service(host)) && !is_page {
        hosts.pop();
    }
    let pairs = hosts.iter().flat_map(|host| {
        let labels: Vec<_> = host.split('.').collect();
        labels
            .windows(2)
            .map(|pair| (pair[0], pair[1]))
            .collect::<Vec<_>>()
    });
    let mut linked = pairs.filter(|(name, domain)| {
        let is_label = name.ends_with(|c: char| c.is_alphanumeric() || c == '-');
        is_label && is_first_level(domain)
    });
    linked
        .next()
        .map(|(name, domain)| format!("{name}.{domain}"))
}

/// The name of an AWS service, such as `ecr.amazonaws.com`, opens no page.
fn is_service(host: &str) -> bool {
    let service = host
        .strip_suffix(".amazonaws.com")
        .or_else(|| host.strip_suffix(".amazonaws.com.cn"));
    service.is_some_and(|service| !service.is_empty() && !service.contains('.'))
}

fn is_first_level(label: &str) -> bool {
    let word = label.split('-').next().unwrap_or(label);
    [label, word].iter().any(|label| {
        !label.is_empty()
            && (tld::exist(label)
                || !label.is_ascii()
                    && idna::domain_to_ascii(label).is_ok_and(|ascii| tld::exist(&ascii)))
    })
}

/// Nothing in the line is linked, but a link of ours that is the whole line.
#[track_caller]
pub fn assert_none(line: &str) {
    let trimmed = line.trim_start();
    if trimmed.starts_with("https://") {
        assert_is_of_console(trimmed);
        return;
    }
    if let Some(link) = live_link(line) {
        panic!("{link} is linked in {line:?}");
    }
}

#[track_caller]
fn assert_is_of_console(link: &str) {
    let rest = &link["https://".len()..];
    let host = rest.split('/').next().unwrap_or_default();
    let is_console = CONSOLES.iter().any(|console| {
        host.strip_suffix(console)
            .and_then(|region| region.strip_suffix('.'))
            .is_some_and(|region| {
                region
                    .bytes()
                    .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            })
    });
    let is_address = link
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b":/.?=#&%_~@+,-".contains(&byte));
    assert!(is_console && is_address, "{link:?}");
    // Nothing in it is another address.
    assert!(!rest.contains("//"), "{link:?}");
}

/// The same of each line.
#[track_caller]
pub fn assert_none_within(text: &str) {
    for line in text.lines() {
        assert_none(line);
    }
}

/// The same of the texts of a value.
#[track_caller]
pub fn assert_none_in(value: &Value) {
    match value {
        Value::String(text) => assert_none_within(text),
        Value::Array(values) => values.iter().for_each(assert_none_in),
        Value::Object(fields) => fields.values().for_each(assert_none_in),
        _ => {}
    }
}
