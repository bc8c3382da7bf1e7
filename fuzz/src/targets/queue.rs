//! The bytes of what Lambda hands over, a batch of a queue above all, through the function
//! to its answer and its log.

use lambda_runtime::{Context, LambdaEvent};
use pushwatch::clock::SystemClock;
use pushwatch::function::{Function, FunctionError, Reply};
use pushwatch::policy::Policy;
use pushwatch::watch::Watch;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::command_line::caught;
use crate::oracles::characters;
use crate::{block_on, played_aws};

/// A message of a queue that always fails, and has no id.
const BAD: &str = r#"{"eventSource":"aws:sqs","body":"?"}"#;

pub fn check(input: &[u8]) {
    // Anything else the runtime refuses.
    let Ok(payload) = serde_json::from_slice::<Box<RawValue>>(input) else {
        return;
    };
    let json = payload.get().to_owned();
    let (reply, log) = handled(payload);
    let failed = match reply {
        Ok(Reply::Batch(batch)) => batch.batch_item_failures,
        Ok(Reply::Event(answer)) => {
            assert_eq!(log.len(), 1);
            characters::assert_line(&serde_json::to_string(&answer).expect("JSON"));
            return;
        }
        Err(error) => {
            assert_eq!(log.len(), 1);
            characters::assert_line(&error.to_string());
            return;
        }
    };
    let failed: Vec<_> = failed
        .into_iter()
        .map(|failure| failure.item_identifier)
        .collect();
    let messages = messages(&json);
    assert_eq!(log.len(), messages.len());

    // Each alone, beside one that is bad, gives the same answer.
    let mut expected = Vec::new();
    for message in messages {
        let batch = format!("{{\"Records\":[{BAD},{message},{BAD}]}}");
        let batch = RawValue::from_string(batch).expect("JSON");
        let (Ok(Reply::Batch(batch)), _) = handled(batch) else {
            panic!("no batch any more");
        };
        let ids = batch.batch_item_failures;
        let ids: Vec<_> = ids
            .into_iter()
            .map(|failure| failure.item_identifier)
            .collect();
        assert!((2..=3).contains(&ids.len()), "{ids:?}");
        if ids.len() == 3 {
            expected.push(ids[1].clone());
        }
    }
    assert_eq!(failed, expected);
}

/// The function's answer, and the lines of its log.
#[allow(clippy::result_large_err)] // as the function has it
fn handled(payload: Box<RawValue>) -> (Result<Reply, FunctionError>, Vec<String>) {
    let function = function();
    let event = LambdaEvent::new(payload, Context::default());
    let (reply, log, said) = caught(|| block_on(function.handle(event)));
    assert_eq!(said, "");
    let log: Vec<_> = log.lines().map(str::to_owned).collect();
    for line in &log {
        characters::assert_line(line);
        serde_json::from_str::<Value>(line).expect("JSON");
    }
    (reply, log)
}

/// A function to which everybody is new; the store fails for some of them.
fn function() -> Function {
    let store = played_aws::store(|operation, request| {
        let fails = |word: &str| request.contains(word);
        match operation {
            _ if fails("unavailable") => (500, "{\"__type\":\"InternalServerError\"}".to_owned()),
            _ if fails("denied") => (400, "{\"__type\":\"AccessDeniedException\"}".to_owned()),
            "UpdateItem" if !request.contains("findingId") => played_aws::refused(None),
            _ => (200, "{}".to_owned()),
        }
    });
    Function {
        watch: Watch {
            store,
            notifier: played_aws::topic(),
            clock: SystemClock,
            policy: Policy::default(),
            findings_per_minute: Some(5),
        },
        log_level: "INFO".to_owned(),
        function_name: "pushwatch".to_owned(),
        instance: "fuzzed".to_owned(),
        faults: Vec::new(),
    }
}

/// The messages as they stand in the batch.
fn messages(json: &str) -> Vec<&str> {
    #[derive(Deserialize)]
    struct Batch<'a> {
        #[serde(borrow, rename = "Records")]
        records: Vec<&'a RawValue>,
    }
    let batch: Batch<'_> = serde_json::from_str(json).expect("a batch");
    batch.records.into_iter().map(RawValue::get).collect()
}
