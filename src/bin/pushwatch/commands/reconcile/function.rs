//! The deployed function, invoked with an event: it decides by its own settings and code,
//! with its own rights.

use aws_sdk_lambda::operation::invoke::InvokeError as SdkInvokeError;
use aws_sdk_lambda::primitives::Blob;
use pushwatch::aws::AwsError;
use pushwatch::text::clean_cut;
use serde::Deserialize;

use crate::deployment::Session;

/// Its IAM action has another name than its API.
const INVOKE: &str = "Lambda InvokeFunction";

/// The function of a deployment.
pub struct Function {
    client: aws_sdk_lambda::Client,
    name: String,
}

/// What the function answers.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Answer {
    pub outcome: Option<String>,
    pub finding_id: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Failure {
    error_type: String,
    error_message: String,
}

/// Why an event is not handled.
#[derive(Debug)]
pub enum InvokeError {
    /// The function failed on it.
    Event(String),
    /// The function can't be invoked.
    Call(AwsError),
}

impl Function {
    pub fn of(session: &Session, name: &str) -> Self {
        Self {
            client: session.invoker(),
            name: name.to_owned(),
        }
    }

    /// Has the function handle an event, and waits for its answer.
    ///
    /// # Errors
    /// When it can't be invoked, or fails on the event.
    pub async fn handle(&self, event: &str) -> Result<Answer, InvokeError> {
        let invoked = self
            .client
            .invoke()
            .function_name(&self.name)
            .payload(Blob::new(event))
            .send()
            .await
            .map_err(|error| {
                let service = error.as_service_error();
                if service.is_some_and(SdkInvokeError::is_request_too_large_exception) {
                    return InvokeError::Event("it is larger than Lambda takes (6 MB)".to_owned());
                }
                let function = format!("function {}", clean_cut(&self.name, 100));
                InvokeError::Call(AwsError::new(INVOKE, function, error))
            })?;
        let payload = invoked.payload.unwrap_or_else(|| Blob::new([]));
        if invoked.function_error.is_some() {
            let failure: Failure = serde_json::from_slice(payload.as_ref()).unwrap_or_default();
            return Err(InvokeError::Event(format!(
                "the function failed with {}: {}; see its log, and run it again",
                clean_cut(&failure.error_type, 80),
                clean_cut(&failure.error_message, 300)
            )));
        }
        let answer: Answer = serde_json::from_slice(payload.as_ref()).unwrap_or_default();
        match answer.outcome {
            Some(_) => Ok(answer),
            None => Err(InvokeError::Event(format!(
                "{} answered without an outcome: is it the function of PushWatch?",
                clean_cut(&self.name, 100)
            ))),
        }
    }
}
