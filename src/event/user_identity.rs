//! CloudTrail's `userIdentity`, every field optional.

use compact_str::CompactString;

use super::object::Object;

/// Who made the call, as CloudTrail records it. Which of the fields are there
/// depends on the type, and not reliably: of 2,900 real records 42 had no type.
///
/// Source: the CloudTrail userIdentity element, and real records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs)] // named as in CloudTrail
pub struct UserIdentity {
    pub kind: Option<CompactString>,
    pub principal_id: Option<CompactString>,
    /// Only if it begins with `arn:`.
    pub arn: Option<CompactString>,
    pub account_id: Option<CompactString>,
    pub user_name: Option<CompactString>,
    pub invoked_by: Option<CompactString>,
    /// `sessionContext.sessionIssuer`: the role or user that issued the session.
    pub issuer_kind: Option<CompactString>,
    pub issuer_arn: Option<CompactString>,
    pub issuer_principal_id: Option<CompactString>,
    /// `onBehalfOf`: the IAM Identity Center user.
    pub user_id: Option<CompactString>,
    pub identity_store_arn: Option<CompactString>,
}

impl UserIdentity {
    /// Reads the `userIdentity` of a record.
    #[must_use]
    pub fn read(identity: &Object<'_>) -> Self {
        let session = identity.object("sessionContext");
        let issuer = session.object("sessionIssuer");
        let on_behalf_of = identity.object("onBehalfOf");
        Self {
            kind: identity.text("type"),
            principal_id: identity.text("principalId"),
            arn: arn(identity, "arn"),
            account_id: identity.text("accountId"),
            user_name: identity.text("userName"),
            invoked_by: identity.text("invokedBy"),
            issuer_kind: issuer.text("type"),
            issuer_arn: arn(&issuer, "arn"),
            issuer_principal_id: issuer.text("principalId"),
            user_id: on_behalf_of.text("userId"),
            identity_store_arn: on_behalf_of.text("identityStoreArn"),
        }
    }
}

fn arn(object: &Object<'_>, name: &str) -> Option<CompactString> {
    object.text(name).filter(|arn| arn.starts_with("arn:"))
}
