//! What is known of a push, labelled, as people read it in a mail or on a
//! terminal.

use super::wording::{
    MAX_KEY_SHOWN, artifact_in_words, duration, image_name, kind, provider_in_words, shown,
};
use compact_str::CompactString;

use crate::event::{Artifact, Credentials, Push};
use crate::finding::Finding;

/// A label, and its lines.
pub type Fact = (&'static str, Vec<String>);

/// Who, what, where, when, from where, and with which credentials. What the event
/// does not say is left out, or said to be unknown.
pub(super) fn of(finding: &Finding) -> Vec<Fact> {
    let facts = [
        ("Who", who(finding)),
        ("What", what(finding)),
        ("Where", vec![registry(finding)]),
        ("When", when(finding)),
        ("From", from(finding)),
        ("Through", through(&finding.credentials)),
        ("With", with(&finding.push, &finding.credentials)),
        ("Session", session(finding)),
        ("Usual", usual(finding)),
        ("Event", event(&finding.push)),
    ];
    facts
        .into_iter()
        .filter(|(_, lines)| !lines.is_empty())
        .collect()
}

/// What a push is of, and how it was authorised, for one that gives no finding.
#[cfg(feature = "cli")]
#[must_use]
pub fn of_push(push: &Push) -> Vec<Fact> {
    let mut pushed = match push.artifact {
        Artifact::Image => vec![by_manifest(Artifact::Image)],
        _ => artifact(push),
    };
    pushed.extend(omission(push));
    let facts = [
        ("pushed", pushed),
        ("refused", refusal(push)),
        ("through", through(&push.credentials)),
        ("with", with(push, &push.credentials)),
        ("session", session_of(&push.credentials)),
        (
            "request",
            push.request_id.iter().map(|id| shown(id, 80)).collect(),
        ),
    ];
    facts
        .into_iter()
        .filter(|(_, lines)| !lines.is_empty())
        .collect()
}

const NO_MANIFEST: &str = "CloudTrail does not show the manifest, so it may be anything";

fn who(finding: &Finding) -> Vec<String> {
    let uploader = &finding.uploader;
    if uploader.is_unidentified() {
        return vec!["nobody whom the event names".to_owned()];
    }
    let account = match &uploader.account_id {
        Some(account) => format!(" of account {}", shown(account, 40)),
        None => String::new(),
    };
    let mut lines = vec![
        format!("{}, {}{account}", shown(&uploader.name, 80), kind(uploader)),
        shown(&uploader.key, MAX_KEY_SHOWN),
    ];
    let minter = uploader.minter();
    lines.extend(minter.map(|minter| format!("a session that {} minted", shown(minter, 200))));
    lines
}

fn what(finding: &Finding) -> Vec<String> {
    let push = &finding.push;
    let mut lines = vec![image_name(finding)];
    lines.extend(push.digest.as_ref().map(|digest| shown(digest, 71)));
    lines.extend(artifact(push));
    // If CloudTrail left the parameters out, nobody knows whether there was a tag.
    let may_be_part = matches!(push.artifact, Artifact::Image | Artifact::Attestation);
    if may_be_part && push.tag.is_none() && push.repository.is_some() && !push.parameters_omitted {
        lines.push("untagged, as most parts of a multi-platform image are".to_owned());
    }
    lines.extend(refusal(push));
    lines.extend(omission(push));
    lines
}

/// What it is, unless it is an image as most are, and what it says something of.
fn artifact(push: &Push) -> Vec<String> {
    let is = match push.artifact {
        Artifact::Image => None,
        Artifact::Unknown if push.parameters_omitted => None,
        Artifact::Unknown => Some(NO_MANIFEST.to_owned()),
        artifact => Some(by_manifest(artifact)),
    };
    is.into_iter().chain(subject(push)).collect()
}

fn by_manifest(artifact: Artifact) -> String {
    format!("{}, as its manifest says", artifact_in_words(artifact))
}

/// What it means that CloudTrail left the parameters out.
fn omission(push: &Push) -> Option<String> {
    let known = match push.repository {
        Some(_) => ". The repository is known from the rest of the event",
        None => "",
    };
    push.parameters_omitted.then(|| {
        format!(
            "CloudTrail left out the parameters, since they were over 100 KB. Those of an image \
             of docker's 127 layers take 30 KB: somebody may have padded them to hide tag and \
             digest{known}"
        )
    })
}

/// The image that it says something of.
fn subject(push: &Push) -> Vec<String> {
    let subject = push.artifact_subject.as_deref();
    let lines = subject.map(|digest| ["of the image".to_owned(), shown(digest, 71)]);
    lines.into_iter().flatten().collect()
}

fn refusal(push: &Push) -> Vec<String> {
    let code = push.error_code.as_deref();
    let code = code.map(|code| format!("ECR refused it: {}", shown(code, 80)));
    let message = push.error_message.as_deref();
    let message = message.map(|message| format!("\"{}\"", shown(message, 300)));
    code.into_iter().chain(message).collect()
}

fn registry(finding: &Finding) -> String {
    let push = &finding.push;
    let or_unknown = |text: Option<&str>, most| {
        text.map_or_else(|| "unknown".to_owned(), |text| shown(text, most))
    };
    let registry = push.registry_id.as_deref().or(push.account.as_deref());
    format!(
        "registry {}, region {}",
        or_unknown(registry, 60),
        or_unknown(push.region.as_deref(), 40)
    )
}

/// When it was pushed, and how long ago that was, if it is reported late.
pub(super) fn when(finding: &Finding) -> Vec<String> {
    let delay = finding.delay_seconds;
    let reported = delay.map(|seconds| format!("reported {} later", duration(seconds)));
    let time = finding.push.event_time.to_string();
    std::iter::once(time).chain(reported).collect()
}

fn from(finding: &Finding) -> Vec<String> {
    let push = &finding.push;
    let mut lines = vec![match push.source_ip.as_deref() {
        Some("AWS Internal") => "unknown: CloudTrail writes \"AWS Internal\" instead of an \
             address for every docker push"
            .to_owned(),
        Some(address) => shown(address, 60),
        None => "unknown: the event names no address".to_owned(),
    }];
    let agent = push.user_agent.as_deref();
    let agent = agent.filter(|agent| *agent != "AWS Internal");
    lines.extend(agent.map(|agent| format!("with {}", shown(agent, 120))));
    lines
}

/// The keys and ids of the credentials.
fn with(push: &Push, credentials: &Credentials) -> Vec<String> {
    let key = push.access_key_id.as_ref();
    let key = key.map(|key| format!("access key {}", shown(key, 60)));
    let mfa = push.mfa.map(|mfa| {
        let words = if mfa {
            "signed in with MFA"
        } else {
            "without MFA"
        };
        words.to_owned()
    });
    let credential = credentials.credential_id.as_deref();
    let credential = credential.map(|id| format!("credential {}", shown(id, 100)));
    let both: Vec<_> = key.into_iter().chain(credential).chain(mfa).collect();
    if both.is_empty() {
        return both;
    }
    vec![both.join(", ")]
}

fn session(finding: &Finding) -> Vec<String> {
    let uploader = &finding.uploader;
    // A person's session has the person's name.
    let session = uploader.session.as_ref();
    let name = session
        .filter(|session| **session != uploader.name)
        .map(|session| {
            format!(
                "{} (chosen by whoever assumed the role)",
                shown(session, 80)
            )
        });
    let more = session_of(&finding.credentials);
    name.into_iter().chain(more).collect()
}

/// What is known of the session beside its name.
fn session_of(credentials: &Credentials) -> Vec<String> {
    let identity = credentials.source_identity.as_deref();
    let identity = identity.map(|identity| {
        format!(
            "source identity {} (set where the chain of roles began)",
            shown(identity, 80)
        )
    });
    let start = credentials.session_start;
    let start = start.map(|start| format!("begun {start}"));
    identity.into_iter().chain(start).collect()
}

/// [`through`] in one sentence, for forms without labels.
pub(super) fn through_in_words(finding: &Finding) -> Option<String> {
    let ways = through(&finding.credentials);
    (!ways.is_empty()).then(|| format!("Through {}", ways.join("; ")))
}

/// By which way the credentials came, a line for each thing that is known.
pub(super) fn through(credentials: &Credentials) -> Vec<String> {
    let delegate = credentials.delegate_account_id.as_deref();
    let delegate = delegate.map(|id| format!("account {}, by delegated access", shown(id, 40)));
    let provider = credentials.federated_provider.as_deref();
    let provider = provider.map(provider_in_words);
    let console = credentials.session_credential_from_console == Some(true);
    let console = console.then(|| "the console".to_owned());
    let issued = credentials.credentials_issued_to.as_deref();
    let kind = credentials.issuer_type.as_deref();
    let kind = kind.map_or_else(String::new, |kind| format!(" ({})", shown(kind, 60)));
    let issued = match issued {
        Some(to) => Some(format!(
            "credentials that AWS issued to {}{kind}",
            shown(to, 200)
        )),
        None if !kind.is_empty() => Some(format!("credentials that AWS issued{kind}")),
        None => None,
    };
    let instance = credentials.ec2_role_delivery.as_deref();
    let instance = instance.map(|version| {
        format!(
            "an EC2 instance's metadata service, version {}",
            shown(version, 20)
        )
    });
    let endpoint = credentials.vpc_endpoint_id.as_deref();
    let endpoint = endpoint.map(|id| format!("VPC endpoint {}", shown(id, 60)));
    let lines = [delegate, provider, console, issued, instance, endpoint];
    lines.into_iter().flatten().collect()
}

/// The habits of the uploader until this push.
fn usual(finding: &Finding) -> Vec<String> {
    let Some(habits) = &finding.usual else {
        return Vec::new();
    };
    let few = |known: &[CompactString]| {
        let names = known.iter().take(FEW).map(|name| shown(name, 120));
        let names: Vec<_> = names.collect();
        match known.len().saturating_sub(FEW) {
            0 => names.join(", "),
            more => format!("{} and {more} more", names.join(", ")),
        }
    };
    let places = if habits.wide {
        Some("pushes everywhere".to_owned())
    } else {
        let places = habits.places.as_slice();
        (!places.is_empty()).then(|| format!("pushes to {}", few(places)))
    };
    let ways = habits.ways.as_slice();
    let ways = (!ways.is_empty()).then(|| format!("authorised as {}", few(ways)));
    places.into_iter().chain(ways).collect()
}

/// How many habits of a kind are shown.
const FEW: usize = 5;

/// By which ids the call is found.
fn event(push: &Push) -> Vec<String> {
    let request = push.request_id.as_deref();
    let request = request.map(|id| format!("request {}", shown(id, 80)));
    std::iter::once(shown(&push.event_id, 80))
        .chain(request)
        .collect()
}
