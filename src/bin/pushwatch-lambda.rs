//! The Lambda function: environment, clients, run.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::process::ExitCode;

use lambda_runtime::{LambdaEvent, Runtime, service_fn};
use pushwatch::aws::Aws;
use pushwatch::clock::{Clock as _, SystemClock};
use pushwatch::config::Config;
use pushwatch::function::Function;
use pushwatch::notify::SnsNotifier;
use pushwatch::render::RenderContext;
use pushwatch::store::DynamoStore;
use pushwatch::watch::Watch;

// One event at a time needs one thread.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    report_panics();
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            fatal(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), lambda_runtime::Error> {
    let config = Config::read(|name| std::env::var(name).ok())?;
    let region = config.aws.region.clone();
    let aws = Aws::new(config.aws)?;
    let context = RenderContext {
        table: config.uploaders_table.clone(),
        findings_table: Some(config.findings_table.clone()),
        region,
        absence_days: config.policy.absence_days,
        stack: config.stack_name,
        account: Some(config.account),
        runbook: config.runbook_url,
    };
    let sns = {
        let aws = aws.clone();
        move || aws.sns()
    };
    let notifier = SnsNotifier::new(sns, config.topic_arn, context, config.https_format);
    let store = DynamoStore::new(
        aws.dynamodb(),
        config.uploaders_table,
        config.findings_table,
    );
    let function = Function {
        watch: Watch {
            store,
            notifier,
            clock: SystemClock,
            policy: config.policy,
            findings_per_minute: Some(config.findings_per_minute),
        },
        log_level: config.log_level,
        function_name: config.function_name,
        // The hashes of each process begin with random keys.
        instance: format!("{:016x}", RandomState::new().build_hasher().finish()),
        faults: config.faults,
    };
    aws.warm_up().await;
    let function = &function;
    Runtime::new(service_fn(|event: LambdaEvent<_>| function.handle(event)))
        .run()
        .await
}

/// Reports a panic in one line that says where. Its message may hold texts of an
/// event, and is left out.
fn report_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string);
        fatal(&format!("panic at {}", location.unwrap_or_default()));
    }));
}

/// Writes a line that Lambda takes for fatal; without a timestamp it would be mere
/// information.
fn fatal(message: &str) {
    let timestamp = SystemClock.now().to_string();
    let line = serde_json::json!({"level": "FATAL", "timestamp": timestamp, "message": message});
    eprintln!("{line}");
}
