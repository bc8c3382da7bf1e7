//! What a finding says beside who pushed what: how the push was authorised, and what
//! the manifest describes.

use jiff::SignedDuration;
use pushwatch::event::{self, Artifact, Credentials, Event, Push};
use pushwatch::finding::{Finding, Reason, Sightings};
use pushwatch::identity::Uploader;
use pushwatch::render::{Format, Message, RenderContext, render};
use serde_json::{Value, json};

use crate::support::cli::{folder, pushwatch};
use crate::support::events::{iam_user, now, read, record, render_context, role_session, time};

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

fn finding_for(reason: Reason, event: &Value) -> Finding {
    let (push, identification) = read(event);
    Finding::new(
        reason,
        &push,
        &identification.uploader,
        Sightings::default(),
    )
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
        (
            // It has file systems and a configuration: containerd would run it.
            "buildx, build cache",
            manifest("application/vnd.buildkit.cacheconfig.v0", &[OCI_LAYER]),
            Artifact::Image,
            false,
        ),
        (
            "docker, before configurations",
            json!({
                "schemaVersion": 1, "fsLayers": [{"blobSum": SUBJECT}],
                "mediaType": "application/vnd.docker.distribution.manifest.v1+prettyjws"
            }),
            Artifact::Image,
            false,
        ),
        (
            "cosign, bill of materials as a referrer by its configuration",
            manifest(
                "application/vnd.dev.cosign.artifact.sbom.v1+json",
                &["text/spdx+json"],
            ),
            Artifact::Sbom,
            false,
        ),
        (
            "cosign, signature of the older kind in a bundle",
            {
                let bundle = "application/vnd.dev.sigstore.bundle+json;version=0.2";
                let mut manifest = referrer(bundle, bundle);
                manifest["annotations"] =
                    json!({"dev.sigstore.bundle.content": "message-signature"});
                manifest
            },
            Artifact::Signature,
            true,
        ),
        (
            "helm, with provenance and as older versions wrote it",
            manifest(
                "application/vnd.cncf.helm.config.v1+json",
                &[
                    "application/tar+gzip",
                    "application/vnd.cncf.helm.chart.provenance.v1.prov",
                ],
            ),
            Artifact::HelmChart,
            false,
        ),
        (
            "oras, as an artifact manifest without a configuration",
            json!({
                "mediaType": "application/vnd.oci.artifact.manifest.v1+json",
                "artifactType": "application/spdx+json", "blobs": [],
                "subject": descriptor(OCI, SUBJECT)
            }),
            Artifact::Sbom,
            true,
        ),
        (
            "wasm",
            manifest("application/vnd.wasm.config.v0+json", &["application/wasm"]),
            Artifact::Other,
            false,
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
    let by_docker = "application/vnd.docker.attestation.manifest.v1+json";
    let attested = manifest(OCI_CONFIG, &[by_docker]);
    let mut bytes = manifest(OCI_CONFIG, &["application/octet-stream"]);
    bytes["artifactType"] = json!("application/vnd.cncf.notary.signature");
    let mut untyped = manifest(OCI_CONFIG, &["application/vnd.in-toto+json", OCI_LAYER]);
    untyped["layers"][1]
        .as_object_mut()
        .unwrap()
        .remove("mediaType");
    for manifest in [signed, chart, mixed, attested, bytes, untyped] {
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
fn a_manifest_that_go_may_read_otherwise_is_unknown() {
    let signature = "application/vnd.cncf.notary.signature";
    let image = manifest(OCI_CONFIG, &[OCI_LAYER]);
    let decoy = referrer(signature, "application/cose").to_string();
    assert_eq!(
        finding(&with_manifest(&decoy, OCI)).push.artifact,
        Artifact::Signature
    );
    let (config, layers) = (&image["config"], &image["layers"]);
    for more in [
        // Merged with the one before; in lower case the same; the long s too, as Go has it.
        format!("\"config\":{config}"),
        format!("\"Config\":{config}"),
        format!("\"LAYERS\":{layers}"),
        format!("\"layer\u{17f}\":{layers}"),
        format!("\"layer\\u017f\":{layers}"),
        "\"Manifests\":[]".to_owned(),
        "\"mediatype\":\"x\"".to_owned(),
    ] {
        for text in [
            format!("{{{more},{}", &decoy[1..]),
            format!("{},{more}}}", &decoy[..decoy.len() - 1]),
        ] {
            let push = finding(&with_manifest(&text, OCI)).push;
            assert_eq!(push.artifact, Artifact::Unknown, "{text}");
        }
    }
    for (object, more) in [
        ("\"config\":{", format!("\"MediaType\":\"{OCI_CONFIG}\",")),
        ("\"config\":{", format!("\"Digest\":\"{SUBJECT}\",")),
        ("\"layers\":[{", format!("\"mediatype\":\"{OCI_LAYER}\",")),
    ] {
        let text = decoy.replacen(object, &format!("{object}{more}"), 1);
        assert_ne!(text, decoy, "{object}");
        let push = finding(&with_manifest(&text, OCI)).push;
        assert_eq!(push.artifact, Artifact::Unknown, "{text}");
    }
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

/// A value so deep that a reader which recurses would overflow its stack.
fn deep() -> String {
    format!("{}{}", "[".repeat(50_000), "]".repeat(50_000))
}

#[test]
fn what_is_deep_or_there_twice_costs_its_field_and_not_the_event() {
    let whole = telling_event().to_string();
    let with = |from: &str, to: &str| {
        let json = whole.replacen(from, to, 1);
        assert_ne!(json, whole, "{from}");
        match event::read_whole(&json, now()).unwrap() {
            Event::Push(push, _) => *push,
            other => panic!("{other:?}"),
        }
    };
    let push = with("\"2.0\"", &deep());
    assert_eq!(push.credentials.ec2_role_delivery, None);
    assert_eq!(push.credentials.source_identity.unwrap(), "mary");
    let push = with("{\"accountId\":\"444455556666\"}", &deep());
    assert_eq!(push.credentials.delegate_account_id, None);
    assert_eq!(push.credentials.source_identity.unwrap(), "mary");
    // The last one counts, as everywhere.
    let push = with(
        "\"sourceIdentity\":",
        "\"sourceIdentity\":\"john\",\"sourceIdentity\":",
    );
    assert_eq!(push.credentials.source_identity.unwrap(), "mary");
    let layers = format!(
        "{{\"layers\":[{{\"mediaType\":{}}}],\"mediaType\":7}}",
        deep()
    );
    let push = finding(&with_manifest(&layers, OCI)).push;
    assert_eq!(push.artifact, Artifact::Unknown);
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
        runbook: Some("https://wiki.example.com/pushwatch".to_owned()),
        ..render_context()
    }
}

fn email(finding: &Finding) -> String {
    let email = render(Message::Finding(finding), Format::Email, &context());
    email.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// All forms for people but the SMS, which has room for its subject only.
const FOR_PEOPLE: [Format; 5] = [
    Format::Email,
    Format::Text,
    Format::AmazonQ,
    Format::PagerDuty,
    Format::Asff,
];

/// A message's words in a form, on one line.
fn words(message: Message<'_>, format: Format) -> String {
    let text = render(message, format, &context()).replace("\\\"", "\"");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn each_form_for_people_says_through_what_the_push_came() {
    let finding = finding(&telling_event());
    insta::assert_snapshot!(
        "email_of_all_details",
        render(Message::Finding(&finding), Format::Email, &context())
    );
    for format in FOR_PEOPLE {
        let text = words(Message::Finding(&finding), format);
        assert!(text.to_lowercase().contains("through"), "{text}");
        for way in [
            "account 444455556666, by delegated access",
            "GitHub's identity provider",
            "the console",
            "arn:aws:lambda:eu-central-1:111122223333:function:build (AWS::Lambda::Function)",
            "an EC2 instance's metadata service, version 2.0",
            "VPC endpoint vpce-0123456789abcdef0",
        ] {
            assert!(text.contains(way), "{way}: {text}");
        }
    }
    let list = [finding.clone(), finding.clone()];
    let list = words(Message::Rollup(&list), Format::Email);
    let way = "Through account 444455556666, by delegated access; GitHub's identity provider";
    assert_eq!(list.matches(way).count(), 2, "{list}");
    for format in [Format::Email, Format::Text] {
        let text = words(Message::Finding(&finding), format);
        for more in [
            "source identity mary",
            "begun 2026-01-01T00:00:00Z",
            "credential EXAMPLEVHULjJdTUdPJfofVa1sufHDoj7aYc",
            "request 805a31e6-0fed-433b-b393-f463c6881334",
            "The image tag '1.4.2' already exists",
            "Temporary delegation requests",
        ] {
            assert!(text.contains(more), "{more}: {text}");
        }
    }
}

#[test]
fn where_cloudtrail_says_nothing_of_the_way_no_form_does() {
    let finding = finding(&record("1", TIME, &iam_user("test")));
    for format in [Format::Email, Format::Text, Format::AmazonQ, Format::Asff] {
        let text = words(Message::Finding(&finding), format);
        assert!(!text.contains("Through"), "{text}");
    }
}

#[test]
fn explain_shows_all_of_it() {
    let folder = folder(&[("event.json", telling_event().to_string().as_bytes())]);
    let ran = pushwatch(folder.path(), &["explain", "event.json"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    insta::assert_snapshot!("explained", ran.out);
}

#[test]
fn the_root_user_is_never_told_that_there_is_nothing_to_do() {
    let root = json!({
        "type": "Root", "principalId": "111122223333", "accountId": "111122223333",
        "arn": "arn:aws:iam::111122223333:root"
    });
    let mut minted = iam_user("x");
    minted["type"] = json!("FederatedUser");
    minted["arn"] = json!("arn:aws:sts::111122223333:federated-user/x");
    minted["sessionContext"]["sessionIssuer"] =
        json!({"type": "Root", "arn": "arn:aws:iam::111122223333:root"});
    for identity in [&root, &minted] {
        let mut event = record("1", TIME, identity);
        for failed in [false, true] {
            if failed {
                event["errorCode"] = json!("AccessDenied");
            }
            for reason in [
                Reason::NewUploader,
                Reason::RevokedUploader,
                Reason::AttemptedUpload,
                Reason::ReturnedAfterAbsence,
            ] {
                let finding = finding_for(reason, &event);
                for format in FOR_PEOPLE {
                    let text = words(Message::Finding(&finding), format);
                    assert!(!text.contains("nothing to do"), "{text}");
                }
                let email = email(&finding);
                assert!(
                    email.contains(
                        "Critical, the worst of five levels, because this is the power of the \
                         root user."
                    ),
                    "{email}"
                );
            }
        }
    }
}

#[test]
fn a_severity_is_explained_in_one_line() {
    let event = record("1", TIME, &iam_user("test"));
    let service = json!({"type": "AWSService", "invokedBy": "codebuild.amazonaws.com"});
    let of_service = record("1", TIME, &service);
    for (reason, event, line) in [
        (
            Reason::NewUploader,
            &event,
            "High, the second worst of five levels. The risk score, for tools that add scores up, \
             is 49 of 100 (impact 70 x confidence 70%).",
        ),
        (
            Reason::RevokedUploader,
            &event,
            "Critical, the worst of five levels. The",
        ),
        (
            Reason::ReturnedAfterAbsence,
            &event,
            "Medium, the middle one of five levels. The",
        ),
        (
            Reason::NewUploader,
            &of_service,
            "Low, the second lowest of five levels, because only AWS itself can be this \
             uploader. The",
        ),
        (
            Reason::LearnedUploader,
            &event,
            "Informational, the lowest of five levels. The",
        ),
    ] {
        let finding = finding_for(reason, event);
        for format in [
            Format::Email,
            Format::Text,
            Format::AmazonQ,
            Format::PagerDuty,
        ] {
            let text = words(Message::Finding(&finding), format);
            assert!(text.contains(line), "{line}\n{text}");
        }
    }
}

#[test]
fn nobody_is_told_to_disable_credentials_that_aws_has() {
    let service = json!({"type": "AWSService", "invokedBy": "codebuild.amazonaws.com"});
    let linked = role_session(
        "aws-service-role/pullthroughcache.ecr.amazonaws.com/AWSServiceRoleForECRPullThroughCache",
        "session",
    );
    for identity in [&service, &linked] {
        let mut event = record("1", TIME, identity);
        for failed in [false, true] {
            if failed {
                event["errorCode"] = json!("LimitExceededException");
            }
            for reason in [
                Reason::NewUploader,
                Reason::RevokedUploader,
                Reason::AttemptedUpload,
                Reason::RecreatedPrincipal,
            ] {
                let finding = finding_for(reason, &event);
                let email = email(&finding);
                for cannot in [
                    "disable the credentials",
                    "Revoke sessions",
                    "trying to get in",
                ] {
                    assert!(!email.contains(cannot), "{reason}: {email}");
                }
                assert!(
                    email.contains("undo the setting that makes AWS push"),
                    "{email}"
                );
            }
        }
    }
    let other = json!({
        "type": "AWSAccount", "accountId": "444455556666", "principalId": "AIDAEXAMPLE"
    });
    let other = email(&finding(&record("1", TIME, &other)));
    assert!(other.contains("shut that account out, and stop"), "{other}");
    let delegated = email(&finding(&telling_event()));
    assert!(delegated.contains("Access was delegated to account 444455556666. End it"));
}

#[test]
fn a_push_to_ecr_public_may_be_a_way_out_of_the_account() {
    let mut event = record("1", TIME, &iam_user("test"));
    event["eventSource"] = json!("ecr-public.amazonaws.com");
    for failed in [false, true] {
        if failed {
            event["errorCode"] = json!("AccessDenied");
        }
        for reason in [Reason::NewUploader, Reason::RevokedUploader] {
            let finding = finding_for(reason, &event);
            for format in [
                Format::Email,
                Format::AmazonQ,
                Format::PagerDuty,
                Format::Asff,
            ] {
                let text = words(Message::Finding(&finding), format);
                assert!(text.contains("may be a way out of the account"), "{text}");
            }
            let sms = render(Message::Finding(&finding), Format::Sms, &context());
            assert!(sms.contains("ECR Public uploader test"), "{sms}");
            let text = render(Message::Finding(&finding), Format::Text, &context());
            assert!(text.contains("in ECR Public"), "{text}");
        }
    }
    let list = vec![finding(&event); 2];
    let list = words(Message::Rollup(&list), Format::Email);
    assert!(list.contains("team/app:1.4.2 in ECR Public"), "{list}");
}

#[test]
fn that_parameters_were_hidden_is_told_in_every_form() {
    let mut event = record("1", TIME, &iam_user("test"));
    event["requestParameters"] = json!({"omitted": "true", "originalSize": "149893"});
    event["responseElements"] = Value::Null;
    let hidden = finding(&event);
    event["resources"] = json!([]);
    let unnamed = finding(&event);
    for (finding, is_named) in [(&hidden, true), (&unnamed, false)] {
        let odd = "parameters are missing, as if they had been padded to hide what it is";
        for format in [
            Format::Email,
            Format::AmazonQ,
            Format::PagerDuty,
            Format::Asff,
        ] {
            let text = words(Message::Finding(finding), format);
            assert!(text.contains(odd), "{text}");
        }
        let list = [finding.clone(), finding.clone()];
        let list = words(Message::Rollup(&list), Format::Email);
        assert!(list.contains(odd), "{list}");
        for format in [Format::Email, Format::Text] {
            let text = words(Message::Finding(finding), format);
            let why = "Those of an image of docker's 127 layers take 30 KB: somebody may have \
                       padded them to hide tag and digest";
            assert!(text.contains(why), "{text}");
            let known = text.contains("The repository is known from the rest of the event");
            assert_eq!(known, is_named, "{text}");
            assert_eq!(text.contains("team/app"), is_named, "{text}");
        }
    }
}

#[test]
fn an_address_of_mail_stays_whole_as_a_name_and_in_a_key() {
    let mut identity = role_session(
        "aws-reserved/sso.amazonaws.com/AWSReservedSSO_AdministratorsOfAll_0123456789abcdef",
        "mary.major@example.com",
    );
    identity["sessionContext"]["sourceIdentity"] = json!("mary.major@example.com");
    let finding = finding(&record("1", TIME, &identity));
    for format in [Format::Email, Format::Text, Format::Sms, Format::AmazonQ] {
        let text = render(Message::Finding(&finding), format, &context());
        assert!(text.contains("mary.major@example.com"), "{text}");
        assert!(!text.contains("example[.]com"), "{text}");
    }
    let email = render(Message::Finding(&finding), Format::Email, &context());
    for line in [
        "Who       mary.major@example.com, IAM Identity Center user of account",
        "          AWSReservedSSO_AdministratorsOfAll/mary.major@example.com",
    ] {
        assert!(email.lines().any(|there| there == line), "{email}");
    }
}

#[test]
fn a_list_says_a_reason_once_and_what_is_of_each_finding_with_it() {
    let absent = |number: i64| {
        let name = format!("u{number}");
        let mut push = read(&record(&name, TIME, &iam_user(&name)));
        push.0
            .note_delay(time(TIME) + SignedDuration::from_hours(3));
        let seen = Sightings {
            previously_seen: Some(
                time("2025-06-01T00:00:00Z") + SignedDuration::from_hours(number),
            ),
            ..Sightings::default()
        };
        Finding::new(
            Reason::ReturnedAfterAbsence,
            &push.0,
            &push.1.uploader,
            seen,
        )
    };
    let findings: Vec<_> = (0..15).map(absent).collect();
    let list = render(Message::Rollup(&findings), Format::Email, &context());
    assert_eq!(list.matches("more than 90 days").count(), 1, "{list}");
    assert!(
        list.contains("15 findings: A push after more than"),
        "{list}"
    );
    for number in 0..15 {
        let seen = format!("\n  Last seen 2025-06-01T{number:02}:00:00Z\n");
        assert_eq!(list.matches(&seen).count(), 1, "{list}");
    }
    assert_eq!(list.matches("reported 3 hours later").count(), 15, "{list}");
}

#[test]
fn a_subject_without_a_name_has_no_gap_for_it() {
    let mut event = record("1", TIME, &json!({"invokedBy": "AWS Internal"}));
    event["requestParameters"]["repositoryName"] = json!("x".repeat(200));
    let finding = finding_for(Reason::UnidentifiedUploader, &event);
    let subject = render(Message::Finding(&finding), Format::Sms, &context());
    let begin = "[HIGH] Unidentified ECR uploader pushed xxx";
    assert!(subject.starts_with(begin), "{subject}");
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
