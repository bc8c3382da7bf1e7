//! Keeps mail and chat programs from making links of the texts of an event.
//!
//! Such programs look for a scheme, for `www.` or `ftp.`, for a share of Windows, and for any
//! name under a domain that exists: `evil.com/login` is a lawful name of a repository. What is
//! under no such domain (`1.4.2`, `mary.major`, `node.js`) stays as it is.

use std::borrow::Cow;
use std::net::Ipv4Addr;

/// What follows a host in a web address, and in no e-mail address.
const AFTER_HOST: [char; 4] = ['/', ':', '?', '#'];
/// Where some programs end a host that goes on for others.
const WITHIN_HOST: [char; 2] = ['_', '+'];

/// What some mail programs take for a link though no slashes follow the colon. Most are
/// of Windows' own list (`EM_AUTOURLDETECT`).
const SCHEMES: [&str; 17] = [
    "file", "ftp", "gopher", "http", "https", "callto", "mailto", "news", "nntp", "onenote",
    "outlook", "sip", "sips", "skype", "tel", "telnet", "webcal",
];

/// The longest word of a shell, in bytes: the longest key is shorter.
const MAX_WORD: usize = 2048;

/// `text` so that nothing in it is linked: `http[:]//evil[.]com`.
///
/// An e-mail address (`mary@example.com`, the session name of many people) and
/// the name of an AWS service stay: they open no page.
pub(super) fn defanged(text: &str) -> String {
    broken(text, "[", "]", Words::Whole).into_owned()
}

/// The same without exceptions, for a text that will be broken over lines: of `mary@`
/// and `example.com`, the second line is no e-mail address.
pub(super) fn defanged_wholly(text: &str) -> String {
    broken(text, "[", "]", Words::Broken).into_owned()
}

/// `text` as one word of a shell, in which nothing is linked: the dot of
/// `evil'.'com` stands in quotes, which the shell takes away again. `None` if
/// there is no such word, or if it is too long or has characters that can't be seen.
#[must_use]
pub fn shell_word(text: &str) -> Option<String> {
    let is_seen = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    // One that begins with a dash would be an option.
    if text.len() > MAX_WORD || text.starts_with('-') || !text.bytes().all(is_seen) {
        return None;
    }
    let quoted = shlex::try_quote(text).ok()?;
    let word = broken(&quoted, "'", "'", Words::Whole).into_owned();
    // Quotes within quotes mean something else.
    (shlex::split(&word)? == [text]).then_some(word)
}

/// Whether the words of a text stay whole.
#[derive(Clone, Copy, PartialEq)]
enum Words {
    Whole,
    /// A line may begin or end anywhere in them.
    Broken,
}

/// `text` with marks around each character that a link depends on.
fn broken<'a>(text: &'a str, open: &str, close: &str, words: Words) -> Cow<'a, str> {
    let marked: Vec<_> = text
        .match_indices([':', '.', '\\'])
        .map(|(at, _)| at)
        .filter(|at| is_of_a_link(text, *at, words))
        .collect();
    if marked.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut broken = String::new();
    let mut from = 0;
    for at in marked {
        broken.push_str(&text[from..at]);
        broken.push_str(open);
        broken.push_str(&text[at..=at]);
        broken.push_str(close);
        from = at + 1;
    }
    broken.push_str(&text[from..]);
    Cow::Owned(broken)
}

/// Whether a link depends on the colon, dot or backslash there.
fn is_of_a_link(text: &str, at: usize, words: Words) -> bool {
    let (before, after) = (&text[..at], &text[at + 1..]);
    let last = before.rsplit(|c: char| !c.is_ascii_alphanumeric()).next();
    let last = last.unwrap_or_default().to_ascii_lowercase();
    let is = |name: &str| match words {
        Words::Whole => last == name,
        Words::Broken => last.ends_with(name),
    };
    match text.as_bytes()[at] {
        b':' => return after.starts_with("//") || SCHEMES.iter().any(|scheme| is(scheme)),
        b'\\' => return before.ends_with('\\'),
        _ => {}
    }
    if is_of_the_web(&last) || is("ftp") {
        return true;
    }
    let is_number = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
    if is_number && Host::around(before, after).is_page_of_an_address() {
        return true;
    }
    if !before.ends_with(|c: char| c.is_alphanumeric() || c == '-') {
        return false;
    }
    let label = &after[..after
        .find(|c: char| !c.is_alphanumeric() && c != '-')
        .unwrap_or(after.len())];
    // `evil.com-x` is linked up to the hyphen by some.
    let word = label.split('-').next().unwrap_or(label);
    // The table has domains of other scripts in ASCII alone; any label of such is taken for one.
    let is_domain = [label, word]
        .iter()
        .any(|label| tld::exist_case_insensitive(label) || !label.is_ascii());
    is_domain && !(words == Words::Whole && Host::around(before, after).opens_no_page())
}

/// `www`, with a number or without, whatever is before it.
fn is_of_the_web(word: &str) -> bool {
    word.trim_end_matches(|c: char| c.is_ascii_digit())
        .ends_with("www")
}

/// The host around a dot.
struct Host<'a> {
    name: String,
    before: &'a str,
    /// What follows.
    next: Option<char>,
}

impl<'a> Host<'a> {
    fn around(before: &'a str, after: &str) -> Self {
        let begin = before.rfind(|c| !is_of_host(c)).map_or(0, |at| {
            at + before[at..].chars().next().map_or(0, char::len_utf8)
        });
        let end = after.find(|c| !is_of_host(c)).unwrap_or(after.len());
        Self {
            name: format!("{}.{}", &before[begin..], &after[..end]),
            before: &before[..begin],
            next: after[end..].chars().next(),
        }
    }

    fn is_page_of_an_address(&self) -> bool {
        self.next.is_some_and(|next| AFTER_HOST.contains(&next))
            && self.name.parse::<Ipv4Addr>().is_ok()
    }

    /// Whether it is that of an e-mail address, or names an AWS service.
    fn opens_no_page(&self) -> bool {
        let mut more = AFTER_HOST.iter().chain(&WITHIN_HOST);
        // Behind a mark within it, it would be another host.
        let has_mark = self
            .name
            .to_ascii_lowercase()
            .rsplit('.')
            .skip(1)
            .any(|label| {
                let word = label.rsplit('-').next().unwrap_or(label);
                is_of_the_web(word) || word == "ftp"
            });
        if has_mark || more.any(|more| self.next == Some(*more)) {
            return false;
        }
        let is_service = [".amazonaws.com", ".amazonaws.com.cn"]
            .iter()
            .filter_map(|domain| self.name.strip_suffix(domain))
            .any(|service| !service.is_empty() && !service.contains('.'));
        let user = self.before.strip_suffix('@');
        is_service || user.is_some_and(|user| user.ends_with(|c: char| c.is_ascii_alphanumeric()))
    }
}

fn is_of_host(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '.'
}

#[cfg(test)]
mod tests {
    use super::{defanged, defanged_wholly, shell_word};

    #[test]
    fn a_link_is_none_any_more() {
        for (text, expected) in [
            ("http://evil.example", "http[:]//evil.example"),
            ("HTTPS://evil.com/x", "HTTPS[:]//evil[.]com/x"),
            ("see WwW.evil.example", "see WwW[.]evil.example"),
            ("mailto:a@b.c", "mailto[:]a@b.c"),
            ("see CallTo:evil", "see CallTo[:]evil"),
            ("www2.evil.example", "www2[.]evil.example"),
            ("ftp.evil.example", "ftp[.]evil.example"),
            (r"see \\evil\share", r"see \[\]evil\share"),
            ("evil.com/login", "evil[.]com/login"),
            ("EVIL.COM", "EVIL[.]COM"),
            ("sub.evil.co.uk:8080", "sub.evil[.]co[.]uk:8080"),
            ("evil.com-x", "evil[.]com-x"),
            ("x.xn--p1ai", "x[.]xn--p1ai"),
            ("help@evil.com/login", "help@evil[.]com/login"),
            ("@evil.com", "@evil[.]com"),
            (
                "s3.amazonaws.com/evil/login",
                "s3.amazonaws[.]com/evil/login",
            ),
            ("evil.s3.amazonaws.com", "evil.s3.amazonaws[.]com"),
            ("é.com", "é[.]com"),
            ("evil.рф/login", "evil[.]рф/login"),
            ("http:1.2.3.4", "http[:]1.2.3.4"),
            ("see 203.0.113.7/login", "see 203[.]0[.]113[.]7/login"),
            ("203.0.113.7:8080", "203[.]0[.]113[.]7:8080"),
            ("s3.amazonaws.com_x", "s3.amazonaws[.]com_x"),
            ("x@www.evil.com", "x@www[.]evil[.]com"),
            ("x@a-ftp.evil.com", "x@a-ftp[.]evil[.]com"),
            ("mary@evil.com+x", "mary@evil[.]com+x"),
            ("evil.公司-x", "evil[.]公司-x"),
        ] {
            assert_eq!(defanged(text), expected);
            assert_eq!(
                defanged(expected),
                expected,
                "a second time changes nothing"
            );
        }
    }

    #[test]
    fn a_link_is_none_either_where_a_line_begins_within_a_word() {
        for (text, expected) in [
            ("examplewww2.evil.example", "examplewww2[.]evil.example"),
            ("sftp.evil.example", "sftp[.]evil.example"),
            ("hotel:1", "hotel[:]1"),
            ("mary@example.com", "mary@example[.]com"),
        ] {
            assert_eq!(defanged_wholly(text), expected);
        }
    }

    #[test]
    fn what_is_no_link_stays_as_it_is() {
        for text in [
            "",
            "team/app:1.4.2",
            "team/node.js:v1.2-rc.1",
            "mary.major",
            "203.0.113.7",
            "1.2.3.4.5/x",
            "team/app:1.2.3.4_amd64",
            "OpenJDK_64-Bit_Server_VM/17.0.8.1+8-LTS",
            "sftp.server:hotel:1",
            r"\u{1b}[0m C:\windows",
            "mary.major@example.com",
            "codebuild.amazonaws.com",
            "service:111122223333:codebuild.amazonaws.com.cn",
            "arn:aws:iam::111122223333:user/a.b",
            "the end. com",
            "...",
        ] {
            assert_eq!(defanged(text), text);
        }
    }

    #[test]
    fn a_word_of_a_shell_is_the_same_text_and_no_link() {
        for (text, expected) in [
            (
                "arn:aws:iam::111122223333:user/a",
                "arn:aws:iam::111122223333:user/a",
            ),
            ("evil.com/login", "evil'.'com/login"),
            ("$(x) evil.com", "'$(x) evil'.'com'"),
            ("http://evil.com", "http':'//evil'.'com"),
        ] {
            let word = shell_word(text).unwrap();
            assert_eq!(word, expected);
            assert_eq!(shlex::split(&word).unwrap(), [text]);
            assert_eq!(defanged(&word), word);
        }
    }

    #[test]
    fn there_is_no_word_for_what_cannot_be_seen_or_quoted() {
        for text in [
            "a\nb",
            "a\u{430}",
            "it's evil.com",
            "\u{7f}",
            "--table=evil",
        ] {
            assert_eq!(shell_word(text), None, "{text}");
        }
    }
}
