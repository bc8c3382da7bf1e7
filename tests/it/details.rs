//! What a finding says beside who pushed what: how the push was authorised, and what
//! the manifest describes.

use pushwatch::event::{Artifact, Credentials, Push};
use pushwatch::finding::{Finding, Reason, Sightings};
use pushwatch::identity::Uploader;
use pushwatch::render::{Format, Message, RenderContext, render};
use serde_json::{Value, json};

use crate::support::events::{iam_user, read, record, role_session};

const TIME: &str = "2026-01-12T09:00:00Z";
const SUBJECT: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";
const EMPTY: &str = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";
const OCI: &str = "application/vnd.oci.image.manifest.v1+json";
const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";
const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

fn finding(event: &Value) -> Finding {
    let (push, identification) = read(event);
    told(&push, &identification.uploader)
}

fn told(push: &Push, uploader: &Uploader) -> Finding {
    Finding::new(Reason::NewUploader, push, uploader, Sightings::default())
}

fn with_manifest(manifest: &str, media_type: &str) -> Value {
    let mut event = record("1", TIME, &iam_user("test"));
    for path in ["/requestParameters", "/responseElements/image"] {
        let parameters = event.pointer_mut(path).unwrap();
        parameters["imageManifest"] = json!(manifest);
        parameters["imageManifestMediaType"] = json!(media_type);
    }
    event
}

fn artifact(manifest: &Value) -> (Artifact, Option<String>) {
    let media_type = manifest["mediaType"].as_str().unwrap_or(OCI);
    let push = finding(&with_manifest(&manifest.to_string(), media_type)).push;
    (push.artifact, push.artifact_subject.map(Into::into))
}

fn descriptor(media_type: &str, digest: &str) -> Value {
    json!({"mediaType": media_type, "digest": digest, "size": 2})
}

fn manifest(config: &str, layers: &[&str]) -> Value {
    let layers: Vec<_> = layers
        .iter()
        .map(|layer| descriptor(layer, SUBJECT))
        .collect();
    json!({
        "schemaVersion": 2, "mediaType": OCI,
        "config": descriptor(config, SUBJECT), "layers": layers
    })
}

/// A manifest without a configuration that refers to an image.
fn referrer(artifact_type: &str, layer: &str) -> Value {
    json!({
        "schemaVersion": 2, "mediaType": OCI, "artifactType": artifact_type,
        "config": descriptor("application/vnd.oci.empty.v1+json", EMPTY),
        "layers": [descriptor(layer, SUBJECT)],
        "subject": descriptor(OCI, SUBJECT)
    })
}

#[test]
#[allow(clippy::too_many_lines)] // a table, a tool a row
fn what_was_pushed_is_told_by_the_manifests_that_each_tool_writes() {
    let bundle = "application/vnd.dev.sigstore.bundle.v0.3+json";
    let annotated = |predicate: &str| {
        let mut manifest = referrer(bundle, bundle);
        manifest["annotations"] = json!({
            "dev.sigstore.bundle.content": "dsse-envelope",
            "dev.sigstore.bundle.predicateType": predicate
        });
        manifest
    };
    let mut docker = manifest(
        "application/vnd.docker.container.image.v1+json",
        &["application/vnd.docker.image.rootfs.diff.tar.gzip"],
    );
    docker["mediaType"] = json!(DOCKER);
    let list = |media_type: &str| {
        json!({"schemaVersion": 2, "mediaType": media_type,
               "manifests": [descriptor(OCI, SUBJECT)]})
    };
    for (tool, manifest, expected, has_subject) in [
        ("docker", docker, Artifact::Image, false),
        (
            "buildx",
            manifest(OCI_CONFIG, &[OCI_LAYER]),
            Artifact::Image,
            false,
        ),
        (
            "docker manifest",
            list("application/vnd.docker.distribution.manifest.list.v2+json"),
            Artifact::Index,
            false,
        ),
        (
            "buildx, several platforms",
            list("application/vnd.oci.image.index.v1+json"),
            Artifact::Index,
            false,
        ),
        (
            "buildx, attestation",
            manifest(OCI_CONFIG, &["application/vnd.in-toto+json"; 2]),
            Artifact::Attestation,
            false,
        ),
        (
            "buildx, attestation as an artifact",
            referrer(
                "application/vnd.docker.attestation.manifest.v1+json",
                "application/vnd.in-toto+json",
            ),
            Artifact::Attestation,
            true,
        ),
        (
            "cosign, signature by tag",
            manifest(
                OCI_CONFIG,
                &["application/vnd.dev.cosign.simplesigning.v1+json"],
            ),
            Artifact::Signature,
            false,
        ),
        (
            "cosign, attestation by tag",
            manifest(OCI_CONFIG, &["application/vnd.dsse.envelope.v1+json"]),
            Artifact::Attestation,
            false,
        ),
        (
            "cosign, referrer",
            referrer(
                "application/vnd.dev.cosign.artifact.sig.v1+json",
                "application/vnd.dev.cosign.simplesigning.v1+json",
            ),
            Artifact::Signature,
            true,
        ),
        (
            "cosign, signature in a bundle",
            annotated("https://sigstore.dev/cosign/sign/v1"),
            Artifact::Signature,
            true,
        ),
        (
            "cosign, provenance in a bundle",
            annotated("https://slsa.dev/provenance/v1"),
            Artifact::Attestation,
            true,
        ),
        (
            "cosign attach sbom",
            manifest(OCI_CONFIG, &["text/spdx+json"]),
            Artifact::Sbom,
            false,
        ),
        (
            "notation, and ECR's managed signing",
            referrer(
                "application/vnd.cncf.notary.signature",
                "application/jose+json",
            ),
            Artifact::Signature,
            true,
        ),
        (
            "notation, by its configuration",
            manifest(
                "application/vnd.cncf.notary.signature",
                &["application/cose"],
            ),
            Artifact::Signature,
            false,
        ),
        (
            "helm",
            manifest(
                "application/vnd.cncf.helm.config.v1+json",
                &["application/vnd.cncf.helm.chart.content.v1.tar+gzip"],
            ),
            Artifact::HelmChart,
            false,
        ),
        (
            "oras attach, bill of materials",
            referrer(
                "application/vnd.cyclonedx+json",
                "application/vnd.oci.image.layer.v1.tar",
            ),
            Artifact::Sbom,
            true,
        ),
        (
            "oras push",
            referrer(
                "application/vnd.unknown.artifact.v1",
                "application/vnd.oci.image.layer.v1.tar",
            ),
            Artifact::Other,
            true,
        ),
    ] {
        let (artifact, subject) = artifact(&manifest);
        assert_eq!(artifact, expected, "{tool}");
        assert_eq!(subject.as_deref(), has_subject.then_some(SUBJECT), "{tool}");
    }
}

#[test]
fn an_image_passes_for_nothing_else_whatever_it_says_of_itself() {
    let mut signed = manifest(OCI_CONFIG, &[OCI_LAYER]);
    signed["artifactType"] = json!("application/vnd.cncf.notary.signature");
    signed["subject"] = descriptor(OCI, SUBJECT);
    let chart = manifest("application/vnd.cncf.helm.config.v1+json", &[OCI_LAYER]);
    let mixed = manifest(OCI_CONFIG, &["application/vnd.in-toto+json", OCI_LAYER]);
    for manifest in [signed, chart, mixed] {
        assert_eq!(artifact(&manifest), (Artifact::Image, None), "{manifest}");
    }
    let mut event = with_manifest(&manifest(OCI_CONFIG, &[OCI_LAYER]).to_string(), OCI);
    let tag = SUBJECT.replace(':', "-") + ".sig";
    event["requestParameters"]["imageTag"] = json!(tag);
    let push = finding(&event).push;
    assert_eq!(
        (push.artifact, push.artifact_subject),
        (Artifact::Image, None)
    );
    let mut index = json!({"manifests": [], "artifactType": "application/spdx+json"});
    index["mediaType"] = json!("application/vnd.oci.image.index.v1+json");
    assert_eq!(artifact(&index), (Artifact::Index, None));
}

#[test]
fn the_tag_of_a_signature_by_cosign_names_its_image() {
    let layers = ["application/vnd.dev.cosign.simplesigning.v1+json"];
    let mut event = with_manifest(&manifest(OCI_CONFIG, &layers).to_string(), OCI);
    for (tag, subject) in [
        (SUBJECT.replace(':', "-") + ".sig", Some(SUBJECT)),
        (SUBJECT.replace(':', "-") + ".exe", None),
        ("sha256-evil.sig".to_owned(), None),
        ("1.4.2".to_owned(), None),
    ] {
        event["requestParameters"]["imageTag"] = json!(tag);
        let push = finding(&event).push;
        assert_eq!(push.artifact, Artifact::Signature, "{tag}");
        assert_eq!(push.artifact_subject.as_deref(), subject, "{tag}");
    }
}

#[test]
fn a_manifest_that_cannot_be_read_is_unknown() {
    let whole = manifest(OCI_CONFIG, &[OCI_LAYER]).to_string();
    let deep = format!(
        "{{\"layers\":{}{}}}",
        "[".repeat(50_000),
        "]".repeat(50_000)
    );
    for text in [
        "",
        "null",
        "[]",
        "\"x\"",
        "{}",
        &whole[..whole.len() - 9],
        &deep,
    ] {
        let push = finding(&with_manifest(text, OCI)).push;
        assert_eq!(
            push.artifact,
            Artifact::Unknown,
            "{}",
            &text[..text.len().min(60)]
        );
    }
    let mut event = with_manifest(&whole, OCI);
    for odd in [json!({"layers": []}), json!(7), json!([whole]), Value::Null] {
        event["requestParameters"]["imageManifest"] = odd.clone();
        event["responseElements"]["image"]["imageManifest"] = odd;
        assert_eq!(finding(&event).push.artifact, Artifact::Unknown);
    }
    event["requestParameters"] = json!({"omitted": "true", "originalSize": "149893"});
    event["responseElements"] = Value::Null;
    let finding = finding(&event);
    assert_eq!(finding.push.artifact, Artifact::Unknown);
    let email = email(&finding);
    assert!(
        email.contains("somebody may have padded them to hide"),
        "{email}"
    );
    assert!(email.contains("team/app"), "{email}");
}

#[test]
fn odd_manifests_cost_a_field_and_not_the_event() {
    let layers = vec![descriptor(OCI_LAYER, SUBJECT); 10_000];
    let mut long = manifest(OCI_CONFIG, &[]);
    long["layers"] = json!(layers);
    assert_eq!(artifact(&long).0, Artifact::Image);
    // Of two fields of one name the last counts, as for docker.
    let twice = format!(
        "{{\"artifactType\":\"application/spdx+json\",\"artifactType\":\"{}\",\"layers\":[]}}",
        "application/vnd.cncf.notary.signature"
    );
    let push = finding(&with_manifest(&twice, OCI)).push;
    assert_eq!(push.artifact, Artifact::Signature);
    let mut odd = referrer("application/vnd.cncf.notary.signature", "application/cose");
    odd["subject"] = json!("sha256:evil");
    assert_eq!(artifact(&odd), (Artifact::Signature, None));
    odd["subject"] = json!({"digest": "http://evil.example"});
    assert_eq!(artifact(&odd), (Artifact::Signature, None));
    odd["layers"] = json!({"mediaType": 7});
    odd["config"] = json!([]);
    odd["annotations"] = json!("x");
    assert_eq!(artifact(&odd), (Artifact::Signature, None));
    odd["artifactType"] = json!({"a": "b"});
    assert_eq!(artifact(&odd).0, Artifact::Unknown);
}

/// An event in which CloudTrail says all that it can.
fn telling_event() -> Value {
    let mut identity = role_session("ci/build", "GitHubActions");
    identity["sessionContext"]["webIdFederationData"] = json!({
        "federatedProvider":
            "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com",
        "attributes": {}
    });
    identity["sessionContext"]["sourceIdentity"] = json!("mary");
    identity["sessionContext"]["ec2RoleDelivery"] = json!("2.0");
    identity["invokedByDelegate"] = json!({"accountId": "444455556666"});
    identity["inScopeOf"] = json!({
        "issuerType": "AWS::Lambda::Function",
        "credentialsIssuedTo": "arn:aws:lambda:eu-central-1:111122223333:function:build"
    });
    identity["credentialId"] = json!("EXAMPLEVHULjJdTUdPJfofVa1sufHDoj7aYc");
    let mut event = record("1", TIME, &identity);
    event["vpcEndpointId"] = json!("vpce-0123456789abcdef0");
    event["sessionCredentialFromConsole"] = json!("true");
    event["errorCode"] = json!("ImageTagAlreadyExistsException");
    event["errorMessage"] = json!("The image tag '1.4.2' already exists");
    event["responseElements"] = Value::Null;
    event
}

#[test]
fn credentials_are_told_as_far_as_the_record_has_them() {
    let finding = finding(&telling_event());
    insta::assert_json_snapshot!("credentials", finding.credentials);
    assert_eq!(
        finding.push.request_id.as_deref(),
        Some("805a31e6-0fed-433b-b393-f463c6881334")
    );
    let json: Value = serde_json::from_str(&finding.to_json()).unwrap();
    assert_eq!(
        json["push"]["errorMessage"],
        json!("The image tag '1.4.2' already exists")
    );
    let silent = record("1", TIME, &json!({"type": "IAMUser"}));
    let (push, identification) = read(&silent);
    let silent = told(&push, &identification.uploader);
    assert_eq!(silent.credentials, Credentials::default());
    let json: Value = serde_json::from_str(&silent.to_json()).unwrap();
    assert_eq!(json["credentials"], json!({}));
}

#[test]
fn an_odd_credential_costs_its_field_and_not_the_event() {
    let mut event = telling_event();
    let identity = &mut event["userIdentity"];
    identity["sessionContext"]["webIdFederationData"] = json!("GitHub");
    identity["sessionContext"]["sourceIdentity"] = json!({"name": "mary"});
    identity["sessionContext"]["attributes"]["creationDate"] = json!("yesterday");
    identity["invokedByDelegate"] = json!("444455556666");
    identity["inScopeOf"] = json!(["x"]);
    identity["credentialId"] = json!(7);
    event["vpcEndpointId"] = json!("x".repeat(5_000));
    event["sessionCredentialFromConsole"] = json!({});
    event["requestID"] = json!([]);
    event["errorMessage"] = json!({"message": "x"});
    let finding = finding(&event);
    assert_eq!(finding.push.request_id, None);
    assert_eq!(finding.push.error_message, None);
    let endpoint = finding.credentials.vpc_endpoint_id.clone().unwrap();
    assert_eq!(endpoint.len(), 256);
    let rest = Credentials {
        ec2_role_delivery: Some("2.0".into()),
        vpc_endpoint_id: Some(endpoint),
        ..Credentials::default()
    };
    assert_eq!(finding.credentials, rest);
}

#[test]
fn a_finding_that_was_stored_before_has_no_details() {
    let finding = finding(&telling_event());
    let mut stored: Value = serde_json::from_str(&finding.to_json()).unwrap();
    stored.as_object_mut().unwrap().remove("credentials");
    for name in ["requestId", "errorMessage", "artifact", "artifactSubject"] {
        stored["push"]
            .as_object_mut()
            .unwrap()
            .remove(name)
            .unwrap();
    }
    let read: Finding = serde_json::from_value(stored).unwrap();
    assert_eq!(read.push.artifact, Artifact::Unknown);
    assert_eq!(read.credentials, Credentials::default());
}

fn context() -> RenderContext {
    RenderContext {
        table: "uploaders".to_owned(),
        findings_table: Some("findings".to_owned()),
        region: "eu-central-1".to_owned(),
        absence_days: 90,
        stack: Some("pushwatch".to_owned()),
        account: Some("111122223333".to_owned()),
        runbook: Some("https://wiki.example.com/pushwatch".to_owned()),
    }
}

fn email(finding: &Finding) -> String {
    let email = render(Message::Finding(finding), Format::Email, &context());
    email.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn each_form_for_people_says_through_what_the_push_came() {
    let finding = finding(&telling_event());
    insta::assert_snapshot!(
        "email_of_all_details",
        render(Message::Finding(&finding), Format::Email, &context())
    );
    let text = render(Message::Finding(&finding), Format::Text, &context());
    for words in [
        "account 444455556666, by delegated access",
        "GitHub's identity provider",
        "the console",
        "VPC endpoint vpce-0123456789abcdef0",
        "source identity mary",
        "The image tag '1.4.2' already exists",
        "Temporary delegation requests",
    ] {
        assert!(text.contains(words), "{words}: {text}");
        assert!(email(&finding).contains(words), "{words}");
    }
}

#[test]
fn what_was_pushed_is_said_in_words_and_subject() {
    let chart = manifest(
        "application/vnd.cncf.helm.config.v1+json",
        &["application/vnd.cncf.helm.chart.content.v1.tar+gzip"],
    );
    let signature = referrer(
        "application/vnd.cncf.notary.signature",
        "application/jose+json",
    );
    for (manifest, subject, sentence) in [
        (
            &chart,
            "[HIGH] New ECR uploader test pushed Helm chart team/app:1.4.2",
            "pushed the Helm chart team/app:1.4.2 to Amazon ECR.",
        ),
        (
            &signature,
            "[HIGH] New ECR uploader test pushed a signature of sha256:111111111111 to team/app:1.4.2",
            "pushed a signature of sha256:111111111111 to team/app:1.4.2 in Amazon ECR.",
        ),
    ] {
        let finding = finding(&with_manifest(&manifest.to_string(), OCI));
        let sms = render(Message::Finding(&finding), Format::Sms, &context());
        assert!(sms.starts_with(subject), "{sms}");
        assert!(email(&finding).contains(sentence), "{}", email(&finding));
        let ocsf = render(Message::Finding(&finding), Format::Ocsf, &context());
        let ocsf: Value = serde_json::from_str(&ocsf).unwrap();
        assert_eq!(
            ocsf["resources"][1]["data"]["artifact"],
            json!(finding.push.artifact)
        );
    }
}
