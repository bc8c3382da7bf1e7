//! The headers of a call that say who calls.
//!
//! The SDK composes a user agent of some hundred bytes anew for each call, and numbers its
//! calls and tries for the logs of its makers (benches/README.md). The function says who it
//! is, and no more.

use aws_runtime::invocation_id::InvocationIdInterceptor;
use aws_runtime::request_info::RequestInfoInterceptor;
use aws_runtime::user_agent::UserAgentInterceptor;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeSerializationInterceptorContextRef, BeforeTransmitInterceptorContextMut,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, disable_interceptor};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

const USER_AGENT: &str = concat!("pushwatch/", env!("CARGO_PKG_VERSION"));
const WHY: &str = "each call has the same headers";

/// Has a client send the function's own user agent instead of the SDK's headers.
#[derive(Debug)]
pub(super) struct OwnHeaders;

impl Intercept for OwnHeaders {
    fn name(&self) -> &'static str {
        "own headers"
    }

    fn read_before_execution(
        &self,
        _: &BeforeSerializationInterceptorContextRef<'_>,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        config
            .interceptor_state()
            .store_put(disable_interceptor::<UserAgentInterceptor>(WHY))
            .store_put(disable_interceptor::<InvocationIdInterceptor>(WHY))
            .store_put(disable_interceptor::<RequestInfoInterceptor>(WHY));
        Ok(())
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = context.request_mut().headers_mut();
        headers.insert("user-agent", USER_AGENT);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use aws_credential_types::Credentials;
    use aws_sdk_dynamodb::config::{BehaviorVersion, Region};
    use aws_smithy_http_client::test_util::capture_request;

    use super::OwnHeaders;

    #[tokio::test]
    async fn a_call_names_the_function_and_has_none_of_the_sdk_s_headers() {
        let (http, captured) = capture_request(None);
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("eu-central-1"))
            .credentials_provider(Credentials::new("AKIA", "secret", None, None, "test"))
            .http_client(http)
            .interceptor(OwnHeaders)
            .build();
        let client = aws_sdk_dynamodb::Client::from_conf(config);
        let _ = client.list_tables().send().await;
        let request = captured.expect_request();
        let headers = request.headers();
        let version = concat!("pushwatch/", env!("CARGO_PKG_VERSION"));
        assert_eq!(headers.get("user-agent"), Some(version));
        for name in [
            "x-amz-user-agent",
            "amz-sdk-invocation-id",
            "amz-sdk-request",
        ] {
            assert_eq!(headers.get(name), None, "{name}");
        }
    }
}
