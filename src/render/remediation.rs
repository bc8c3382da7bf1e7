//! What to do about a finding: commands that are safe to paste, and links into
//! the console of the right partition and region.
//!
//! A value gets into a command or a link only if it has the shape that AWS gives
//! it; any other text of an event is left out.

use super::RenderContext;
use super::defang::shell_word;
use super::wording::shown;
use crate::arn::{Arn, partition_of};
use crate::finding::{Finding, Reason};

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// In words.
    Words(String),
    /// A command or a link, never broken.
    Whole(String),
}

/// What to do if the push is expected.
pub(super) fn expected(finding: &Finding, context: &RenderContext) -> Vec<Step> {
    let words = |words: &str| Step::Words(words.to_owned());
    match finding.reason {
        Reason::LearnedUploader => Vec::new(),
        Reason::UnidentifiedUploader => vec![words(
            "Nobody can be trusted here, since nothing says who it was. The setting \
             SUPPRESS_FINDINGS can keep such findings from being told.",
        )],
        reason => {
            let what = match reason {
                Reason::RevokedUploader => {
                    "Ask first who revoked this uploader, and why. To trust it again:"
                }
                Reason::RecreatedPrincipal => {
                    "If it was deleted and made again by one of you, trust it:"
                }
                // An uploader that was reported is known from now on.
                Reason::NewUploader => {
                    "It is known from now on. To note that it is trusted, and why:"
                }
                _ => "Trust the uploader, with your reason, and it is not told again:",
            };
            match uploaders_command(finding, "trust", context) {
                Some(command) => vec![words(what), Step::Whole(command)],
                None => vec![words(
                    "Look at the key with care before you trust it: it has characters that no \
                     key should have, so no command is given here.",
                )],
            }
        }
    }
}

/// What to do if it is not.
pub(super) fn not_expected(finding: &Finding, context: &RenderContext) -> Vec<Step> {
    let mut steps = Vec::new();
    with(
        &mut steps,
        "Look at the event in CloudTrail:",
        event_link(finding),
    );
    with(
        &mut steps,
        "Look at whoever pushed:",
        principal_link(finding),
    );
    steps.extend(against_the_credentials(finding));
    if finding.reason != Reason::RevokedUploader {
        with(
            &mut steps,
            "To have every later push told as critical:",
            uploaders_command(finding, "revoke", context),
        );
    }
    if !finding.push.failed() {
        with(&mut steps, "Look at the image:", image_link(finding));
        with(
            &mut steps,
            "Stop what runs the image; then, if you need no copy of it, delete it:",
            delete_command(finding),
        );
    }
    if event_link(finding).is_none() {
        let account = finding.push.account.as_deref().unwrap_or("unknown");
        steps.push(Step::Words(format!(
            "Look for event {} in the CloudTrail of account {}.",
            shown(&finding.push.event_id, 80),
            shown(account, 40)
        )));
    }
    steps
}

/// Words and the line that they introduce, if there is one.
fn with(steps: &mut Vec<Step>, words: &str, whole: Option<String>) {
    if let Some(whole) = whole {
        steps.push(Step::Words(words.to_owned()));
        steps.push(Step::Whole(whole));
    }
}

/// How the credentials lose their power.
fn against_the_credentials(finding: &Finding) -> Vec<Step> {
    let words = |words: &str| vec![Step::Words(words.to_owned())];
    match finding.uploader.kind.as_str() {
        "IAMUser" => against_the_keys(finding),
        "Role" => words(
            "Revoke the role's sessions: in the console, the role's tab \"Revoke sessions\". \
             Whoever may assume the role can do so again: look at its trust policy.",
        ),
        "SsoUser" | "IdentityCenterUser" => words(
            "In IAM Identity Center, disable the user's access and delete the active sessions.",
        ),
        "Root" => words(
            "Sign in as the root user: delete its access keys, change the password, and check \
             that MFA is on.",
        ),
        "FederatedUser" => words(
            "A federated session may do what the user who made it may: disable the access keys \
             of that user.",
        ),
        "AWSAccount" => words(
            "The push came from another account: take that account out of the repository's \
             policy.",
        ),
        _ => Vec::new(),
    }
}

fn against_the_keys(finding: &Finding) -> Vec<Step> {
    let mut steps = Vec::new();
    let Some(user) = name_of(&finding.uploader.name).and_then(shell_word) else {
        return steps;
    };
    match access_key(finding) {
        Some(key) if key.starts_with("AKIA") => with(
            &mut steps,
            "Disable the access key:",
            Some(format!(
                "aws iam update-access-key --user-name {user} --access-key-id {key} \
                 --status Inactive"
            )),
        ),
        // A session's key ends by itself; the user's own keys make new ones.
        key => with(
            &mut steps,
            match key {
                Some(_) => {
                    "Find the user's access keys, and disable them with `aws iam \
                     update-access-key`; the one above is a session's, which ends by itself:"
                }
                None => {
                    "Find the user's access keys, and disable them with `aws iam \
                     update-access-key`:"
                }
            },
            Some(format!("aws iam list-access-keys --user-name {user}")),
        ),
    }
    steps
}

/// A command about the uploader; none if its key is not safe to paste.
pub(super) fn uploaders_command(
    finding: &Finding,
    verb: &str,
    context: &RenderContext,
) -> Option<String> {
    if finding.uploader.is_unidentified() {
        return None;
    }
    let key = shell_word(&finding.uploader.key)?;
    let reason = if verb == "trust" {
        " --reason TEXT"
    } else {
        ""
    };
    let findings = match &context.findings_table {
        Some(table) if verb == "show" => format!(" --findings-table {table}"),
        _ => String::new(),
    };
    Some(format!(
        "pushwatch uploaders {verb} {key}{reason} --table {}{findings} --region {}",
        context.table, context.region
    ))
}

/// The console's address in a region; none in the partitions whose console is
/// known to their customers alone.
fn console(region: &str) -> Option<String> {
    let domain = match partition_of(region) {
        "aws" => "console.aws.amazon.com",
        "aws-cn" => "console.amazonaws.cn",
        "aws-us-gov" => "console.amazonaws-us-gov.com",
        _ => return None,
    };
    Some(format!("https://{region}.{domain}"))
}

/// The event in CloudTrail's event history.
pub(super) fn event_link(finding: &Finding) -> Option<String> {
    let region = region(finding)?;
    let id = &finding.push.event_id;
    let is_id = id.len() == 36
        && id
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    let console = console(region).filter(|_| is_id)?;
    Some(format!(
        "{console}/cloudtrailv2/home?region={region}#/events/{id}"
    ))
}

fn principal_link(finding: &Finding) -> Option<String> {
    let region = region(finding)?;
    let arn = Arn::parse(&finding.uploader.key)?;
    let (kind, name) = match (finding.uploader.kind.as_str(), arn.assumed_role()) {
        ("IAMUser", _) => ("users", arn.name()),
        ("Role", Some((role, _))) => ("roles", role),
        ("Role", None) => ("roles", arn.name()),
        _ => return None,
    };
    Some(format!(
        "{}/iam/home#/{kind}/details/{}",
        console(region)?,
        encoded(name_of(name)?)
    ))
}

fn image_link(finding: &Finding) -> Option<String> {
    let push = &finding.push;
    let (region, registry, repository, digest) = image(finding)?;
    let is_private = push.event_source.as_deref() == Some("ecr.amazonaws.com");
    let console = console(region).filter(|_| is_private)?;
    Some(format!(
        "{console}/ecr/repositories/private/{registry}/{repository}/_/image/{digest}/details?region={region}"
    ))
}

fn delete_command(finding: &Finding) -> Option<String> {
    let (region, registry, repository, digest) = image(finding)?;
    let service = match finding.push.event_source.as_deref() {
        Some("ecr.amazonaws.com") => "ecr",
        Some("ecr-public.amazonaws.com") => "ecr-public",
        _ => return None,
    };
    Some(format!(
        "aws {service} batch-delete-image --region {region} --registry-id {registry} \
         --repository-name {} --image-ids imageDigest={digest}",
        shell_word(repository)?
    ))
}

/// Region, registry, repository and digest, if they are what they should be.
fn image(finding: &Finding) -> Option<(&str, &str, &str, &str)> {
    let push = &finding.push;
    let region = region(finding)?;
    let registry = push.registry_id.as_deref().filter(|id| is_account(id))?;
    let repository = push.repository.as_deref().filter(|name| {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let mut bytes = name.bytes();
        name.len() <= 256
            && bytes.next().is_some_and(allowed)
            && bytes.all(|byte| allowed(byte) || b"._/-".contains(&byte))
            && !name.contains("..")
    })?;
    let digest = push.digest.as_deref().filter(|digest| {
        digest
            .strip_prefix("sha256:")
            .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
    })?;
    Some((region, registry, repository, digest))
}

/// The push's region, if it has the shape of one.
pub(super) fn region(finding: &Finding) -> Option<&str> {
    finding.push.region.as_deref().filter(|region| {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        (5..=25).contains(&region.len())
            && region.starts_with(|c: char| c.is_ascii_lowercase())
            && region.bytes().all(allowed)
    })
}

fn is_account(id: &str) -> bool {
    id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit())
}

/// A name as IAM allows it.
fn name_of(name: &str) -> Option<&str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte);
    let is_name = (1..=64).contains(&name.len()) && name.bytes().all(allowed);
    // One that begins with a dash would be an option.
    (is_name && !name.starts_with('-')).then_some(name)
}

fn access_key(finding: &Finding) -> Option<&str> {
    finding.push.access_key_id.as_deref().filter(|key| {
        (16..=128).contains(&key.len())
            && key
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    })
}

/// Percent-encoded, as far as an IAM name needs it.
fn encoded(name: &str) -> String {
    name.chars().fold(String::new(), |mut encoded, c| {
        match c {
            '+' => encoded.push_str("%2B"),
            '=' => encoded.push_str("%3D"),
            ',' => encoded.push_str("%2C"),
            '@' => encoded.push_str("%40"),
            c => encoded.push(c),
        }
        encoded
    })
}
