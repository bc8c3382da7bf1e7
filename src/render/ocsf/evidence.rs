//! The push in OCSF's words: who, by which call, from where, and which image.

use std::net::IpAddr;

use serde_json::{Value, json};

use super::{account, milliseconds, object, text};
use crate::arn::partition_of;
use crate::finding::{Finding, Severity};

/// The push as evidence of the finding.
pub(super) fn of(finding: &Finding) -> Value {
    let push = &finding.push;
    let (verdict_id, verdict) = match finding.severity {
        // To be learned says nothing good or bad of an uploader.
        Severity::Informational => (0, "Unknown"),
        _ => (4, "Suspicious"),
    };
    object([
        ("name", Some(json!("CloudTrail PutImage"))),
        ("uid", Some(text(&push.event_id))),
        ("actor", Some(actor(finding))),
        ("api", Some(api(finding))),
        ("container", container(finding)),
        ("resources", Some(resources(finding))),
        ("src_endpoint", source(finding)),
        (
            "http_request",
            push.user_agent
                .as_deref()
                .map(|agent| json!({"user_agent": text(agent)})),
        ),
        ("verdict_id", Some(json!(verdict_id))),
        ("verdict", Some(json!(verdict))),
    ])
}

fn actor(finding: &Finding) -> Value {
    let uploader = &finding.uploader;
    let push = &finding.push;
    let owner = uploader.account_id.as_deref().map(account);
    let access_key = push.access_key_id.as_deref();
    let user = object([
        ("name", Some(text(&uploader.name))),
        ("uid", Some(text(&uploader.key))),
        ("uid_alt", uploader.principal_id.as_deref().map(text)),
        ("type", Some(text(&uploader.kind))),
        ("type_id", Some(json!(99))),
        ("credential_uid", access_key.map(text)),
        (
            "programmatic_credentials",
            access_key.map(|key| json!([{"uid": text(key), "type": "AWS Access Key"}])),
        ),
        ("has_mfa", push.mfa.map(Value::from)),
        ("account", owner),
    ]);
    let credentials = &finding.credentials;
    let start = credentials.session_start;
    let session = (uploader.session.is_some() || start.is_some()).then(|| {
        object([
            ("uid", uploader.session.as_deref().map(text)),
            ("uid_alt", credentials.source_identity.as_deref().map(text)),
            ("credential_uid", access_key.map(text)),
            (
                "issuer",
                uploader.session.as_ref().map(|_| text(&uploader.key)),
            ),
            ("is_mfa", push.mfa.map(Value::from)),
            (
                "created_time",
                start.map(|start| json!(milliseconds(start))),
            ),
            (
                "created_time_dt",
                start.map(|start| json!(start.to_string())),
            ),
        ])
    });
    let provider = credentials.federated_provider.as_deref();
    let service = (uploader.kind == "AWSService").then(|| text(&uploader.name));
    object([
        ("user", Some(user)),
        ("session", session),
        (
            "idp",
            provider.map(|provider| json!({"name": text(provider)})),
        ),
        ("invoked_by", service),
    ])
}

fn api(finding: &Finding) -> Value {
    let push = &finding.push;
    let data = object([
        ("registryId", push.registry_id.as_deref().map(text)),
        ("repositoryName", push.repository.as_deref().map(text)),
        ("imageTag", push.tag.as_deref().map(text)),
        (
            "imageManifestMediaType",
            push.media_type.as_deref().map(text),
        ),
    ]);
    let response = match (&push.error_code, &push.digest) {
        (Some(code), _) => Some(object([
            ("error", Some(text(code))),
            ("error_message", push.error_message.as_deref().map(text)),
        ])),
        (None, Some(digest)) => Some(json!({
            "data": {"image": {"imageId": {"imageDigest": text(digest)}}},
        })),
        (None, None) => None,
    };
    object([
        ("operation", Some(json!("PutImage"))),
        // The schema demands an id; the event has one in any case.
        (
            "request",
            Some(json!({
                "uid": text(push.request_id.as_ref().unwrap_or(&push.event_id)),
                "data": data,
            })),
        ),
        (
            "service",
            push.event_source
                .as_deref()
                .map(|service| json!({"name": text(service)})),
        ),
        ("response", response),
    ])
}

/// `AWS Internal` is no address, nor is a service's name.
fn source(finding: &Finding) -> Option<Value> {
    let source = finding.push.source_ip.as_deref();
    let endpoint = finding.credentials.vpc_endpoint_id.as_deref();
    if source.is_none() && endpoint.is_none() {
        return None;
    }
    let address = source.and_then(|source| source.parse::<IpAddr>().ok());
    let name = source.filter(|_| address.is_none());
    Some(object([
        ("ip", address.map(|address| json!(address.to_string()))),
        ("svc_name", name.map(text)),
        ("uid", endpoint.map(text)),
    ]))
}

fn container(finding: &Finding) -> Option<Value> {
    let push = &finding.push;
    // The schema demands a name.
    let (name, digest) = (push.repository.as_deref()?, push.digest.as_deref()?);
    let image = object([
        ("uid", Some(text(digest))),
        ("name", Some(text(name))),
        ("labels", push.tag.as_deref().map(|tag| json!([text(tag)]))),
    ]);
    let hash = sha256(digest)
        .map(|value| json!({"algorithm_id": 3, "algorithm": "SHA-256", "value": value}));
    Some(object([
        ("name", Some(text(name))),
        ("image", Some(image)),
        ("hash", hash),
    ]))
}

/// The digits of a SHA-256 digest; none if it is not one.
fn sha256(digest: &str) -> Option<&str> {
    digest
        .strip_prefix("sha256:")
        .filter(|hex| hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// The repository, and the image in it.
pub(super) fn resources(finding: &Finding) -> Value {
    let push = &finding.push;
    let partition = push.region.as_deref().map(partition_of);
    let resource = |name: String, uid: Option<String>, kind: &str| {
        object([
            ("name", Some(text(&name))),
            ("uid", uid.as_deref().map(text)),
            ("type", Some(json!(kind))),
            ("role_id", Some(json!(3))),
            ("role", Some(json!("Affected"))),
            ("region", push.region.as_deref().map(text)),
            ("cloud_partition", partition.map(Value::from)),
            (
                "owner",
                push.registry_id
                    .as_deref()
                    .map(|registry| json!({"account": account(registry)})),
            ),
        ])
    };
    let repository = push.repository.as_deref().unwrap_or("unknown repository");
    let mut resources = vec![resource(
        repository.to_owned(),
        repository_arn(finding),
        "AWS::ECR::Repository",
    )];
    if push.digest.is_some() || push.tag.is_some() {
        let name = match &push.tag {
            Some(tag) => format!("{repository}:{tag}"),
            None => repository.to_owned(),
        };
        let digest = push.digest.as_ref();
        let uid = match (repository_arn(finding), digest) {
            (Some(arn), Some(digest)) => Some(format!("{arn}@{digest}")),
            (_, digest) => digest.map(ToString::to_string),
        };
        let mut image = resource(name, uid, "AwsEcrContainerImage");
        if let Some(digest) = digest {
            image["uid_alt"] = text(digest);
        }
        if let Some(tag) = &push.tag {
            image["version"] = text(tag);
        }
        image["data"] = object([
            ("artifact", Some(json!(push.artifact.as_str()))),
            ("subject", push.artifact_subject.as_deref().map(text)),
        ]);
        resources.push(image);
    }
    Value::Array(resources)
}

/// The ARN of a repository in a private registry. That of a public one has another
/// service and no region, and the event does not name it.
fn repository_arn(finding: &Finding) -> Option<String> {
    let push = &finding.push;
    if push.event_source.as_deref() != Some("ecr.amazonaws.com") {
        return None;
    }
    let (region, registry) = (push.region.as_deref()?, push.registry_id.as_deref()?);
    Some(format!(
        "arn:{}:ecr:{region}:{registry}:repository/{}",
        partition_of(region),
        push.repository.as_deref()?
    ))
}

/// What a SIEM searches for.
pub(super) fn observables(finding: &Finding) -> Value {
    let push = &finding.push;
    let address = push
        .source_ip
        .as_deref()
        .filter(|source| source.parse::<IpAddr>().is_ok());
    let arn = repository_arn(finding);
    let found = [
        (2, "IP Address", "evidences[0].src_endpoint.ip", address),
        (
            4,
            "User Name",
            "evidences[0].actor.user.name",
            Some(finding.uploader.name.as_str()),
        ),
        (
            31,
            "User Object: uid",
            "evidences[0].actor.user.uid",
            Some(finding.uploader.key.as_str()),
        ),
        (
            19,
            "User Credential ID",
            "evidences[0].actor.user.credential_uid",
            push.access_key_id.as_deref(),
        ),
        (
            16,
            "HTTP User-Agent",
            "evidences[0].http_request.user_agent",
            push.user_agent.as_deref(),
        ),
        (
            35,
            "Account Object: uid",
            "cloud.account.uid",
            push.account.as_deref(),
        ),
        (10, "Resource UID", "resources[0].uid", arn.as_deref()),
        (
            38,
            "Resource Details Object: name",
            "resources[0].name",
            push.repository.as_deref(),
        ),
        (
            8,
            "Hash",
            "evidences[0].container.hash.value",
            push.digest.as_deref().and_then(sha256),
        ),
    ];
    let observables = found
        .into_iter()
        .filter_map(|(type_id, kind, name, value)| {
            Some(json!({"type_id": type_id, "type": kind, "name": name, "value": text(value?)}))
        });
    Value::Array(observables.collect())
}
