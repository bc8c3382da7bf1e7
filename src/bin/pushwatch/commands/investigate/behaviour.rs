//! What else the session did: its calls by service and name, those first that attackers need
//! first.

use std::collections::BTreeMap;

use compact_str::CompactString;
use jiff::SignedDuration;

use super::answer::CallGroup;
use super::call::Call;

/// How long before a push a repository is made for it.
const JUST_BEFORE: SignedDuration = SignedDuration::from_hours(1);

/// An ATT&CK technique (17.1), and what such a call may be to an attacker.
type Telling = (&'static str, &'static str);

const KEYS: Telling = ("T1098.001", "makes credentials that outlive the session");
const ROLES: Telling = ("T1098.003", "gives rights to itself or to others");
const ACCOUNTS: Telling = ("T1136.003", "makes an account to come back by");
const LOGS: Telling = ("T1562.008", "keeps what it does out of the logs");
const GUARDS: Telling = ("T1562.001", "switches off what would tell of it");
const OPENED: Telling = ("T1537", "opens a repository to other accounts");
const IMPLANT: Telling = ("T1525", "makes room for an image of its own");
const DESTROYED: Telling = ("T1485", "destroys images, or their traces");
const SECRETS: Telling = ("T1555.006", "reads secrets");
const DEPLOYED: Telling = ("T1610", "runs containers");

/// The calls that attackers need first.
const TELLING: &[(&str, &[&str], Telling)] = &[
    (
        "iam.amazonaws.com",
        &[
            "CreateAccessKey",
            "CreateLoginProfile",
            "UpdateLoginProfile",
            "CreateServiceSpecificCredential",
            "UploadSSHPublicKey",
            "UploadSigningCertificate",
        ],
        KEYS,
    ),
    ("sts.amazonaws.com", &["GetFederationToken"], KEYS),
    (
        "ec2.amazonaws.com",
        &["CreateKeyPair", "ImportKeyPair"],
        KEYS,
    ),
    (
        "iam.amazonaws.com",
        &[
            "AttachUserPolicy",
            "AttachRolePolicy",
            "AttachGroupPolicy",
            "PutUserPolicy",
            "PutRolePolicy",
            "PutGroupPolicy",
            "CreatePolicy",
            "CreatePolicyVersion",
            "SetDefaultPolicyVersion",
            "AddUserToGroup",
            "UpdateAssumeRolePolicy",
            "DeleteRolePermissionsBoundary",
            "DeleteUserPermissionsBoundary",
        ],
        ROLES,
    ),
    ("iam.amazonaws.com", &["CreateUser", "CreateRole"], ACCOUNTS),
    (
        "cloudtrail.amazonaws.com",
        &[
            "StopLogging",
            "DeleteTrail",
            "UpdateTrail",
            "PutEventSelectors",
            "DeleteEventDataStore",
            "StopEventDataStoreIngestion",
        ],
        LOGS,
    ),
    (
        "logs.amazonaws.com",
        &["DeleteLogGroup", "DeleteLogStream"],
        LOGS,
    ),
    ("ec2.amazonaws.com", &["DeleteFlowLogs"], LOGS),
    (
        "config.amazonaws.com",
        &["StopConfigurationRecorder", "DeleteConfigurationRecorder"],
        LOGS,
    ),
    (
        "guardduty.amazonaws.com",
        &["DeleteDetector", "UpdateDetector", "CreateFilter"],
        GUARDS,
    ),
    ("securityhub.amazonaws.com", &["DisableSecurityHub"], GUARDS),
    (
        "inspector2.amazonaws.com",
        &["Disable", "CreateFilter"],
        GUARDS,
    ),
    (
        "events.amazonaws.com",
        &["DisableRule", "DeleteRule", "RemoveTargets"],
        GUARDS,
    ),
    (
        "ecr.amazonaws.com",
        &[
            "SetRepositoryPolicy",
            "PutRegistryPolicy",
            "PutReplicationConfiguration",
        ],
        OPENED,
    ),
    ("ecr-public.amazonaws.com", &["SetRepositoryPolicy"], OPENED),
    ("ecr.amazonaws.com", &["PutImageTagMutability"], IMPLANT),
    (
        "ecr.amazonaws.com",
        &["BatchDeleteImage", "DeleteRepository", "PutLifecyclePolicy"],
        DESTROYED,
    ),
    (
        "ecr-public.amazonaws.com",
        &["BatchDeleteImage", "DeleteRepository"],
        DESTROYED,
    ),
    (
        "secretsmanager.amazonaws.com",
        &["GetSecretValue", "BatchGetSecretValue"],
        SECRETS,
    ),
    (
        "ssm.amazonaws.com",
        &["GetParameter", "GetParameters", "GetParametersByPath"],
        SECRETS,
    ),
    (
        "ecs.amazonaws.com",
        &[
            "RegisterTaskDefinition",
            "RunTask",
            "CreateService",
            "UpdateService",
        ],
        DEPLOYED,
    ),
];

/// What a call may be to an attacker; a repository is telling if it is that of the push, and
/// made just before.
fn telling(push: &Call, call: &Call) -> Option<Telling> {
    let repository = push
        .image
        .as_ref()
        .and_then(|image| image.repository.as_ref());
    let made_for_it = call.name == "CreateRepository"
        && call.source == push.source
        && call.request.repository.as_ref() == repository
        && call.time <= push.time
        && push.time.duration_since(call.time) <= JUST_BEFORE;
    if made_for_it {
        return Some(IMPLANT);
    }
    let mut known = TELLING.iter();
    let known = known
        .find(|(source, names, _)| call.source == *source && names.contains(&call.name.as_str()));
    known.map(|(_, _, telling)| *telling)
}

/// The calls by service and name: those that tell of an attacker first, then in the order of
/// their times.
pub fn grouped<'a>(push: &Call, calls: impl Iterator<Item = &'a Call>) -> Vec<CallGroup> {
    let mut groups: BTreeMap<(CompactString, CompactString), CallGroup> = BTreeMap::new();
    for call in calls {
        let errors = usize::from(call.failed());
        let telling = telling(push, call);
        let group = groups
            .entry((call.source.clone(), call.name.clone()))
            .or_insert_with(|| CallGroup {
                event_source: call.source.clone(),
                event_name: call.name.clone(),
                count: 0,
                errors: 0,
                first: call.time,
                last: call.time,
                technique: None,
                meaning: None,
                event_id: call.event_id.clone(),
            });
        group.count += 1;
        group.errors += errors;
        group.last = group.last.max(call.time);
        if call.time < group.first {
            group.first = call.time;
            group.event_id.clone_from(&call.event_id);
        }
        if let Some((technique, meaning)) = telling {
            group.technique = Some(technique);
            group.meaning = Some(meaning);
        }
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_by_key(|group| (group.technique.is_none(), group.first));
    groups
}
