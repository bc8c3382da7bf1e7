//! A client of each service, and what it does about throttling.

use std::time::Duration;

use aws_config::Region;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_cloudtrail::error::ProvideErrorMetadata as _;
use aws_sdk_cloudtrail::operation::lookup_events::LookupEventsError;
use aws_sdk_lambda::operation::invoke::InvokeError;
use aws_smithy_runtime_api::client::interceptors::context::InterceptorContext;
use aws_smithy_runtime_api::client::retries::classifiers::{ClassifyRetry, RetryAction};
use pushwatch::aws::RetryConflicts;
use pushwatch::notify::SnsNotifier;
use pushwatch::render::{HttpsFormat, RenderContext};
use pushwatch::store::DynamoStore;

use super::Names;
use super::session::{CONNECT_TIMEOUT, Session};

/// Of an invocation of the function, which has half a minute for an event.
const INVOKE_TIMEOUT: Duration = Duration::from_mins(1);
/// Of what an investigation can do without.
const FEW_ATTEMPTS: u32 = 3;

/// Has `learn` say that it is throttled, instead of the SDK waiting in silence.
#[derive(Debug)]
struct ThrottlingNotRetried;

impl ClassifyRetry for ThrottlingNotRetried {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let error = match context.output_or_error() {
            Some(Err(error)) => error.as_operation_error(),
            _ => None,
        };
        let error = error.and_then(|error| error.downcast_ref::<LookupEventsError>());
        if error.is_some_and(|error| error.code() == Some("ThrottlingException")) {
            RetryAction::RetryForbidden
        } else {
            RetryAction::NoActionIndicated
        }
    }

    fn name(&self) -> &'static str {
        "throttling"
    }
}

/// Invokes the function again only if Lambda throttled: it was not invoked then. After any
/// other failure it may have been, and a second time would be a second event.
#[derive(Debug)]
struct OnlyThrottlingRetried;

impl ClassifyRetry for OnlyThrottlingRetried {
    fn classify_retry(&self, context: &InterceptorContext) -> RetryAction {
        let error = match context.output_or_error() {
            None | Some(Ok(_)) => return RetryAction::NoActionIndicated,
            Some(Err(error)) => error.as_operation_error(),
        };
        let error = error.and_then(|error| error.downcast_ref::<InvokeError>());
        if error.is_some_and(InvokeError::is_too_many_requests_exception) {
            RetryAction::throttling_error()
        } else {
            RetryAction::RetryForbidden
        }
    }

    fn name(&self) -> &'static str {
        "only throttling"
    }
}

impl Session {
    /// The tables. Without a findings table no finding can be looked up.
    pub fn store(&self, names: &Names) -> DynamoStore {
        let config = aws_sdk_dynamodb::config::Builder::from(&self.config)
            .retry_classifier(RetryConflicts)
            .build();
        DynamoStore::new(
            aws_sdk_dynamodb::Client::from_conf(config),
            names.uploaders.clone(),
            names.findings.clone().unwrap_or_default(),
        )
    }

    /// The topic.
    pub fn notifier(
        &self,
        topic_arn: String,
        context: RenderContext,
        https_format: HttpsFormat,
    ) -> SnsNotifier {
        let client = aws_sdk_sns::Client::new(&self.config);
        SnsNotifier::new(|| client, topic_arn, context, https_format)
    }

    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&self.config)
    }

    pub fn sns(&self) -> aws_sdk_sns::Client {
        aws_sdk_sns::Client::new(&self.config)
    }

    pub fn eventbridge(&self) -> aws_sdk_eventbridge::Client {
        aws_sdk_eventbridge::Client::new(&self.config)
    }

    pub fn cloudwatch(&self) -> aws_sdk_cloudwatch::Client {
        aws_sdk_cloudwatch::Client::new(&self.config)
    }

    /// Lambda in the region of the session.
    pub fn lambda(&self) -> aws_sdk_lambda::Client {
        self.lambda_in(&self.region)
    }

    /// Lambda in a region.
    pub fn lambda_in(&self, region: &str) -> aws_sdk_lambda::Client {
        let config = aws_sdk_lambda::config::Builder::from(&self.config);
        let config = config.region(Region::new(region.to_owned())).build();
        aws_sdk_lambda::Client::from_conf(config)
    }

    /// Lambda, to invoke the function: with time for its answer. What may have reached it
    /// is not tried again.
    pub fn invoker(&self) -> aws_sdk_lambda::Client {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(INVOKE_TIMEOUT)
            .operation_timeout(INVOKE_TIMEOUT * 3)
            .build();
        let config = aws_sdk_lambda::config::Builder::from(&self.config)
            .timeout_config(timeouts)
            .retry_classifier(OnlyThrottlingRetried)
            .build();
        aws_sdk_lambda::Client::from_conf(config)
    }

    pub fn sqs(&self) -> aws_sdk_sqs::Client {
        aws_sdk_sqs::Client::new(&self.config)
    }

    pub fn cloudwatch_logs(&self) -> aws_sdk_cloudwatchlogs::Client {
        aws_sdk_cloudwatchlogs::Client::new(&self.config)
    }

    /// CloudTrail in a region.
    pub fn cloudtrail(&self, region: &str) -> aws_sdk_cloudtrail::Client {
        let config = aws_sdk_cloudtrail::config::Builder::from(&self.config)
            .region(Region::new(region.to_owned()))
            .retry_classifier(ThrottlingNotRetried)
            .build();
        aws_sdk_cloudtrail::Client::from_conf(config)
    }

    /// ECR in a region.
    pub fn ecr(&self, region: &str) -> aws_sdk_ecr::Client {
        let config = aws_sdk_ecr::config::Builder::from(&self.config)
            .region(Region::new(region.to_owned()))
            .retry_config(RetryConfig::standard().with_max_attempts(FEW_ATTEMPTS))
            .build();
        aws_sdk_ecr::Client::from_conf(config)
    }

    /// ECS in a region.
    pub fn ecs(&self, region: &str) -> aws_sdk_ecs::Client {
        let config = aws_sdk_ecs::config::Builder::from(&self.config);
        let config = config.region(Region::new(region.to_owned())).build();
        aws_sdk_ecs::Client::from_conf(config)
    }

    /// Inspector in a region.
    pub fn inspector(&self, region: &str) -> aws_sdk_inspector2::Client {
        let config = aws_sdk_inspector2::config::Builder::from(&self.config)
            .region(Region::new(region.to_owned()))
            .retry_config(RetryConfig::standard().with_max_attempts(FEW_ATTEMPTS))
            .build();
        aws_sdk_inspector2::Client::from_conf(config)
    }
}
