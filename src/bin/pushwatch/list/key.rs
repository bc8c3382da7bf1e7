//! Uploader keys as people type and list them.

use compact_str::CompactString;
use pushwatch::arn::Arn;
use pushwatch::glob;
use pushwatch::identity::{FEDERATED_PREFIX, MAX_KEY};
use pushwatch::record::{Record, Standing};
use pushwatch::render::{safe, shell_word};

/// A key that a push can have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    pub text: CompactString,
    kind: CompactString,
    name: CompactString,
    account_id: CompactString,
    /// How the text was read, if it was not the key itself, or what there is to
    /// know of such a key. It goes on behind "KEY is".
    pub note: Option<String>,
}

impl Key {
    /// The key of somebody who is known.
    pub fn of(record: &Record) -> Self {
        Self {
            text: record.uploader.clone(),
            kind: record.kind.clone().unwrap_or_default(),
            name: record.name.clone().unwrap_or_default(),
            account_id: record.account_id.clone().unwrap_or_default(),
            note: former_key_note(&record.uploader),
        }
    }

    /// A record of somebody whom nobody saw yet.
    pub fn unseen(&self, standing: Standing) -> Record {
        let mut record = Record::unseen(self.text.clone(), standing);
        record.kind = Some(self.kind.clone());
        record.name = Some(self.name.clone());
        record.account_id = Some(self.account_id.clone()).filter(|account| !account.is_empty());
        record
    }
}

/// What there is to know of a key under which earlier versions knew every
/// federated user by that name; none of other keys. It goes on behind "KEY is".
pub fn former_key_note(key: &str) -> Option<String> {
    let arn = Arn::parse(key)?;
    let name = arn.resource.strip_prefix("federated-user/")?;
    let issuer = format!("arn:{}:iam::{}:user/ISSUER", arn.partition, arn.account);
    let other = format!("{FEDERATED_PREFIX}{issuer}/{name}");
    // It will be typed.
    let shown = shell_word(&other).unwrap_or_else(|| safe(&other, 200));
    (arn.service == "sts").then(|| {
        format!(
            "the key of federated sessions whose events name no issuer. Any other session by \
             that name is known as {shown}: trust that key, for trust in this one does not \
             cover it. A revocation of this one does, as long as that key has no record"
        )
    })
}

/// The key under which earlier versions knew a federated user; none of others.
pub fn former_key(key: &str) -> Option<String> {
    let (issuer, name) = key.strip_prefix(FEDERATED_PREFIX)?.rsplit_once('/')?;
    let Arn {
        partition, account, ..
    } = Arn::parse(issuer)?;
    Some(format!(
        "arn:{partition}:sts::{account}:federated-user/{name}"
    ))
}

/// Whether a key is the root user's, or that of a session that it minted.
pub fn has_root_power(key: &str) -> bool {
    let minted = key.strip_prefix(FEDERATED_PREFIX);
    let issuer = minted.and_then(|rest| Some(rest.rsplit_once('/')?.0));
    Arn::parse(issuer.unwrap_or(key))
        .is_some_and(|arn| arn.service == "iam" && arn.resource == "root")
}

/// Reads a key. A role session's ARN becomes its role's key.
///
/// # Errors
/// When no push can ever have it as its key, with why.
pub fn parse(text: &str) -> Result<Key, String> {
    let text = text.trim();
    let shown = safe(text, 80);
    if text.is_empty() {
        return Err("there is no key".to_owned());
    }
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(format!("`{shown}` has white space in it, as no key has"));
    }
    if !glob::is_plain(text) {
        return Err(format!(
            "`{shown}` is a glob, not a key: list the uploaders themselves, or put it into \
             TRUSTED_UPLOADERS"
        ));
    }
    check_length(text)?;
    if text.starts_with("unidentified:") {
        return Err(format!(
            "`{shown}` is nobody: it stands for all whom nothing identifies"
        ));
    }
    let parts: Vec<_> = text.splitn(3, ':').collect();
    let key = |kind: &str, name: &str, account: &str| Key {
        text: text.into(),
        kind: kind.into(),
        name: name.into(),
        account_id: account.into(),
        note: None,
    };
    match parts.as_slice() {
        ["arn", ..] => match Arn::parse(text) {
            Some(arn) => parse_arn(text, &arn, &shown),
            None => Err(format!("`{shown}` lacks a part of an ARN")),
        },
        ["federated", ..] => parse_federated(text, &shown),
        ["identitycenter", _, _] => {
            let (_, user) = text.rsplit_once(':').unwrap_or_default();
            Ok(key("IdentityCenterUser", user, ""))
        }
        ["account", account, id] if !id.is_empty() => {
            account_of(account, &shown).map(|account| key("AWSAccount", id, account))
        }
        ["principal", account, id] if !id.is_empty() => {
            account_of(account, &shown).map(|account| key("Unknown", id, account))
        }
        ["service", account, service] if service.contains(".amazonaws.com") => {
            account_of(account, &shown).map(|account| key("AWSService", service, account))
        }
        _ => Err(format!(
            "`{shown}` is no uploader key, such as arn:aws:iam::111122223333:user/test"
        )),
    }
}

fn account_of<'a>(account: &'a str, shown: &str) -> Result<&'a str, String> {
    if account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit()) {
        Ok(account)
    } else {
        Err(format!(
            "`{shown}` has no account of 12 digits where it belongs"
        ))
    }
}

/// `federated:ISSUER_ARN/NAME`, where the issuer is an IAM user or the root user:
/// nobody else may call `GetFederationToken`.
fn parse_federated(text: &str, shown: &str) -> Result<Key, String> {
    let parts = text.strip_prefix(FEDERATED_PREFIX);
    let (issuer, name) = parts
        .and_then(|text| text.rsplit_once('/'))
        .unwrap_or_default();
    let in_words = || {
        format!(
            "`{shown}` is no federated user's key, such as \
             federated:arn:aws:iam::111122223333:user/ISSUER/NAME"
        )
    };
    let arn = Arn::parse(issuer).ok_or_else(in_words)?;
    let issuer = parse_arn(issuer, &arn, shown).map_err(|_| in_words())?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_+=,.@-".contains(c);
    if !matches!(issuer.kind.as_str(), "IAMUser" | "Root")
        || name.is_empty()
        || !name.chars().all(is_name)
    {
        return Err(in_words());
    }
    Ok(Key {
        text: text.into(),
        kind: "FederatedUser".into(),
        name: name.into(),
        ..issuer
    })
}

/// Holds a key to the length that a push's key has at most.
///
/// # Errors
/// When it is longer.
pub fn check_length(key: &str) -> Result<(), String> {
    if key.len() <= MAX_KEY {
        return Ok(());
    }
    Err(format!(
        "`{}` is longer than any key ({MAX_KEY} bytes)",
        safe(key, 80)
    ))
}

fn parse_arn(text: &str, arn: &Arn<'_>, shown: &str) -> Result<Key, String> {
    let key = |kind: &str, name: &str| Key {
        text: text.into(),
        kind: kind.into(),
        name: name.into(),
        account_id: arn.account.into(),
        note: None,
    };
    let is_of_partition = |byte: u8| byte.is_ascii_lowercase() || byte == b'-';
    if !(arn.partition.starts_with("aws") && arn.partition.bytes().all(is_of_partition)) {
        return Err(format!("`{shown}` has no partition such as aws"));
    }
    if !matches!(arn.service, "iam" | "sts") {
        return Err(format!(
            "`{shown}` names a resource of {}; uploaders are users, roles and their like",
            safe(arn.service, 30)
        ));
    }
    account_of(arn.account, shown)?;
    if !arn.region.is_empty() {
        return Err(format!(
            "`{shown}` has a region, as no ARN of {} has",
            arn.service
        ));
    }
    let (kind, rest) = arn.resource.split_once('/').unwrap_or((arn.resource, ""));
    match (arn.service, kind) {
        ("iam", "root") if rest.is_empty() => Ok(key("Root", "root")),
        ("iam", "user") if has_name(rest) => Ok(key("IAMUser", arn.name())),
        ("iam", "role") if rest.starts_with("aws-reserved/sso.amazonaws.com/") => {
            let set = arn.name();
            let set = permission_set(set).unwrap_or(set);
            Err(format!(
                "`{shown}` is the role of an IAM Identity Center permission set; its users are \
                 known one by one, as arn:{}:sts::{}:assumed-role/{}/USER",
                arn.partition,
                arn.account,
                safe(set, 80)
            ))
        }
        ("iam", "role") if has_name(rest) => Ok(key("Role", arn.name())),
        ("sts", "federated-user") if has_name(rest) => Ok(Key {
            note: former_key_note(text),
            ..key("FederatedUser", arn.name())
        }),
        ("sts", "assumed-role") => match arn.assumed_role() {
            Some((role, session)) if !role.is_empty() => {
                Ok(assumed_role(arn, role, session, key("Role", role)))
            }
            _ => Err(format!("`{shown}` names no role")),
        },
        _ => Err(format!(
            "`{shown}` is no user, role, federated user or root user, so it never pushes"
        )),
    }
}

fn has_name(path_and_name: &str) -> bool {
    !path_and_name.is_empty() && !path_and_name.ends_with('/')
}

/// `AWSReservedSSO_<set>` of `AWSReservedSSO_<set>_<16 hex>`.
fn permission_set(role: &str) -> Option<&str> {
    let (set, hash) = role.rsplit_once('_')?;
    let is_hash = hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_hash && set.len() > "AWSReservedSSO_".len() && set.starts_with("AWSReservedSSO_"))
        .then_some(set)
}

fn assumed_role(arn: &Arn<'_>, role: &str, session: Option<&str>, as_typed: Key) -> Key {
    let Some(session) = session else {
        return as_typed;
    };
    let account_id = CompactString::from(arn.account);
    if role.starts_with("AWSReservedSSO_") {
        let set = permission_set(role);
        let key = format!(
            "arn:{}:sts::{}:assumed-role/{}/{session}",
            arn.partition,
            arn.account,
            set.unwrap_or(role)
        );
        return Key {
            note: set.map(|_| {
                format!(
                    "read as {}: a permission set's hash is no part of the key",
                    safe(&key, 200)
                )
            }),
            text: key.into(),
            kind: "SsoUser".into(),
            name: session.into(),
            account_id,
        };
    }
    let key = format!("arn:{}:iam::{}:role/{role}", arn.partition, arn.account);
    Key {
        note: Some(format!(
            "read as {}, the role of that session; if the role has a path, give the role's own ARN",
            safe(&key, 200)
        )),
        text: key.into(),
        kind: "Role".into(),
        name: role.into(),
        account_id,
    }
}

#[cfg(test)]
mod tests {
    use super::{former_key, has_root_power, parse};

    #[test]
    fn a_fault_makes_no_link_of_a_key() {
        for key in [
            "evil.com/login",
            "arn:aws:evil.com::111122223333:x",
            "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/x",
            "arn:aws:iam::evil.com:role/x",
            "arn:aws.evil.com:iam::111122223333:role/aws-reserved/sso.amazonaws.com/x",
            "arn:aws\u{202e}:iam::111122223333:role/aws-reserved/sso.amazonaws.com/x",
        ] {
            let fault = parse(key).unwrap_err();
            assert!(!fault.contains(".com"), "{fault}");
        }
    }

    #[test]
    fn every_kind_of_key_is_read() {
        for (key, kind, name) in [
            (
                "arn:aws:iam::111122223333:user/team/test",
                "IAMUser",
                "test",
            ),
            (
                "arn:aws-cn:iam::111122223333:role/ci/build",
                "Role",
                "build",
            ),
            ("arn:aws:iam::111122223333:root", "Root", "root"),
            (
                "arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_Dev/mary@example.com",
                "SsoUser",
                "mary@example.com",
            ),
            (
                "arn:aws:sts::111122223333:assumed-role/gone",
                "Role",
                "gone",
            ),
            (
                "federated:arn:aws-cn:iam::111122223333:user/team/broker/bob",
                "FederatedUser",
                "bob",
            ),
            (
                "federated:arn:aws:iam::111122223333:root/bob@example.com",
                "FederatedUser",
                "bob@example.com",
            ),
            (
                "account:111122223333:AIDAEXAMPLE",
                "AWSAccount",
                "AIDAEXAMPLE",
            ),
            (
                "principal:111122223333:AIDAEXAMPLE",
                "Unknown",
                "AIDAEXAMPLE",
            ),
            (
                "service:111122223333:codebuild.amazonaws.com",
                "AWSService",
                "codebuild.amazonaws.com",
            ),
            (
                "identitycenter:arn:aws:identitystore::111122223333:identitystore/d-1:u-2",
                "IdentityCenterUser",
                "u-2",
            ),
        ] {
            let parsed = parse(key).unwrap();
            assert_eq!(parsed.text, key);
            assert_eq!(
                (parsed.kind.as_str(), parsed.name.as_str()),
                (kind, name),
                "{key}"
            );
            assert_eq!(parsed.note, None, "{key}");
        }
    }

    #[test]
    fn a_session_becomes_the_key_that_its_pushes_have() {
        for (text, key) in [
            (
                "arn:aws:sts::111122223333:assumed-role/build/i-0abc",
                "arn:aws:iam::111122223333:role/build",
            ),
            (
                "arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_Dev_0123456789abcdef/mary",
                "arn:aws:sts::111122223333:assumed-role/AWSReservedSSO_Dev/mary",
            ),
        ] {
            let parsed = parse(text).unwrap();
            assert_eq!(parsed.text, key);
            assert!(parsed.note.unwrap().contains(key), "{text}");
        }
    }

    #[test]
    fn of_a_federated_user_without_an_issuer_it_is_said_how_the_others_are_known() {
        let key = "arn:aws-cn:sts::111122223333:federated-user/bob";
        let parsed = parse(key).unwrap();
        assert_eq!(
            (parsed.text.as_str(), parsed.kind.as_str()),
            (key, "FederatedUser")
        );
        assert_eq!(
            (parsed.name.as_str(), parsed.account_id.as_str()),
            ("bob", "111122223333")
        );
        let now = "federated:arn:aws-cn:iam::111122223333:user/team/broker/bob";
        assert_eq!(former_key(now).as_deref(), Some(key));
        assert_eq!(former_key(key), None);
        let note = parsed.note.unwrap();
        for said in [
            "federated:arn:aws-cn:iam::111122223333:user/ISSUER/bob",
            "trust in this one does not",
            "A revocation of this one does",
        ] {
            assert!(note.contains(said), "{note}");
        }
        // To be typed, and no link.
        let dotted = parse("arn:aws:sts::111122223333:federated-user/john.do").unwrap();
        let note = dotted.note.unwrap();
        assert!(note.contains("/ISSUER/john'.'do: trust"), "{note}");
    }

    #[test]
    fn the_root_user_and_whom_it_minted_are_known_by_their_keys() {
        for (key, is_root) in [
            ("arn:aws:iam::111122223333:root", true),
            ("arn:aws-cn:iam::111122223333:root", true),
            ("federated:arn:aws:iam::111122223333:root/bob", true),
            ("federated:arn:aws:iam::111122223333:user/root/bob", false),
            ("arn:aws:iam::111122223333:user/root", false),
            ("arn:aws:sts::111122223333:federated-user/root", false),
        ] {
            assert_eq!(has_root_power(key), is_root, "{key}");
        }
    }

    #[test]
    fn a_key_that_no_push_can_have_is_refused_with_the_reason() {
        for (text, reason) in [
            ("test", "is no uploader key"),
            ("", "there is no key"),
            ("AIDAEXAMPLE", "is no uploader key"),
            ("111122223333", "is no uploader key"),
            ("arn:aws:iam::111122223333", "lacks a part"),
            ("arn:aws:iam::1111:user/test", "no account of 12 digits"),
            (
                "arn:aws:iam::aws:policy/AdministratorAccess",
                "no account of 12 digits",
            ),
            (
                "arn:aws:iam:eu-central-1:111122223333:user/test",
                "has a region",
            ),
            ("arn:aws:iam::111122223333:group/devs", "never pushes"),
            (
                "arn:aws:iam::111122223333:instance-profile/web",
                "never pushes",
            ),
            ("arn:aws:iam::111122223333:user/", "never pushes"),
            (
                "arn:aws:ecr:eu-central-1:111122223333:repository/app",
                "resource of ecr",
            ),
            ("arn:aws:iam::111122223333:role/ci-*", "is a glob"),
            ("arn:aws:iam::111122223333:user/a b", "white space"),
            ("unidentified:111122223333", "is nobody"),
            ("federated:bob", "no federated user's key"),
            (
                "federated:arn:aws:iam::111122223333:user/broker",
                "no federated user's key",
            ),
            (
                "federated:arn:aws:iam::111122223333:root",
                "no federated user's key",
            ),
            (
                "federated:arn:aws:iam::111122223333:user/a/",
                "no federated user's key",
            ),
            (
                "federated:arn:aws:iam::111122223333:user/a/b:c",
                "no federated user's key",
            ),
            (
                "federated:arn:aws:iam::111122223333:role/ci/bob",
                "no federated user's key",
            ),
            (
                "federated:arn:aws:sts::111122223333:federated-user/bob",
                "no federated user's key",
            ),
            (
                "federated:arn:aws:iam::1111:user/a/bob",
                "no federated user's key",
            ),
            (
                "federated:federated:arn:aws:iam::111122223333:user/a/bob",
                "no federated user's key",
            ),
            ("service:111122223333:codebuild", "is no uploader key"),
            (
                "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Dev_0123456789abcdef",
                "assumed-role/AWSReservedSSO_Dev/USER",
            ),
        ] {
            let refused = parse(text).unwrap_err();
            assert!(refused.contains(reason), "{text}: {refused}");
        }
    }
}
