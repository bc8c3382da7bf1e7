//! What stays the same for all calls, given to the SDK once: the address of a service,
//! and the credentials. By itself it would work both out anew for each call, and parse
//! its table of partitions for the first one.

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::config::endpoint::{Endpoint, EndpointFuture};
use aws_smithy_runtime_api::client::endpoint::{
    EndpointResolverParams, ResolveEndpoint, SharedEndpointResolver,
};
use aws_smithy_runtime_api::client::identity::{
    Identity, IdentityFuture, ResolveCachedIdentity, SharedIdentityResolver,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

/// The address of a service in a region; none where only the SDK's rules know it.
pub(super) fn address(service: &str, region: &str) -> Option<String> {
    let parts: Vec<_> = region.split('-').collect();
    let suffix = match parts[..] {
        ["cn", _, _] => "amazonaws.com.cn",
        [_, _, _] | ["us", "gov", _, _] => "amazonaws.com",
        // Regions of their own partitions, and `local`.
        _ => return None,
    };
    Some(format!("https://{service}.{region}.{suffix}"))
}

/// An address that is known.
#[derive(Debug)]
pub(super) struct FixedEndpoint(Endpoint);

impl FixedEndpoint {
    pub(super) fn shared(url: String) -> SharedEndpointResolver {
        SharedEndpointResolver::new(Self(Endpoint::builder().url(url).build()))
    }
}

impl ResolveEndpoint for FixedEndpoint {
    fn resolve_endpoint<'a>(&'a self, _: &'a EndpointResolverParams) -> EndpointFuture<'a> {
        EndpointFuture::ready(Ok(self.0.clone()))
    }
}

/// Credentials that do not expire as long as the process lives.
#[derive(Debug)]
pub(super) struct FixedIdentity(Identity);

impl FixedIdentity {
    pub(super) fn new(credentials: Credentials) -> Self {
        Self(credentials.into())
    }
}

impl ResolveCachedIdentity for FixedIdentity {
    fn resolve_cached_identity<'a>(
        &'a self,
        _: SharedIdentityResolver,
        _: &'a RuntimeComponents,
        _: &'a ConfigBag,
    ) -> IdentityFuture<'a> {
        IdentityFuture::ready(Ok(self.0.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn addresses_are_those_of_the_sdk() {
        for (region, suffix) in [
            ("eu-central-1", Some("amazonaws.com")),
            ("ap-southeast-10", Some("amazonaws.com")),
            ("us-gov-west-1", Some("amazonaws.com")),
            ("cn-northwest-1", Some("amazonaws.com.cn")),
            ("us-iso-east-1", None),
            ("us-isob-east-1", None),
            ("eu-isoe-west-1", None),
            ("eusc-de-east-1", None),
            ("local", None),
        ] {
            let expected = suffix.map(|suffix| format!("https://sns.{region}.{suffix}"));
            assert_eq!(address("sns", region), expected);
        }
    }
}
