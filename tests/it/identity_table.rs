//! Each row of the identity table: `userIdentity` in, uploader out.

use std::collections::BTreeSet;

use proptest::prelude::*;
use pushwatch::glob::Glob;
use pushwatch::identity::{Identification, IdentityRule, MAX_KEY};
use serde_json::{Value, json};

use crate::support::events::{ACCOUNT, TEST_USER, iam_user, read, record, role_session};

fn identified(identity: &Value) -> Identification {
    read(&record("e1", "2026-01-02T03:04:05Z", identity)).1
}

/// Asserts row, key, kind, name and unique id.
#[track_caller]
fn gives(identity: &Value, row: IdentityRule, key: &str, kind: &str, name: &str, id: Option<&str>) {
    let Identification { uploader, rule: by } = identified(identity);
    let got = (
        by,
        uploader.key.as_str(),
        uploader.kind.as_str(),
        uploader.name.as_str(),
        uploader.principal_id.as_deref(),
    );
    assert_eq!(got, (row, key, kind, name, id));
}

fn without(mut identity: Value, pointer: &str, field: &str) -> Value {
    identity
        .pointer_mut(pointer)
        .unwrap()
        .as_object_mut()
        .unwrap()
        .remove(field);
    identity
}

fn with(mut identity: Value, pointer: &str, value: Value) -> Value {
    *identity.pointer_mut(pointer).unwrap() = value;
    identity
}

#[test]
fn row_1_an_iam_user_is_known_by_its_arn() {
    let id = Some("AIDA0000000000000TEST");
    gives(
        &iam_user("test"),
        IdentityRule::IamUser,
        TEST_USER,
        "IAMUser",
        "test",
        id,
    );
    let path = with(
        iam_user("test"),
        "/arn",
        json!("arn:aws-us-gov:iam::111122223333:user/team/a/test"),
    );
    let key = "arn:aws-us-gov:iam::111122223333:user/team/a/test";
    gives(&path, IdentityRule::IamUser, key, "IAMUser", "test", id);
}

#[test]
fn row_2_an_sso_user_is_known_by_permission_set_and_session_name() {
    for (partition, hash) in [("aws", "0123456789abcdef"), ("aws-cn", "fedcba9876543210")] {
        let role = format!("AWSReservedSSO_Power_User_{hash}");
        let mut identity = role_session(
            &format!("aws-reserved/sso.amazonaws.com/eu-west-1/{role}"),
            "mary.major@example.com",
        );
        let issuer = identity
            .pointer_mut("/sessionContext/sessionIssuer/arn")
            .unwrap();
        *issuer = json!(
            issuer
                .as_str()
                .unwrap()
                .replace("arn:aws:", &format!("arn:{partition}:"))
        );
        gives(
            &identity,
            IdentityRule::SsoUser,
            &format!(
                "arn:{partition}:sts::{ACCOUNT}:assumed-role/AWSReservedSSO_Power_User/mary.major@example.com"
            ),
            "SsoUser",
            "mary.major@example.com",
            None,
        );
    }
}

#[test]
fn row_2_a_role_that_only_looks_like_sso_is_a_role() {
    for role in [
        // No one but AWS can make a role under that path, but anyone this name.
        "AWSReservedSSO_Admin_0123456789abcdef",
        "team/AWSReservedSSO_Admin_0123456789abcdef",
        "aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_0123456789abcde",
        "aws-reserved/sso.amazonaws.com/AWSReservedSSO_Admin_0123456789abcdeg",
        "aws-reserved/sso.amazonaws.com/AWSReservedSSO__0123456789abcdef",
        "aws-reserved/sso.amazonaws.com/Admin",
    ] {
        let identity = role_session(role, "mary");
        assert_eq!(
            identified(&identity).rule,
            IdentityRule::AssumedRole,
            "{role}"
        );
    }
}

#[test]
fn row_3_a_role_is_known_by_its_own_arn_whatever_the_session() {
    for session in ["GitHubActions", "i-0abc1234def567890", "run@42"] {
        let identity = role_session("ci/build", session);
        gives(
            &identity,
            IdentityRule::AssumedRole,
            "arn:aws:iam::111122223333:role/ci/build",
            "Role",
            "build",
            Some("AROAEXAMPLEROLE000001"),
        );
        let uploader = identified(&identity).uploader;
        assert_eq!(uploader.session.as_deref(), Some(session));
        // The session's name also stands in the principal id.
        let no_arn = without(identity, "", "arn");
        let uploader = identified(&no_arn).uploader;
        assert_eq!(uploader.session.as_deref(), Some(session));
    }
}

#[test]
fn row_4_a_role_without_a_usable_issuer_is_known_by_its_arn_without_the_session() {
    let identity = role_session("ci/build", "run-1");
    let key = "arn:aws:sts::111122223333:assumed-role/build";
    let id = Some("AROAEXAMPLEROLE000001");
    for issuer in [
        json!({}),
        Value::Null,
        json!({"arn": ""}),
        json!({"arn": "build"}),
    ] {
        let identity = with(identity.clone(), "/sessionContext/sessionIssuer", issuer);
        gives(
            &identity,
            IdentityRule::AssumedRoleWithoutIssuer,
            key,
            "Role",
            "build",
            id,
        );
    }
    let identity = without(identity, "", "sessionContext");
    gives(
        &identity,
        IdentityRule::AssumedRoleWithoutIssuer,
        key,
        "Role",
        "build",
        id,
    );
}

#[test]
fn row_5_the_root_user_is_known_by_its_arn() {
    let identity = json!({
        "type": "Root", "principalId": ACCOUNT, "accountId": ACCOUNT,
        "arn": "arn:aws:iam::111122223333:root", "userName": "an-account-alias"
    });
    let key = "arn:aws:iam::111122223333:root";
    gives(&identity, IdentityRule::Root, key, "Root", "root", None);
    assert!(identified(&identity).uploader.counts_as_root);
}

/// A session called `name`, as `GetFederationToken` gives it.
fn federated_user(name: &str, issuer: &Value) -> Value {
    json!({
        "type": "FederatedUser", "principalId": format!("{ACCOUNT}:{name}"),
        "arn": format!("arn:aws:sts::{ACCOUNT}:federated-user/{name}"),
        "accountId": ACCOUNT, "accessKeyId": "ASIAIOSFODNN7EXAMPLE",
        "sessionContext": {
            "sessionIssuer": issuer,
            "webIdFederationData": {},
            "attributes": {"creationDate": "2026-01-01T00:00:00Z", "mfaAuthenticated": "false"}
        },
        "invokedBy": "AWS Internal"
    })
}

/// The user under that path and name, as the issuer of a session.
fn minter(path_and_name: &str) -> Value {
    let name = path_and_name.rsplit('/').next().unwrap();
    json!({
        "type": "IAMUser", "principalId": format!("AIDA{:0>17}", name.to_uppercase()),
        "arn": format!("arn:aws:iam::{ACCOUNT}:user/{path_and_name}"),
        "accountId": ACCOUNT, "userName": name
    })
}

fn root_as_minter() -> Value {
    json!({
        "type": "Root", "principalId": ACCOUNT, "accountId": ACCOUNT,
        "arn": "arn:aws:iam::111122223333:root"
    })
}

#[test]
fn row_6_a_federated_user_is_known_by_whoever_minted_the_session_and_by_name() {
    gives(
        &federated_user("mary", &minter("team/broker")),
        IdentityRule::FederatedUser,
        "federated:arn:aws:iam::111122223333:user/team/broker/mary",
        "FederatedUser",
        "mary",
        Some("AIDA00000000000BROKER"),
    );
    let uploader = identified(&federated_user("mary", &minter("team/broker"))).uploader;
    assert!(!uploader.counts_as_root);
    assert_eq!(uploader.session, None);
    assert_eq!(
        uploader.former_key.as_deref(),
        Some("arn:aws:sts::111122223333:federated-user/mary")
    );
}

#[test]
fn row_6_two_minters_of_one_name_are_two_uploaders() {
    let key = |issuer| identified(&federated_user("mary", &issuer)).uploader.key;
    let keys: BTreeSet<_> = [minter("broker"), minter("mallory"), root_as_minter()]
        .map(key)
        .into();
    assert_eq!(keys.len(), 3, "{keys:?}");
}

#[test]
fn row_6_the_partition_is_the_minters_own() {
    let text = federated_user("mary", &minter("broker")).to_string();
    let china = serde_json::from_str(&text.replace("arn:aws:", "arn:aws-cn:")).unwrap();
    gives(
        &china,
        IdentityRule::FederatedUser,
        "federated:arn:aws-cn:iam::111122223333:user/broker/mary",
        "FederatedUser",
        "mary",
        Some("AIDA00000000000BROKER"),
    );
    assert_eq!(
        identified(&china).uploader.former_key.as_deref(),
        Some("arn:aws-cn:sts::111122223333:federated-user/mary")
    );
}

#[test]
fn row_6_a_session_that_root_minted_counts_as_root() {
    let key = "federated:arn:aws:iam::111122223333:root/mary";
    for issuer in [
        root_as_minter(),
        without(root_as_minter(), "", "type"),
        with(root_as_minter(), "/type", json!("")),
    ] {
        let identity = federated_user("mary", &issuer);
        let kind = "FederatedUser";
        gives(
            &identity,
            IdentityRule::FederatedUser,
            key,
            kind,
            "mary",
            Some(ACCOUNT),
        );
        let uploader = identified(&identity).uploader;
        assert!(uploader.counts_as_root && !uploader.is_root());
    }
    // A user may be called so.
    let user = identified(&federated_user("root", &minter("root"))).uploader;
    assert!(!user.counts_as_root);
}

#[test]
fn row_7_a_federated_user_without_an_issuer_is_known_by_its_arn() {
    let key = "arn:aws:sts::111122223333:federated-user/mary";
    for issuer in [
        json!({}),
        Value::Null,
        json!({"type": "IAMUser", "principalId": "AIDAEXAMPLE"}),
        json!({"type": "IAMUser", "principalId": "AIDAEXAMPLE", "arn": ""}),
        json!({"type": "IAMUser", "principalId": "AIDAEXAMPLE", "arn": "broker"}),
    ] {
        let identity = federated_user("mary", &issuer);
        let row = IdentityRule::FederatedUserWithoutIssuer;
        gives(&identity, row, key, "FederatedUser", "mary", None);
        let uploader = identified(&identity).uploader;
        assert_eq!(uploader.former_key, None);
        assert!(!uploader.counts_as_root);
    }
    let by_root = federated_user("mary", &without(root_as_minter(), "", "arn"));
    assert!(identified(&by_root).uploader.counts_as_root);
}

#[test]
fn row_7_a_name_with_a_slash_can_not_pass_for_part_of_the_minters_arn() {
    let mut identity = federated_user("x", &minter("broker"));
    identity["arn"] = json!("arn:aws:sts::111122223333:federated-user/evil/");
    assert_eq!(
        identified(&identity).rule,
        IdentityRule::FederatedUserWithoutIssuer
    );
}

/// A name as IAM and STS allow it.
const NAME: &str = "[A-Za-z0-9_+=,.@-]{2,32}";
/// A path as IAM allows it, with what could mislead a reader of keys.
const PATH: &str = "([!-~]{0,20}|broker|ci|x:user|root)/";

proptest! {
    #[test]
    fn row_6_no_path_and_no_name_pass_for_another_minter(
        path in prop::collection::vec(PATH, 0..3),
        name in prop_oneof![NAME, Just("broker".to_owned())],
        session in prop_oneof![NAME, Just("mary".to_owned())],
    ) {
        let key = |minter: &str, session: &str| {
            let arn = format!("arn:aws:iam::{ACCOUNT}:user/{minter}");
            let issuer = json!({"type": "IAMUser", "principalId": "AIDAEXAMPLE", "arn": arn});
            identified(&federated_user(session, &issuer)).uploader.key
        };
        let by = format!("{}{name}", path.concat());
        let uploader = key(&by, &session);
        for minter in ["broker", "ci/broker"] {
            let same = by == minter;
            prop_assert_eq!(uploader == key(minter, "mary"), same && session == "mary");
            for glob in [
                format!("federated:arn:aws:iam::{ACCOUNT}:user/{minter}/*"),
                format!("federated:arn:aws:iam::*:user/{minter}/*"),
            ] {
                let matches = Glob::parse(&glob).unwrap().matches(&uploader);
                prop_assert_eq!(matches, same, "{} {}", glob, uploader);
            }
        }
        // Nor for the user, or the root user, who minted it.
        for glob in ["arn:aws:iam::*:user/**", "arn:aws:iam::*:root", "arn:aws:sts::**:**"] {
            prop_assert!(!Glob::parse(glob).unwrap().matches(&uploader));
        }
    }
}

#[test]
fn row_8_an_identity_center_user_is_known_by_store_and_user_id() {
    let identity = json!({
        "type": "IdentityCenterUser", "accountId": ACCOUNT, "credentialId": "EXAMPLE",
        "onBehalfOf": {
            "userId": "544894e8-80c1-707f-60e3-3ba6510dfac1",
            "identityStoreArn": "arn:aws:identitystore::111122223333:identitystore/d-9067642ac7"
        }
    });
    let user = "544894e8-80c1-707f-60e3-3ba6510dfac1";
    let store = "arn:aws:identitystore::111122223333:identitystore/d-9067642ac7";
    let key = format!("identitycenter:{store}:{user}");
    gives(
        &identity,
        IdentityRule::IdentityCenterUser,
        &key,
        "IdentityCenterUser",
        user,
        None,
    );
    let half = without(identity, "/onBehalfOf", "identityStoreArn");
    assert_eq!(identified(&half).rule, IdentityRule::Unidentified);
}

#[test]
fn row_9_another_accounts_principal_is_known_by_account_and_unique_id() {
    let identity = json!({
        "type": "AWSAccount", "accountId": "444455556666", "principalId": "AROAEXAMPLE:session"
    });
    let key = "account:444455556666:AROAEXAMPLE";
    gives(
        &identity,
        IdentityRule::AwsAccount,
        key,
        "AWSAccount",
        "AROAEXAMPLE",
        None,
    );
}

#[test]
fn row_9_anonymous_is_nobody() {
    for identity in [
        json!({"type": "AWSAccount", "accountId": "anonymous", "principalId": ""}),
        json!({"type": "AWSAccount", "accountId": "anonymous", "principalId": "ANONYMOUS"}),
        json!({"type": "AWSAccount", "accountId": ACCOUNT, "principalId": "Anonymous"}),
    ] {
        assert_eq!(
            identified(&identity).rule,
            IdentityRule::Unidentified,
            "{identity}"
        );
    }
}

#[test]
fn row_10_an_aws_service_is_known_by_account_and_invoked_by() {
    for identity in [
        json!({"type": "AWSService", "invokedBy": "imagebuilder.amazonaws.com"}),
        json!({"accountId": "444455556666", "invokedBy": "imagebuilder.amazonaws.com"}),
    ] {
        let name = "imagebuilder.amazonaws.com";
        let key = "service:111122223333:imagebuilder.amazonaws.com";
        gives(
            &identity,
            IdentityRule::AwsService,
            key,
            "AWSService",
            name,
            None,
        );
    }
    let china = json!({"invokedBy": "ecs.amazonaws.com.cn"});
    assert_eq!(identified(&china).rule, IdentityRule::AwsService);
}

#[test]
fn row_10_the_account_may_be_the_envelopes() {
    let identity = json!({"type": "AWSService", "invokedBy": "imagebuilder.amazonaws.com"});
    let record = without(
        record("e1", "2026-01-02T03:04:05Z", &identity),
        "",
        "recipientAccountId",
    );
    let mut event = crate::support::events::envelope(&record);
    event["account"] = json!("777788889999");
    let key = read(&event).1.uploader.key;
    assert_eq!(key, "service:777788889999:imagebuilder.amazonaws.com");
}

#[test]
fn row_11_whatever_else_has_an_arn_is_known_by_it() {
    let role = json!({
        "type": "Role", "principalId": "AROAEXAMPLE", "accountId": ACCOUNT,
        "arn": "arn:aws:iam::111122223333:role/jobs/nightly"
    });
    let key = "arn:aws:iam::111122223333:role/jobs/nightly";
    gives(
        &role,
        IdentityRule::OtherWithArn,
        key,
        "Role",
        "nightly",
        Some("AROAEXAMPLE"),
    );

    let no_type = without(role_session("ci/build", "run-1"), "", "type");
    let key = "arn:aws:sts::111122223333:assumed-role/build";
    let id = Some("AROAEXAMPLEROLE000001");
    gives(
        &no_type,
        IdentityRule::OtherWithArn,
        key,
        "Unknown",
        "build",
        id,
    );

    let named =
        json!({"type": "Directory", "arn": "arn:aws:ds:eu-west-1:1:user/x", "userName": "mary"});
    gives(
        &named,
        IdentityRule::OtherWithArn,
        "arn:aws:ds:eu-west-1:1:user/x",
        "Directory",
        "mary",
        None,
    );
}

#[test]
fn row_12_principal_and_account_serve_without_an_arn() {
    let unknown = json!({
        "type": "Unknown", "principalId": "AIDAEXAMPLE:x", "accountId": ACCOUNT,
        "arn": "", "accessKeyId": ""
    });
    let key = "principal:111122223333:AIDAEXAMPLE";
    gives(
        &unknown,
        IdentityRule::OtherWithPrincipal,
        key,
        "Unknown",
        "AIDAEXAMPLE:x",
        None,
    );
    let no_arn = without(iam_user("test"), "", "arn");
    let key = "principal:111122223333:AIDA0000000000000TEST";
    gives(
        &no_arn,
        IdentityRule::OtherWithPrincipal,
        key,
        "IAMUser",
        "test",
        None,
    );
}

#[test]
fn row_13_nothing_usable_is_unidentified() {
    for identity in [
        json!({}),
        Value::Null,
        json!("mary"),
        json!({"invokedBy": "AWS Internal"}),
        json!({"accountId": ACCOUNT, "invokedBy": "AWS Internal"}),
        json!({"type": "AWSService", "invokedBy": "AWS Internal"}),
        json!({"type": "IAMUser", "userName": "test"}),
        json!({"type": "IAMUser", "arn": "test", "accountId": ACCOUNT}),
        json!({"invokedBy": "evil.example.com"}),
        json!({"type": 7, "arn": [], "principalId": {}}),
    ] {
        let Identification {
            uploader,
            rule: row,
        } = identified(&identity);
        assert_eq!(row, IdentityRule::Unidentified, "{identity}");
        assert_eq!(uploader.key, "unidentified:111122223333", "{identity}");
        assert_eq!(uploader.kind, "Unidentified");
        assert!(uploader.is_unidentified());
    }
}

#[test]
fn a_type_that_calls_itself_unidentified_is_not() {
    let identity = json!({"type": "Unidentified", "arn": TEST_USER});
    assert!(!identified(&identity).uploader.is_unidentified());
}

#[test]
fn a_key_that_is_too_long_is_cut_and_ends_in_the_hash_of_the_whole() {
    let long = |last: char| {
        let path = "é".repeat(800);
        json!({"type": "IAMUser", "arn": format!("arn:aws:iam::111122223333:user/{path}{last}")})
    };
    let (a, b) = (
        identified(&long('a')).uploader.key,
        identified(&long('b')).uploader.key,
    );
    assert!(a.len() <= MAX_KEY && a.len() > MAX_KEY - 4, "{}", a.len());
    assert!(a.is_char_boundary(a.len() - 64));
    assert!(a[a.len() - 64..].bytes().all(|b| b.is_ascii_hexdigit()));
    assert_ne!(a, b);
}

#[test]
fn a_federated_key_that_is_too_long_is_cut_as_any_other() {
    let key = |session: &str| {
        let uploader = identified(&federated_user(session, &minter(&"é".repeat(600)))).uploader;
        assert_eq!(uploader.name, session);
        uploader.key
    };
    let (a, b) = (key("ann"), key("bob"));
    assert!(a.len() <= MAX_KEY && a.len() > MAX_KEY - 4, "{}", a.len());
    assert!(a.starts_with("federated:arn:aws:iam::111122223333:user/é"));
    assert_ne!(a, b);

    let long = "x".repeat(1100);
    let uploader = identified(&federated_user(&long, &minter("broker"))).uploader;
    let former = uploader.former_key.unwrap();
    // As the key of a session without an issuer.
    let without_issuer = identified(&federated_user(&long, &json!({}))).uploader;
    assert_eq!(former, without_issuer.key);
    assert_eq!(former.len(), MAX_KEY);
}
