//! What each pure stage of a push takes, by the size of the event: read, identify,
//! decide, render. `cargo bench --bench stages`.

#![allow(missing_docs)] // made by macros
#![allow(clippy::unwrap_used)]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use jiff::Timestamp;
use pushwatch::decide::decide;
use pushwatch::event::{self, Event, Push, UserIdentity};
use pushwatch::finding::Finding;
use pushwatch::identity::identify;
use pushwatch::policy::Policy;
use pushwatch::render::{HttpsFormat, Message, RenderContext, bodies, subject};
use serde_json::json;

/// Layers of the image, by the size of the event that is made of them. CloudTrail has the
/// manifest twice.
const SIZES: [(&str, usize); 3] = [("2 KB", 0), ("30 KB", 61), ("200 KB", 430)];

/// A push of a build's role, as `EventBridge` sends it.
fn event(layers: usize) -> String {
    let account = "111122223333";
    let layer = |number: usize| {
        json!({
            "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
            "size": 1_000_003 * number,
            "digest": format!("sha256:{:064x}", 0x9e37_79b9_7f4a_7c15_u128.wrapping_mul(number as u128 + 1)),
        })
    };
    let manifest = serde_json::to_string_pretty(&json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "layers": (0..layers).map(layer).collect::<Vec<_>>(),
    }))
    .unwrap();
    let media_type = "application/vnd.docker.distribution.manifest.v2+json";
    json!({
        "version": "0", "id": "a99b4cb8-b402-4874-a307-e7df22db0ceb",
        "detail-type": "AWS API Call via CloudTrail", "source": "aws.ecr", "account": account,
        "time": "2026-01-12T09:15:00Z", "region": "eu-central-1", "resources": [],
        "detail": {
            "eventVersion": "1.11",
            "userIdentity": {
                "type": "AssumedRole",
                "principalId": "AROADDC2MMCACBEC2CAE7:i-0abc1234def567890",
                "arn": format!("arn:aws:sts::{account}:assumed-role/build/i-0abc1234def567890"),
                "accountId": account, "accessKeyId": "ASIAEGEA2L3FH3FF34F2",
                "sessionContext": {
                    "sessionIssuer": {
                        "type": "Role", "principalId": "AROADDC2MMCACBEC2CAE7",
                        "arn": format!("arn:aws:iam::{account}:role/build"),
                        "accountId": account, "userName": "build",
                    },
                    "webIdFederationData": {},
                    "attributes": {"creationDate": "2026-01-12T08:00:00Z", "mfaAuthenticated": "false"},
                },
                "invokedBy": "AWS Internal",
            },
            "eventTime": "2026-01-12T09:15:00Z", "eventSource": "ecr.amazonaws.com",
            "eventName": "PutImage", "awsRegion": "eu-central-1",
            "sourceIPAddress": "AWS Internal", "userAgent": "AWS Internal",
            "requestParameters": {
                "registryId": account, "repositoryName": "team/worker", "imageTag": "77",
                "imageManifest": manifest, "imageManifestMediaType": media_type,
            },
            "responseElements": {"image": {
                "registryId": account, "repositoryName": "team/worker",
                "imageId": {"imageDigest": format!("sha256:{:064x}", 7), "imageTag": "77"},
                "imageManifest": manifest, "imageManifestMediaType": media_type,
            }},
            "requestID": "a657c81b-e729-495b-a4ba-b704c4131ace",
            "eventID": "c35d150d-a202-44c4-abb1-5b17dae0a317", "readOnly": false,
            "resources": [{"accountId": account, "ARN": format!("arn:aws:ecr:eu-central-1:{account}:repository/team/worker")}],
            "eventType": "AwsApiCall", "managementEvent": true,
            "recipientAccountId": account, "eventCategory": "Management",
        },
    })
    .to_string()
}

fn now() -> Timestamp {
    "2026-01-12T09:20:00Z".parse().unwrap()
}

fn read(json: &str) -> (Push, UserIdentity) {
    match event::read(json, now()) {
        Ok(Event::Push(push, identity)) => (*push, *identity),
        other => panic!("not a push: {other:?}"),
    }
}

fn finding(push: &Push, identity: &UserIdentity) -> Finding {
    let uploader = identify(identity, push.account.as_deref()).uploader;
    let decision = decide(None, push, &uploader, &Policy::default());
    decision.finding.unwrap()
}

fn stages(criterion: &mut Criterion) {
    let context = RenderContext {
        table: "uploaders".to_owned(),
        findings_table: Some("findings".to_owned()),
        region: "eu-central-1".to_owned(),
        absence_days: 90,
        stack: Some("pushwatch".to_owned()),
        account: Some("111122223333".to_owned()),
        runbook: None,
    };
    let policy = Policy::default();
    for (size, layers) in SIZES {
        let json = event(layers);
        let (push, identity) = read(&json);
        let uploader = identify(&identity, push.account.as_deref()).uploader;
        let reported = finding(&push, &identity);
        let mut bench = |stage: &str, run: &mut dyn FnMut()| {
            let mut group = criterion.benchmark_group(stage);
            group.throughput(Throughput::Bytes(json.len() as u64));
            group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
                bencher.iter(&mut *run);
            });
            group.finish();
        };
        bench("read", &mut || {
            black_box(read(black_box(&json)));
        });
        bench("identify", &mut || {
            black_box(identify(black_box(&identity), push.account.as_deref()));
        });
        // Of somebody new, so with the details that only a finding reads.
        bench("decide", &mut || {
            black_box(decide(None, black_box(&push), &uploader, &policy));
        });
        bench("render", &mut || {
            let message = Message::Finding(black_box(&reported));
            black_box(subject::of(message));
            black_box(bodies::of(message, &context, HttpsFormat::Ocsf));
        });
    }
}

criterion_group!(benches, stages);
criterion_main!(benches);
