//! What to do about a finding: commands that are safe to paste, and links into
//! the console of the right partition and region.
//!
//! A value gets into a command or a link only if it has the shape that AWS gives
//! it; any other text of an event is left out.

use super::RenderContext;
use super::defang::shell_word;
use super::wording::{is_of_root, is_public, shown, verdict};
use crate::arn::{Arn, partition_of};
use crate::event::Artifact;
use crate::finding::{Finding, Reason};
use crate::habit::{MAX_WAYS, Unusual};

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
        Reason::UnusualPush => expected_unusual(finding, context),
        Reason::UnidentifiedUploader => vec![words(
            "Nobody can be trusted here, since nothing says who it was. The setting \
             SUPPRESS_FINDINGS can keep such findings from being told.",
        )],
        reason => {
            let revoked = finding.revoked.as_ref().map(verdict).unwrap_or_default();
            let ask = if revoked.is_empty() {
                "Ask first who revoked this uploader, and why.".to_owned()
            } else {
                format!("It was revoked{revoked}: ask there first.")
            };
            let ask = format!("{ask} To trust it again, with your reason for 'why':");
            let what = match reason {
                Reason::RevokedUploader => ask.as_str(),
                _ if is_of_root(finding) => {
                    "Make a role for it, and keep the root user's credentials locked away. To \
                     trust the root user all the same, with your reason for 'why':"
                }
                Reason::RecreatedPrincipal => {
                    "If it was deleted and made again by one of you, trust it, with your reason \
                     for 'why':"
                }
                // An uploader that was reported is known from now on.
                Reason::NewUploader => {
                    "It is known from now on. To note that it is trusted, with your reason for \
                     'why':"
                }
                _ => "Trust the uploader, with your reason for 'why', and it is not told again:",
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

/// What to do if somebody known may push so.
fn expected_unusual(finding: &Finding, context: &RenderContext) -> Vec<Step> {
    let mut steps = Vec::new();
    let has = |unusual| finding.unusual.contains(&unusual);
    let usual = finding.usual.as_ref();
    let is_full = usual.is_some_and(|usual| usual.ways.len() >= MAX_WAYS);
    let remembered = if has(Unusual::Way) && is_full {
        format!(
            "It is told each time, since no more than {MAX_WAYS} ways are remembered. To have \
             places and ways learned anew, in silence for some days (HABIT_DAYS):"
        )
    } else if has(Unusual::Wide) {
        "It is remembered: no repository is new for this uploader any more. To have its places \
         and ways learned anew, in silence for some days (HABIT_DAYS):"
            .to_owned()
    } else {
        steps.push(Step::Words(
            "It is remembered, and not told again.".to_owned(),
        ));
        if has(Unusual::Place) {
            with(
                &mut steps,
                "To have no new repository of this uploader told any more, with your reason for \
                 'why':",
                uploaders_command(finding, "allow", context),
            );
        }
        return steps;
    };
    steps.push(Step::Words(remembered));
    steps.extend(uploaders_command(finding, "habits", context).map(Step::Whole));
    steps
}

/// What to do if it is not.
pub(super) fn not_expected(finding: &Finding, context: &RenderContext) -> Vec<Step> {
    let mut steps = Vec::new();
    with(
        &mut steps,
        "See from where it was pushed, how the credentials came about, what else they did, and \
         where the image runs:",
        investigate_command(finding, context),
    );
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
    with(
        &mut steps,
        "Look at what else these credentials did; each region shows its own calls:",
        calls_command(finding),
    );
    steps.extend(against_the_delegation(finding));
    steps.extend(against_the_credentials(finding));
    if finding.reason != Reason::RevokedUploader {
        with(
            &mut steps,
            "To have every later push told as critical, with your reason for 'why':",
            uploaders_command(finding, "revoke", context),
        );
    }
    if !finding.push.failed() {
        steps.extend(against_the_image(finding));
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

/// How what was pushed loses its effect.
fn against_the_image(finding: &Finding) -> Vec<Step> {
    let mut steps = Vec::new();
    if is_public(&finding.push) {
        steps.push(Step::Words(
            "Anybody can pull it by now: find out whether there is something in it that must \
             not leave the account, such as code or keys."
                .to_owned(),
        ));
    }
    let (look, pulled, delete) = match finding.push.artifact {
        Artifact::Image | Artifact::Index | Artifact::Unknown => (
            "Look at the image:",
            "See whether it was pulled; nothing is printed if it never was (ECR may be a day \
             late with it):",
            "Stop what runs the image; then, if you need no copy of it, delete it. All its tags \
             go, those from before this push too:",
        ),
        Artifact::HelmChart => (
            "Look at the chart:",
            "See whether it was pulled; nothing is printed if it never was (ECR may be a day \
             late with it):",
            "Uninstall what was installed from it; then, if you need no copy of it, delete it. \
             All its tags go, those from before this push too:",
        ),
        Artifact::Attestation | Artifact::Signature | Artifact::Sbom | Artifact::Other => (
            "Look at it:",
            "See whether it was pulled; nothing is printed if it never was (ECR may be a day \
             late with it):",
            "If you need no copy of it, delete it, so that nobody trusts an image for its sake:",
        ),
    };
    with(&mut steps, look, image_link(finding));
    with(&mut steps, pulled, pulled_command(finding));
    with(&mut steps, delete, delete_command(finding));
    steps
}

/// How a delegation ends.
///
/// Source: the IAM user guide on temporary delegation. Untried.
pub(super) fn against_the_delegation(finding: &Finding) -> Option<Step> {
    let account = finding.credentials.delegate_account_id.as_deref()?;
    Some(Step::Words(format!(
        "Access was delegated to account {}. End it: in the IAM console, under \"Temporary \
         delegation requests\", choose the request, then \"Actions\" and \"Revoke access\". If \
         the root user approved it, it can't be revoked, and ends by itself within 4 hours.",
        shown(account, 40)
    )))
}

/// What can be done if AWS itself pushed. Nobody can take the sessions of such a role
/// away, nor change its policies.
fn against_the_service(finding: &Finding) -> Vec<Step> {
    let uploader = &finding.uploader;
    let service = uploader.linked_service().unwrap_or(&uploader.name);
    let mut steps = Vec::new();
    if service == "pullthroughcache.ecr.amazonaws.com" {
        let command = image(finding).map(|(region, registry, ..)| {
            format!(
                "aws ecr describe-pull-through-cache-rules --region {region} --registry-id \
                 {registry}"
            )
        });
        steps.push(Step::Words(
            "ECR pushed it by itself, since somebody pulled an image through a cache rule. A \
             rule that none of you made is to be deleted, with `aws ecr \
             delete-pull-through-cache-rule`."
                .to_owned(),
        ));
        with(&mut steps, "Look at the rules:", command);
        return steps;
    }
    steps.push(Step::Words(format!(
        "The AWS service {} pushed it by itself: there are no credentials to disable. Find \
         what was set up in that service, and undo it there.",
        shown(service, 80)
    )));
    let is_service = service.ends_with(".amazonaws.com")
        && service.bytes().all(|byte| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte)
        })
        && !service.starts_with('-');
    let command = region(finding)
        .filter(|_| is_service)
        .zip(shell_word(service))
        .map(|(region, service)| lookup_command(region, "EventSource", &service));
    with(&mut steps, "Look at who called the service:", command);
    steps
}

/// How the credentials lose their power.
pub(super) fn against_the_credentials(finding: &Finding) -> Vec<Step> {
    let words = |words: &str| vec![Step::Words(words.to_owned())];
    if finding.uploader.is_of_aws() {
        return against_the_service(finding);
    }
    if is_of_root(finding) {
        return words(
            "Sign in as the root user: delete its access keys, change the password, and check \
             that MFA is on.",
        );
    }
    match finding.uploader.kind.as_str() {
        "IAMUser" => against_the_keys(finding),
        "Role" => words(
            "Revoke the role's sessions: in the console, the role's tab \"Revoke sessions\". \
             Whoever may assume the role can do so again: look at its trust policy.",
        ),
        "SsoUser" | "IdentityCenterUser" => words(
            "In IAM Identity Center, disable the user's access and delete the active sessions.",
        ),
        "FederatedUser" => against_the_minter(finding),
        "AWSAccount" => words(
            "The push came from another account: take that account out of the repository's \
             policy.",
        ),
        _ => Vec::new(),
    }
}

/// A federated session may do what the user who minted it may.
fn against_the_minter(finding: &Finding) -> Vec<Step> {
    let minter = finding.uploader.minter();
    let who = match minter {
        Some(minter) => format!("{}, who minted the session", shown(minter, 200)),
        None => "the user who minted the session".to_owned(),
    };
    let mut steps = vec![Step::Words(format!(
        "A federated session may do what the user who minted it may: disable the access keys of \
         {who}."
    ))];
    let user = minter
        .and_then(Arn::parse)
        .filter(|arn| arn.resource.starts_with("user/"))
        .and_then(|arn| shell_word(name_of(arn.name())?));
    let command = user.map(|user| format!("aws iam list-access-keys --user-name {user}"));
    with(&mut steps, "Look at that user's keys:", command);
    steps
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
    // A word to fill in, in quotes, since most reasons are more than one.
    let reason = match verb {
        "trust" | "revoke" => " --reason 'why'",
        "allow" => " --place any --reason 'why'",
        "habits" => " --reset",
        _ => "",
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

/// The command that answers what a push leaves open.
fn investigate_command(finding: &Finding, context: &RenderContext) -> Option<String> {
    let stack = context.stack.as_deref().and_then(shell_word);
    let deployment = match (stack, &context.findings_table) {
        (Some(stack), _) => format!("--stack {stack}"),
        (None, Some(table)) => format!("--table {} --findings-table {table}", context.table),
        (None, None) => return None,
    };
    Some(format!(
        "pushwatch investigate {} {deployment} --region {}",
        finding.id, context.region
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

/// The other calls by the same access key.
fn calls_command(finding: &Finding) -> Option<String> {
    let (region, key) = (region(finding)?, access_key(finding)?);
    Some(lookup_command(region, "AccessKeyId", key))
}

/// Calls of CloudTrail's event history, a line each, newest first.
fn lookup_command(region: &str, attribute: &str, value: &str) -> String {
    format!(
        "aws cloudtrail lookup-events --region {region} --lookup-attributes \
         AttributeKey={attribute},AttributeValue={value} \
         --query 'Events[].[EventTime,Username,EventSource,EventName]' --output text"
    )
}

/// When the image was pulled last. ECR Public does not say so.
fn pulled_command(finding: &Finding) -> Option<String> {
    let (region, registry, repository, digest) = image(finding)?;
    if finding.push.event_source.as_deref() != Some("ecr.amazonaws.com") {
        return None;
    }
    Some(format!(
        "aws ecr describe-images --region {region} --registry-id {registry} --repository-name {} \
         --image-ids imageDigest={digest} --query 'imageDetails[].lastRecordedPullTime' --output text",
        shell_word(repository)?
    ))
}

/// Deletes what was pushed; none where a part of it has not the shape that AWS gives it.
#[must_use]
pub fn delete_command(finding: &Finding) -> Option<String> {
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
pub(super) fn image(finding: &Finding) -> Option<(&str, &str, &str, &str)> {
    let push = &finding.push;
    let region = region(finding)?;
    let registry = push.registry_id.as_deref().filter(|id| is_account(id))?;
    let repository = push.repository.as_deref().filter(|name| {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let mut bytes = name.bytes();
        name.len() <= 256
            && bytes.next().is_some_and(allowed)
            && bytes.all(|byte| allowed(byte) || b"._/-".contains(&byte))
            && !["..", "//"].iter().any(|odd| name.contains(odd))
            && !name.ends_with('/')
    })?;
    let digest = push.digest.as_deref().filter(|digest| is_digest(digest))?;
    Some((region, registry, repository, digest))
}

/// The push's region, if it has the shape of one.
pub(super) fn region(finding: &Finding) -> Option<&str> {
    finding
        .push
        .region
        .as_deref()
        .filter(|region| is_region(region))
}

pub(super) fn is_region(region: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (5..=25).contains(&region.len())
        && region.starts_with(|c: char| c.is_ascii_lowercase())
        && region.bytes().all(allowed)
}

pub(super) fn is_digest(digest: &str) -> bool {
    digest
        .strip_prefix("sha256:")
        .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

pub(super) fn is_account(id: &str) -> bool {
    id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit())
}

/// A name as IAM allows it.
pub(super) fn name_of(name: &str) -> Option<&str> {
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
