//! A finding in the AWS Security Finding Format, as Security Hub's
//! `BatchImportFindings` takes it.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::wording::{advice, headline, reason_in_words, sentence, shown, shown_words};
use super::{RenderContext, facts, remediation};
use crate::arn::partition_of;
use crate::finding::Finding;
use crate::text::cut_bytes;

/// The finding, under the default product of its account and region; the region is
/// that of `context` if the event has none.
pub(super) fn value(finding: &Finding, context: &RenderContext) -> Value {
    let push = &finding.push;
    let uploader = &finding.uploader;
    let account = digits(push.account.as_deref())
        .or_else(|| digits(uploader.account_id.as_deref()))
        .unwrap_or("000000000000");
    let region = remediation::region(finding).unwrap_or(&context.region);
    let partition = partition_of(region);
    let time = push.event_time.to_string();
    let label = finding.severity.as_str().to_uppercase();
    let types: &[&str] = match uploader.kind.as_str() {
        "Role" | "AWSService" => &["Unusual Behaviors/Application", "TTPs/Execution"],
        _ => &["Unusual Behaviors/User", "TTPs/Execution"],
    };
    json!({
        "SchemaVersion": "2018-10-08",
        "Id": format!("pushwatch/{}", finding.id),
        "ProductArn": format!("arn:{partition}:securityhub:{region}:{account}:product/{account}/default"),
        "GeneratorId": format!("pushwatch/{}", finding.reason),
        "AwsAccountId": account,
        "Region": region,
        "Types": types,
        "FirstObservedAt": finding.first_seen.unwrap_or(push.event_time).to_string(),
        "LastObservedAt": finding.last_seen.unwrap_or(push.event_time).to_string(),
        "CreatedAt": time,
        "UpdatedAt": time,
        "Severity": {"Label": label, "Original": finding.severity.as_str()},
        "FindingProviderFields": {
            "Severity": {"Label": label, "Original": finding.severity.as_str()},
            "Types": types,
            "Confidence": finding.risk.confidence.min(100),
        },
        "Title": shown_words(&headline(finding), 256),
        "Description": shown_words(&description(finding, context.absence_days), 1024),
        "Remediation": {"Recommendation": {"Text": advice(finding)}},
        "ProductFields": {
            "pushwatch/findingId": finding.id.to_string(),
            "pushwatch/reason": finding.reason.as_str(),
            "pushwatch/artifact": push.artifact.as_str(),
            "pushwatch/uploader": characters(&shown(&uploader.key, 1024), 2048),
            "pushwatch/eventId": characters(&shown(&push.event_id, 200), 2048),
        },
        "Resources": resources(finding, partition, region),
        "Action": {
            "ActionType": "AWS_API_CALL",
            "AwsApiCallAction": action(finding),
        },
        "RecordState": "ACTIVE",
    })
}

fn description(finding: &Finding, absence_days: u16) -> String {
    let through = facts::through_in_words(finding);
    let through = through.map_or_else(String::new, |through| format!(" {through}."));
    let why = reason_in_words(finding, absence_days);
    format!("{}{through} Why: {why}.", sentence(finding))
}

/// The call. ASFF names its caller only by an address, which most pushes lack.
fn action(finding: &Finding) -> Value {
    let push = &finding.push;
    let time = push.event_time.to_string();
    let service = push.event_source.as_deref().unwrap_or("ecr.amazonaws.com");
    let mut action = json!({
        "Api": "PutImage",
        "ServiceName": shown(service, 128),
        "FirstSeen": time,
        "LastSeen": time,
    });
    let address = push.source_ip.as_deref().unwrap_or_default();
    if let Ok(address) = address.parse::<Ipv4Addr>() {
        action["CallerType"] = json!("remoteIp");
        action["RemoteIpDetails"] = json!({"IpAddressV4": address.to_string()});
    }
    action
}

fn resources(finding: &Finding, partition: &str, region: &str) -> Value {
    let push = &finding.push;
    let uploader = &finding.uploader;
    let repository = push.repository.as_deref().unwrap_or("unknown");
    let registry = push.registry_id.as_deref().unwrap_or("unknown");
    let image = match &push.digest {
        Some(digest) => format!("{repository}/{digest}"),
        None => repository.to_owned(),
    };
    let mut details = json!({
        "RegistryId": shown(registry, 60),
        "RepositoryName": shown(repository, 256),
    });
    if !push.failed() {
        details["ImagePublishedAt"] = json!(push.event_time.to_string());
    }
    if let Some(digest) = &push.digest {
        details["ImageDigest"] = json!(shown(digest, 100));
    }
    if let Some(tag) = &push.tag {
        details["ImageTags"] = json!([shown(tag, 300)]);
    }
    let mut resources = vec![json!({
        "Type": "AwsEcrContainerImage",
        "Id": characters(
            &shown(&format!("arn:{partition}:ecr:{region}:{registry}:repository/{image}"), 500),
            512,
        ),
        "Partition": partition,
        "Region": region,
        "Details": {"AwsEcrContainerImage": details},
    })];
    if let Some(key) = &push.access_key_id {
        let mut details = json!({
            "PrincipalType": shown(&uploader.kind, 60),
            "PrincipalName": shown(&uploader.name, 128),
            "AccessKeyId": shown(key, 128),
        });
        if let Some(id) = &uploader.principal_id {
            details["PrincipalId"] = json!(shown(id, 128));
        }
        resources.push(json!({
            "Type": "AwsIamAccessKey",
            "Id": shown(&format!("AWS::IAM::AccessKey:{key}"), 512),
            "Partition": partition,
            "Region": region,
            "Details": {"AwsIamAccessKey": details},
        }));
    }
    // Security Hub knows no other partitions.
    if !matches!(partition, "aws" | "aws-cn" | "aws-us-gov") {
        for resource in resources.iter_mut().filter_map(Value::as_object_mut) {
            resource.remove("Partition");
        }
    }
    Value::Array(resources)
}

fn digits(account: Option<&str>) -> Option<&str> {
    account
        .filter(|account| account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit()))
}

/// At most this many bytes, and so at most this many characters.
fn characters(text: &str, most: usize) -> &str {
    cut_bytes(text, most)
}
