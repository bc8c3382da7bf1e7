//! A stack of this project, as AWS describes it.

use std::collections::BTreeMap;

use aws_sdk_cloudformation::types::{Stack as CloudFormationStack, StackResourceSummary};
use jiff::Timestamp;
use pushwatch::aws::AwsError;
use pushwatch::text::clean_cut;

use super::error::DeploymentError;
use super::session::{ATTEMPT_TIMEOUT, Session};
use super::{Names, TablesArgs};
use crate::ui::Spinner;

/// A stack of PushWatch.
#[derive(Debug)]
pub struct Stack {
    pub name: String,
    pub outputs: BTreeMap<String, String>,
    pub parameters: BTreeMap<String, String>,
    /// `CREATE_COMPLETE` and the like.
    pub status: String,
    pub status_reason: Option<String>,
    /// When it was made.
    pub created: Option<Timestamp>,
}

impl Stack {
    /// An output.
    ///
    /// # Errors
    /// When there is none, as in a stack of something else.
    pub fn output(&self, output: &'static str) -> Result<&str, DeploymentError> {
        let value = self.outputs.get(output).map(String::as_str);
        value.ok_or_else(|| DeploymentError::NoOutput {
            stack: self.name.clone(),
            output,
        })
    }

    /// Its tables and its topic.
    ///
    /// # Errors
    /// When it has none.
    pub fn names(&self) -> Result<Names, DeploymentError> {
        let output = |output| self.outputs.get(output).cloned();
        Ok(Names {
            uploaders: self.output("UploadersTable")?.to_owned(),
            findings: output("FindingsTable"),
            topic_arn: output("FindingsTopicArn"),
        })
    }
}

impl Session {
    /// The names of the deployment that the options name.
    ///
    /// # Errors
    /// As [`stack`](Self::stack).
    pub async fn names(&self, tables: &TablesArgs) -> Result<Names, DeploymentError> {
        match (&tables.stack, &tables.table) {
            (Some(stack), _) => self.stack(stack).await?.names(),
            (None, Some(table)) => Ok(Names {
                uploaders: table.clone(),
                findings: tables.findings_table.clone(),
                topic_arn: None,
            }),
            (None, None) => Err(DeploymentError::NoTarget),
        }
    }

    /// A stack's names and parameters.
    ///
    /// # Errors
    /// When there is no such stack, or it is none of PushWatch.
    pub async fn stack(&self, stack: &str) -> Result<Stack, DeploymentError> {
        let stack = self.described(stack).await?;
        // Each stack of PushWatch has this one.
        stack.output("UploadersTable")?;
        Ok(stack)
    }

    /// A stack, whatever it is of and however far it came.
    ///
    /// # Errors
    /// When there is no such stack.
    pub async fn described(&self, stack: &str) -> Result<Stack, DeploymentError> {
        let waiting = Spinner::on("reading the stack", self.quiet);
        let described = aws_sdk_cloudformation::Client::new(&self.config)
            .describe_stacks()
            .stack_name(stack)
            .send()
            .await
            .map_err(|error| {
                let error = AwsError::new("CloudFormation DescribeStacks", stack, error);
                DeploymentError::Stack {
                    stack: clean_cut(stack, 200),
                    region: self.region.clone(),
                    advice: error.advice(match error.code.as_deref() {
                        None | Some("Throttling") => "a retry can help",
                        // ValidationError: it knows no stack of this name.
                        Some(_) => "check the stack's name, its region and AWS_PROFILE",
                    }),
                    fault: error.fault().to_owned(),
                }
            })?;
        drop(waiting);
        let outputs = described
            .stacks()
            .iter()
            .flat_map(CloudFormationStack::outputs);
        let outputs: BTreeMap<_, _> = outputs
            .filter_map(|output| {
                let value = output.output_value()?.to_owned();
                Some((output.output_key()?.to_owned(), value))
            })
            .collect();
        let parameters = described
            .stacks()
            .iter()
            .flat_map(CloudFormationStack::parameters);
        let parameters = parameters.filter_map(|parameter| {
            let value = parameter.parameter_value()?.to_owned();
            Some((parameter.parameter_key()?.to_owned(), value))
        });
        let first = described.stacks().first();
        let status = first.and_then(CloudFormationStack::stack_status);
        let created = first.and_then(CloudFormationStack::creation_time);
        Ok(Stack {
            name: clean_cut(stack, 200),
            outputs,
            parameters: parameters.collect(),
            status: status
                .map_or("UNKNOWN", |status| status.as_str())
                .to_owned(),
            status_reason: first
                .and_then(CloudFormationStack::stack_status_reason)
                .map(|reason| clean_cut(reason, 400)),
            created: created.and_then(|time| Timestamp::from_second(time.secs()).ok()),
        })
    }

    /// The findings table of the stack that an uploaders table is in; none if it is in no
    /// stack, or that can't be asked.
    pub async fn findings_table_beside(&self, uploaders: &str) -> Option<String> {
        let _waiting = Spinner::on("looking for the findings table", self.quiet);
        let asked = aws_sdk_cloudformation::Client::new(&self.config)
            .describe_stack_resources()
            .physical_resource_id(uploaders)
            .send();
        let answer = tokio::time::timeout(ATTEMPT_TIMEOUT, asked)
            .await
            .ok()?
            .ok()?;
        let mut resources = answer.stack_resources().iter();
        let table = resources.find(|one| one.logical_resource_id() == Some("FindingsTable"))?;
        table.physical_resource_id().map(str::to_owned)
    }

    /// What is in a stack.
    ///
    /// # Errors
    /// When it can't be listed.
    pub async fn resources(&self, stack: &str) -> Result<Vec<StackResourceSummary>, AwsError> {
        let client = aws_sdk_cloudformation::Client::new(&self.config);
        let mut resources = Vec::new();
        let mut next = None;
        loop {
            let page = client
                .list_stack_resources()
                .stack_name(stack)
                .set_next_token(next)
                .send()
                .await
                .map_err(|error| {
                    let target = format!("stack {stack}");
                    AwsError::new("CloudFormation ListStackResources", target, error)
                })?;
            resources.extend(page.stack_resource_summaries.unwrap_or_default());
            next = page.next_token;
            if next.is_none() {
                return Ok(resources);
            }
        }
    }
}
