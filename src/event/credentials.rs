//! How the push was authorised: what CloudTrail says of the credentials beside who
//! they belong to.

use compact_str::CompactString;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::object::Object;
use super::way;
use crate::text::cut_json;
use crate::time;

/// Longest text that is kept, in bytes of JSON; the longest that AWS sends are ARNs.
const MAX_TEXT: usize = 256;

/// Where the credentials came from and how they were used. Serialised, it is the
/// `credentials` of a finding's JSON: a field on which CloudTrail is silent is absent.
///
/// Source: the CloudTrail userIdentity element, and the record's contents. Whether ECR
/// fills all of them on a push is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Credentials {
    /// The identity provider of a web identity or SAML session: an ARN or a host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub federated_provider: Option<CompactString>,
    /// The account to which access was delegated (`invokedByDelegate`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delegate_account_id: Option<CompactString>,
    /// Who began the chain of roles, in the words of whoever did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_identity: Option<CompactString>,
    /// The resource that an AWS service issued the credentials to (`inScopeOf`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials_issued_to: Option<CompactString>,
    /// What kind of resource that is: `AWS::Lambda::Function`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer_type: Option<CompactString>,
    /// The version of the instance metadata service that gave out the credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ec2_role_delivery: Option<CompactString>,
    /// Whether the credentials are those of a session in the console.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_credential_from_console: Option<bool>,
    /// The VPC endpoint through which the call came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vpc_endpoint_id: Option<CompactString>,
    /// The credential of an IAM Identity Center user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential_id: Option<CompactString>,
    /// When the session began (`creationDate`).
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "crate::time::deserialize"
    )]
    pub session_start: Option<Timestamp>,
}

impl Credentials {
    /// Reads what a record says of the credentials.
    pub(super) fn read(record: &Object<'_>) -> Self {
        let identity = record.object("userIdentity");
        let session = identity.object("sessionContext");
        let scope = identity.object("inScopeOf");
        let text = |object: &Object<'_>, name| object.text(name).map(|text| cut(&text));
        let start = session.object("attributes").text("creationDate");
        Self {
            federated_provider: way::provider(&identity, &session).map(|text| cut(&text)),
            delegate_account_id: text(&identity.object("invokedByDelegate"), "accountId"),
            source_identity: text(&session, "sourceIdentity"),
            credentials_issued_to: text(&scope, "credentialsIssuedTo"),
            issuer_type: text(&scope, "issuerType"),
            ec2_role_delivery: text(&session, "ec2RoleDelivery"),
            session_credential_from_console: record.flag("sessionCredentialFromConsole"),
            vpc_endpoint_id: text(record, "vpcEndpointId"),
            credential_id: text(&identity, "credentialId"),
            session_start: start.as_deref().and_then(time::parse),
        }
    }
}

fn cut(text: &str) -> CompactString {
    cut_json(text, MAX_TEXT).into()
}
