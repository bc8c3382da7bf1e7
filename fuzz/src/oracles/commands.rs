//! A command that people paste has the words that it should have, and no other.

use pushwatch::arn::Arn;
use pushwatch::finding::Finding;
use pushwatch::render::RenderContext;

/// Whether a line begins as our commands do.
pub fn is_command(line: &str) -> bool {
    ["aws ", "kubectl ", "pushwatch "]
        .iter()
        .any(|begin| line.trim_start().starts_with(begin))
}

/// What a shell makes of each line that is a command, and nothing more.
#[track_caller]
pub fn assert_known(line: &str, findings: &[Finding], context: &RenderContext) {
    if !is_command(line) {
        return;
    }
    let words = shlex::split(line.trim()).unwrap_or_default();
    let is_known = findings
        .iter()
        .any(|finding| commands(finding, context).contains(&words));
    assert!(is_known, "{line:?} is {words:#?}");
    assert_inert(line);
}

/// A shell finds nothing in the line to act on: outside of quotes no character that it obeys,
/// in double quotes no substitution.
#[track_caller]
pub fn assert_inert(line: &str) {
    let mut quote = None;
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        let is_obeyed = match (quote, c) {
            (None, '\'' | '"') => {
                quote = Some(c);
                false
            }
            (Some(open), c) if c == open => {
                quote = None;
                false
            }
            (None, _) => "$;|&><`*?(){[\\~!#".contains(c),
            (Some('"'), '\\') => {
                characters.next();
                false
            }
            (Some('"'), _) => "$`!".contains(c),
            (Some(_), _) => false,
        };
        assert!(!is_obeyed, "{c:?} in {line:?}");
    }
    assert_eq!(quote, None, "{line:?}");
}

/// Every command that a message about the finding may have in it.
#[allow(clippy::too_many_lines)] // a list
fn commands(finding: &Finding, context: &RenderContext) -> Vec<Vec<String>> {
    let push = &finding.push;
    let of = |text: &Option<_>| -> String {
        text.as_ref()
            .map_or_else(String::new, |text: &compact_str::CompactString| {
                text.to_string()
            })
    };
    let (key, region) = (finding.uploader.key.to_string(), of(&push.region));
    let tables = ["--table", &context.table];
    let findings_table = context.findings_table.clone().unwrap_or_default();
    let in_region = ["--region", &context.region];
    let mut commands = Vec::new();
    let mut add = |parts: &[&[&str]]| {
        commands.push(
            parts
                .concat()
                .iter()
                .map(|word| (*word).to_owned())
                .collect(),
        );
    };
    for (verb, options) in [
        ("trust", &["--reason", "why"][..]),
        ("revoke", &["--reason", "why"]),
        ("allow", &["--place", "any", "--reason", "why"]),
        ("habits", &["--reset"]),
    ] {
        let begin = ["pushwatch", "uploaders", verb, &key];
        add(&[&begin, options, &tables, &in_region]);
    }
    let begin = ["pushwatch", "uploaders", "show", &key];
    add(&[
        &begin,
        &tables,
        &["--findings-table", &findings_table],
        &in_region,
    ]);
    let id = finding.id.to_string();
    let stack = context.stack.clone().unwrap_or_default();
    add(&[
        &["pushwatch", "investigate", &id, "--stack", &stack],
        &in_region,
    ]);

    let (registry, repository) = (of(&push.registry_id), of(&push.repository));
    let access_key = of(&push.access_key_id);
    let image = format!("imageDigest={}", of(&push.digest));
    for service in ["ecr", "ecr-public"] {
        add(&[&[
            "aws",
            service,
            "batch-delete-image",
            "--region",
            &region,
            "--registry-id",
            &registry,
            "--repository-name",
            &repository,
            "--image-ids",
            &image,
        ]]);
    }
    add(&[&[
        "aws",
        "ecr",
        "describe-images",
        "--region",
        &region,
        "--registry-id",
        &registry,
        "--repository-name",
        &repository,
        "--image-ids",
        &image,
        "--query",
        "imageDetails[].lastRecordedPullTime",
        "--output",
        "text",
    ]]);
    add(&[&[
        "aws",
        "ecr",
        "describe-pull-through-cache-rules",
        "--region",
        &region,
        "--registry-id",
        &registry,
    ]]);
    let service = finding
        .uploader
        .linked_service()
        .unwrap_or(&finding.uploader.name);
    for attribute in [
        format!("AttributeKey=AccessKeyId,AttributeValue={access_key}"),
        format!("AttributeKey=EventSource,AttributeValue={service}"),
    ] {
        add(&[&[
            "aws",
            "cloudtrail",
            "lookup-events",
            "--region",
            &region,
            "--lookup-attributes",
            &attribute,
            "--query",
            "Events[].[EventTime,Username,EventSource,EventName]",
            "--output",
            "text",
        ]]);
    }
    let minter = finding.uploader.minter().and_then(Arn::parse);
    let minter = minter.map_or_else(String::new, |arn| arn.name().to_owned());
    for user in [finding.uploader.name.as_str(), &minter] {
        add(&[&["aws", "iam", "list-access-keys", "--user-name", user]]);
        add(&[&[
            "aws",
            "iam",
            "update-access-key",
            "--user-name",
            user,
            "--access-key-id",
            &access_key,
            "--status",
            "Inactive",
        ]]);
    }
    commands
}
