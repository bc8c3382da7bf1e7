//! CloudTrail's `userIdentity`, every field optional.

use super::object::Object;

/// Who made the call, as CloudTrail tells it. Which of the fields are there
/// depends on the type, and not reliably: of 2,900 real records 42 had no type.
///
/// Source: the CloudTrail userIdentity element, and real records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs)] // named as in CloudTrail
pub struct UserIdentity {
    pub kind: Option<String>,
    pub principal_id: Option<String>,
    /// Only if it begins with `arn:`.
    pub arn: Option<String>,
    pub account_id: Option<String>,
    pub user_name: Option<String>,
    pub invoked_by: Option<String>,
    /// `sessionContext.sessionIssuer`: who a session was issued from.
    pub issuer_kind: Option<String>,
    pub issuer_arn: Option<String>,
    pub issuer_principal_id: Option<String>,
    /// `onBehalfOf`: the IAM Identity Center user.
    pub user_id: Option<String>,
    pub identity_store_arn: Option<String>,
}

impl UserIdentity {
    /// Reads `userIdentity`.
    #[must_use]
    pub fn read(identity: &Object) -> Self {
        let issuer = identity.object("sessionContext").object("sessionIssuer");
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

fn arn(object: &Object, name: &str) -> Option<String> {
    object.text(name).filter(|arn| arn.starts_with("arn:"))
}
