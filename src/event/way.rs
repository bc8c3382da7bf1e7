//! By which way a push was authorised.

use compact_str::{CompactString, format_compact};

use super::object::Object;
use crate::text::clean_cut;

/// Longest account or provider in a way, in characters; AWS's longest are ARNs.
const MAX_NAME: usize = 250;

/// The way of a push, as CloudTrail's record says: `delegate:<account>`, else
/// `provider:<web identity provider>`, else `console`, `instance` or `plain`. The name
/// of a session says nothing, since anybody who assumes a role chooses it.
pub(super) fn read(
    record: &Object<'_>,
    identity: &Object<'_>,
    session: &Object<'_>,
) -> CompactString {
    let named = |prefix: &str, name: Option<CompactString>| {
        name.map(|name| format_compact!("{prefix}:{}", clean_cut(&name, MAX_NAME)))
    };
    let delegate = identity.object("invokedByDelegate").text("accountId");
    let way = named("delegate", delegate);
    if let Some(way) = way.or_else(|| named("provider", provider(identity, session))) {
        return way;
    }
    if record.flag("sessionCredentialFromConsole") == Some(true) {
        return "console".into();
    }
    if session.text("ec2RoleDelivery").is_some() {
        return "instance".into();
    }
    "plain".into()
}

/// The identity provider of a web identity or SAML session: an ARN or a host.
pub(super) fn provider(identity: &Object<'_>, session: &Object<'_>) -> Option<CompactString> {
    session
        .object("webIdFederationData")
        .text("federatedProvider")
        .or_else(|| identity.text("identityProvider"))
}
