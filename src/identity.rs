//! Who the uploader is: CloudTrail's `userIdentity` becomes one stable key.
//!
//! The first row of docs/decision-tables.md whose fields are all there applies. A
//! role's session name is cut off here. It is evidence and never part of the key:
//! otherwise every CI run would be somebody new.

use compact_str::{CompactString, format_compact};
use serde::{Deserialize, Serialize};

use crate::arn::Arn;
use crate::event::{MAX_TEXT, UserIdentity};
use crate::hash::sha256_hex;
use crate::text::cut_json;

/// Longest key in bytes of JSON; DynamoDB takes 2,048 in a partition key.
pub const MAX_KEY: usize = 1024;

const UNIDENTIFIED: &str = "Unidentified";
const UNIDENTIFIED_PREFIX: &str = "unidentified:";
/// What a federated user's key begins with. The ARN of the user who minted the
/// session, a slash and the session's name follow.
pub const FEDERATED_PREFIX: &str = "federated:";
/// Path of the roles that IAM Identity Center provisions. AWS reserves it, so
/// no one can make a role there to pass for a person.
const SSO_PATH: &str = "role/aws-reserved/sso.amazonaws.com/";
/// Path of the roles that are linked to an AWS service. AWS reserves it, and only the
/// service can assume such a role.
const SERVICE_PATH: &str = "role/aws-service-role/";

/// The stable identity behind a push.
///
/// Serialised, it is the `uploader` of a finding's JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Uploader {
    /// What the uploaders table knows the uploader by, at most [`MAX_KEY`] bytes.
    pub key: CompactString,
    /// CloudTrail's type, or `SsoUser`, `Role`, `Unidentified`, `Unknown`.
    pub kind: CompactString,
    /// What people call the uploader.
    pub name: CompactString,
    /// The account that the uploader belongs to.
    pub account_id: Option<CompactString>,
    /// The unique id: another one under the same key is somebody else who got
    /// the same name.
    pub principal_id: Option<CompactString>,
    /// The role session's name, which anybody who assumes the role chooses.
    pub session: Option<CompactString>,
    /// Whether the push has the root user's power: the root user, or a
    /// federated session that it minted.
    #[serde(skip)]
    pub counts_as_root: bool,
    /// The key under which earlier versions knew the uploader; a revocation
    /// under it counts.
    #[serde(skip)]
    pub former_key: Option<CompactString>,
}

impl Uploader {
    /// Whether nothing in the event says who it was.
    #[must_use]
    pub fn is_unidentified(&self) -> bool {
        self.key.starts_with(UNIDENTIFIED_PREFIX)
    }

    /// The user who minted a federated session, by the ARN in its key.
    #[must_use]
    pub fn minter(&self) -> Option<&str> {
        let rest = self.key.strip_prefix(FEDERATED_PREFIX)?;
        rest.rsplit_once('/').map(|(minter, _)| minter)
    }

    /// Whether it is an AWS service, or a role that is linked to one.
    #[must_use]
    pub fn is_of_aws(&self) -> bool {
        self.kind == "AWSService" || self.linked_service().is_some()
    }

    /// The service that the role is linked to: `pullthroughcache.ecr.amazonaws.com`.
    #[must_use]
    pub fn linked_service(&self) -> Option<&str> {
        let arn = Arn::parse(&self.key).filter(|arn| arn.service == "iam")?;
        let path = arn.resource.strip_prefix(SERVICE_PATH)?;
        path.split_once('/').map(|(service, _)| service)
    }

    /// Whether it is an account's root user.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.kind == "Root"
    }
}

/// The rules of the identity table, in the order in which they are tried, with their
/// numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // each is said by `why`
pub enum IdentityRule {
    IamUser = 1,
    SsoUser = 2,
    AssumedRole = 3,
    AssumedRoleWithoutIssuer = 4,
    Root = 5,
    FederatedUser = 6,
    FederatedUserWithoutIssuer = 7,
    IdentityCenterUser = 8,
    AwsAccount = 9,
    AwsService = 10,
    OtherWithArn = 11,
    OtherWithPrincipal = 12,
    Unidentified = 13,
}

impl IdentityRule {
    /// Its number in docs/decision-tables.md, which reordering does not change.
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }

    /// Why the key is what it is, in words for people.
    #[must_use]
    pub fn why(self) -> &'static str {
        match self {
            Self::IamUser => "an IAM user is known by its ARN",
            Self::SsoUser => {
                "an IAM Identity Center user is known by permission set and session name; \
                 the role's hash changes"
            }
            Self::AssumedRole => {
                "a role is known by sessionIssuer.arn; the session name is no part of the key"
            }
            Self::AssumedRoleWithoutIssuer => {
                "a role without a usable sessionIssuer is known by its arn without the session"
            }
            Self::Root => "the root user is known by its ARN",
            Self::FederatedUser => {
                "a federated user is known by sessionIssuer.arn and name; whoever minted the \
                 session chose the name"
            }
            Self::FederatedUserWithoutIssuer => {
                "a federated user without a usable sessionIssuer is known by its arn"
            }
            Self::IdentityCenterUser => {
                "an Identity Center user is known by identity store and user id"
            }
            Self::AwsAccount => "another account's principal is known by account and unique id",
            Self::AwsService => "an AWS service is known by account and invokedBy",
            Self::OtherWithArn => "the type has no row of its own, so the arn serves",
            Self::OtherWithPrincipal => {
                "there is no arn, so account and principalId serve together"
            }
            Self::Unidentified => "nothing in userIdentity says who it was",
        }
    }
}

/// An uploader, and the rule that identified it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identification {
    /// The stable identity behind the push.
    pub uploader: Uploader,
    /// The row of the identity table that applied.
    pub rule: IdentityRule,
}

/// Says who is behind a push. `account` is the account that got the event.
#[must_use]
pub fn identify(identity: &UserIdentity, account: Option<&str>) -> Identification {
    let (rule, mut uploader) = iam_user(identity)
        .or_else(|| sso_user(identity))
        .or_else(|| assumed_role(identity))
        .or_else(|| assumed_role_without_issuer(identity))
        .or_else(|| root(identity))
        .or_else(|| federated_user(identity))
        .or_else(|| identity_center_user(identity))
        .or_else(|| aws_account(identity))
        .or_else(|| aws_service(identity, account))
        .or_else(|| other_with_arn(identity))
        .or_else(|| other_with_principal(identity))
        .unwrap_or_else(|| unidentified(account));
    cut_texts(&mut uploader);
    Identification { uploader, rule }
}

/// What a row of the table gives; none if it does not apply.
type RowResult = Option<(IdentityRule, Uploader)>;

fn iam_user(identity: &UserIdentity) -> RowResult {
    let arn = of_kind(identity, "IAMUser")?.arn.as_deref()?;
    let uploader = Uploader {
        name: user_name_or_last_part(identity, arn),
        principal_id: identity.principal_id.clone(),
        ..named(identity, arn, "IAMUser")
    };
    Some((IdentityRule::IamUser, uploader))
}

fn sso_user(identity: &UserIdentity) -> RowResult {
    let issuer = Arn::parse(of_kind(identity, "AssumedRole")?.issuer_arn.as_deref()?)?;
    let role = issuer
        .resource
        .strip_prefix(SSO_PATH)
        .map(|_| issuer.name())?;
    let (set, hash) = role.strip_prefix("AWSReservedSSO_")?.rsplit_once('_')?;
    let is_hash = hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit());
    if set.is_empty() || !is_hash {
        return None;
    }
    let session = session(identity)?;
    let key = format_compact!(
        "arn:{}:sts::{}:assumed-role/AWSReservedSSO_{set}/{session}",
        issuer.partition,
        issuer.account
    );
    let uploader = Uploader {
        name: session,
        principal_id: None,
        ..named(identity, &key, "SsoUser")
    };
    Some((IdentityRule::SsoUser, uploader))
}

fn assumed_role(identity: &UserIdentity) -> RowResult {
    let issuer = of_kind(identity, "AssumedRole")?.issuer_arn.as_deref()?;
    Some((IdentityRule::AssumedRole, named(identity, issuer, "Role")))
}

fn assumed_role_without_issuer(identity: &UserIdentity) -> RowResult {
    let arn = of_kind(identity, "AssumedRole")?.arn.as_deref()?;
    let role = named(identity, &without_session(arn), "Role");
    Some((IdentityRule::AssumedRoleWithoutIssuer, role))
}

fn root(identity: &UserIdentity) -> RowResult {
    let arn = of_kind(identity, "Root")?.arn.as_deref()?;
    let uploader = Uploader {
        name: "root".into(),
        principal_id: None,
        ..named(identity, arn, "Root")
    };
    Some((IdentityRule::Root, uploader))
}

fn federated_user(identity: &UserIdentity) -> RowResult {
    let arn = of_kind(identity, "FederatedUser")?.arn.as_deref()?;
    let by_arn = Uploader {
        principal_id: None,
        counts_as_root: is_issued_by_root(identity),
        ..named(identity, arn, "FederatedUser")
    };
    let issuer = identity.issuer_arn.as_deref();
    // A name without slashes, so that it is what follows the key's last slash.
    let Some(issuer) = issuer.filter(|_| !by_arn.name.contains('/')) else {
        return Some((IdentityRule::FederatedUserWithoutIssuer, by_arn));
    };
    let uploader = Uploader {
        // The user who minted the session chose its name: two minters are two uploaders.
        key: format_compact!("{FEDERATED_PREFIX}{issuer}/{}", by_arn.name),
        principal_id: identity.issuer_principal_id.clone(),
        former_key: Some(by_arn.key.clone()),
        ..by_arn
    };
    Some((IdentityRule::FederatedUser, uploader))
}

/// Whether the root user minted the session.
fn is_issued_by_root(identity: &UserIdentity) -> bool {
    let issuer = identity.issuer_arn.as_deref().and_then(Arn::parse);
    identity.issuer_kind.as_deref() == Some("Root")
        || issuer.is_some_and(|arn| arn.service == "iam" && arn.resource == "root")
}

fn identity_center_user(identity: &UserIdentity) -> RowResult {
    let identity = of_kind(identity, "IdentityCenterUser")?;
    let user_id = identity.user_id.as_deref()?;
    let store = identity.identity_store_arn.as_deref()?;
    let uploader = Uploader {
        name: user_id.into(),
        principal_id: None,
        ..keyed(
            identity,
            format_compact!("identitycenter:{store}:{user_id}"),
            "IdentityCenterUser",
        )
    };
    Some((IdentityRule::IdentityCenterUser, uploader))
}

fn aws_account(identity: &UserIdentity) -> RowResult {
    let identity = of_kind(identity, "AWSAccount").filter(|identity| !anonymous(identity))?;
    let account = identity.account_id.as_deref()?;
    let principal = unique_id(identity.principal_id.as_deref()?)?;
    let uploader = Uploader {
        name: principal.into(),
        principal_id: None,
        ..keyed(
            identity,
            format_compact!("account:{account}:{principal}"),
            "AWSAccount",
        )
    };
    Some((IdentityRule::AwsAccount, uploader))
}

fn aws_service(identity: &UserIdentity, account: Option<&str>) -> RowResult {
    // `AWS Internal` is on every docker push and says nothing.
    let service = identity
        .invoked_by
        .as_deref()
        .filter(|by| *by != "AWS Internal")?;
    let bare = identity.kind.is_none() && identity.arn.is_none() && identity.principal_id.is_none();
    let principal = service.ends_with(".amazonaws.com") || service.ends_with(".amazonaws.com.cn");
    if identity.kind.as_deref() != Some("AWSService") && !(bare && principal) {
        return None;
    }
    let account = account?;
    let uploader = Uploader {
        name: service.into(),
        principal_id: None,
        ..keyed(
            identity,
            format_compact!("service:{account}:{service}"),
            "AWSService",
        )
    };
    Some((IdentityRule::AwsService, uploader))
}

fn other_with_arn(identity: &UserIdentity) -> RowResult {
    let arn = without_session(identity.arn.as_deref()?);
    let uploader = Uploader {
        name: user_name_or_last_part(identity, &arn),
        ..named(identity, &arn, kind_or_unknown(identity))
    };
    Some((IdentityRule::OtherWithArn, uploader))
}

fn other_with_principal(identity: &UserIdentity) -> RowResult {
    if anonymous(identity) {
        return None;
    }
    let principal = identity.principal_id.as_deref()?;
    let unique_id = unique_id(principal)?;
    let account = identity.account_id.as_deref()?;
    let uploader = Uploader {
        name: identity
            .user_name
            .clone()
            .unwrap_or_else(|| principal.into()),
        principal_id: None,
        ..keyed(
            identity,
            format_compact!("principal:{account}:{unique_id}"),
            kind_or_unknown(identity),
        )
    };
    Some((IdentityRule::OtherWithPrincipal, uploader))
}

fn unidentified(account: Option<&str>) -> (IdentityRule, Uploader) {
    let uploader = Uploader {
        key: format_compact!("{UNIDENTIFIED_PREFIX}{}", account.unwrap_or("unknown")),
        kind: UNIDENTIFIED.into(),
        name: "unidentified".into(),
        account_id: None,
        principal_id: None,
        session: None,
        counts_as_root: false,
        former_key: None,
    };
    (IdentityRule::Unidentified, uploader)
}

/// An uploader known by an ARN, and called by the ARN's last part.
fn named(identity: &UserIdentity, arn: &str, kind: &str) -> Uploader {
    let parsed = Arn::parse(arn);
    let name = parsed.map_or(arn, |parsed| parsed.name()).into();
    let account = parsed
        .map(|parsed| parsed.account)
        .filter(|account| !account.is_empty());
    let mut uploader = keyed(identity, arn.into(), kind);
    uploader.name = name;
    uploader.account_id = uploader.account_id.or(account.map(Into::into));
    uploader
}

/// What the rows have in common; each sets what is its own.
fn keyed(identity: &UserIdentity, key: CompactString, kind: &str) -> Uploader {
    Uploader {
        name: key.clone(),
        key,
        kind: kind.into(),
        account_id: identity.account_id.clone(),
        principal_id: identity
            .principal_id
            .as_deref()
            .and_then(unique_id)
            .map(Into::into),
        session: session(identity),
        counts_as_root: kind == "Root",
        former_key: None,
    }
}

fn of_kind<'a>(identity: &'a UserIdentity, kind: &str) -> Option<&'a UserIdentity> {
    (identity.kind.as_deref() == Some(kind)).then_some(identity)
}

fn kind_or_unknown(identity: &UserIdentity) -> &str {
    identity.kind.as_deref().unwrap_or("Unknown")
}

/// Somebody whom no credentials name.
fn anonymous(identity: &UserIdentity) -> bool {
    let is = |field: &Option<CompactString>| {
        field
            .as_deref()
            .is_some_and(|text| text.eq_ignore_ascii_case("anonymous"))
    };
    is(&identity.account_id) || is(&identity.principal_id)
}

/// A role's `AROA…:session` without the session; none if nothing is left.
fn unique_id(principal_id: &str) -> Option<&str> {
    principal_id.split(':').next().filter(|id| !id.is_empty())
}

/// The session name, from the ARN of an assumed role or the principal id.
fn session(identity: &UserIdentity) -> Option<CompactString> {
    if let Some((_, session)) = identity
        .arn
        .as_deref()
        .and_then(Arn::parse)
        .and_then(|arn| arn.assumed_role())
        && let Some(session) = session
    {
        return Some(session.into());
    }
    of_kind(identity, "AssumedRole")?
        .principal_id
        .as_deref()?
        .split_once(':')
        .map(|(_, session)| session)
        .filter(|session| !session.is_empty())
        .map(Into::into)
}

/// An assumed role's ARN loses its session; every other ARN stays.
fn without_session(arn: &str) -> CompactString {
    let role = Arn::parse(arn).and_then(|parsed| Some((parsed.assumed_role()?.0, parsed.resource)));
    match role {
        Some((role, resource)) => {
            let before = &arn[..arn.len() - resource.len()];
            format_compact!("{before}assumed-role/{role}")
        }
        None => arn.into(),
    }
}

fn user_name_or_last_part(identity: &UserIdentity, arn: &str) -> CompactString {
    match &identity.user_name {
        Some(name) => name.clone(),
        None => Arn::parse(arn).map_or(arn, |arn| arn.name()).into(),
    }
}

/// Cuts all texts to what may be stored; only the key must stay unique.
fn cut_texts(uploader: &mut Uploader) {
    cut_key(&mut uploader.key);
    uploader.former_key.iter_mut().for_each(cut_key);
    let Uploader {
        kind,
        name,
        account_id,
        principal_id,
        session,
        ..
    } = uploader;
    let optional = [account_id, principal_id, session].into_iter().flatten();
    for text in [kind, name].into_iter().chain(optional) {
        text.truncate(cut_json(text, MAX_TEXT).len());
    }
}

/// A key that is too long is cut and ends in the SHA-256 of the whole.
fn cut_key(key: &mut CompactString) {
    if cut_json(key, MAX_KEY).len() == key.len() {
        return;
    }
    let hash = sha256_hex(key);
    key.truncate(cut_json(key, MAX_KEY - hash.len()).len());
    key.push_str(&hash);
}
