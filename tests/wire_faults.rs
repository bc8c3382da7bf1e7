//! Each call of the built function, broken on the wire in each way, once and for
//! as long as the event lasts: the answer is right and comes in time, the finding
//! arrives in the end, and the next event works.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod common;
#[path = "common/fault_proxy.rs"]
mod fault_proxy;
#[path = "common/lambda.rs"]
mod lambda;
#[path = "common/moto.rs"]
mod moto;
#[path = "common/trials.rs"]
mod trials;

use std::process::ExitCode;
use std::time::Instant;

use common::{envelope, iam_user, record};
use fault_proxy::{FAULTS, Fault, FaultProxy, Plan};
use lambda::Function;
use libtest_mimic::Arguments;
use moto::{Stack, block_on};
use serde_json::{Value, json};
use trials::trial;

/// A call, and a word of its request by which it is told.
const OF_A_PUSH: [(&str, &str); 6] = [
    ("touch", "BETWEEN :cutoff"),
    ("find", "GetItem"),
    ("commit", "TransactWriteItems"),
    ("token", "#budget"),
    ("publish", "Action=Publish"),
    ("settle", "publishedAt"),
];
const OF_A_SWEEP: [(&str, &str); 4] = [
    ("list", "owed-index"),
    ("lease", "leaseHolder = :holder, "),
    ("publish", "Action=Publish"),
    ("settle", "publishedAt"),
];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    // They wait more than they work.
    arguments.test_threads = arguments.test_threads.or(Some(12));
    let mut trials = Vec::new();
    for fault in FAULTS {
        for (often, times) in [("once", 1), ("throughout", usize::MAX)] {
            for (call, word) in OF_A_PUSH {
                let name = format!("push::{call}::{fault:?}::{often}");
                let test = move || push(call, word, fault, times);
                trials.push(trial(&name, !moto::is_installed(), test));
            }
            for (call, word) in OF_A_SWEEP {
                let name = format!("sweep::{call}::{fault:?}::{often}");
                let test = move || sweep(word, fault, times);
                trials.push(trial(&name, !moto::is_installed(), test));
            }
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    if moto::is_installed() {
        moto::moto().stop();
    }
    conclusion.exit_code()
}

const T1: &str = "2026-01-01T00:00:00Z";
const T2: &str = "2026-01-02T00:00:00Z";

fn event(id: &str, time: &str, failed: bool) -> Value {
    let mut event = envelope(&record(id, time, &iam_user("test")));
    if failed {
        event["detail"]["errorCode"] = json!("AccessDenied");
    }
    event
}

/// A function behind a proxy that breaks what it is told to.
fn start(stack: &Stack) -> (Function, std::sync::Arc<FaultProxy>) {
    let proxy = FaultProxy::start();
    let endpoint = format!("http://127.0.0.1:{}", proxy.port);
    let function = Function::start(stack, &[("AWS_ENDPOINT_URL", &endpoint)]);
    (function, proxy)
}

fn push(call: &str, word: &'static str, fault: Fault, times: usize) {
    let stack = block_on(Stack::create());
    let (function, proxy) = start(&stack);
    // Only a failed push is looked up.
    let event_1 = event("e1", T1, call == "find");
    proxy.plan(Some(Plan {
        word,
        fault,
        times,
        process: function.process(),
    }));
    let began = Instant::now();
    let first = function.invoke(&event_1);
    let took = began.elapsed().as_secs();
    assert!(took < 30, "{took} s");
    assert!(
        *proxy.happened.lock().unwrap() > 0,
        "the fault did not happen"
    );
    mended(&proxy, fault);
    match first {
        Ok(answer) => {
            let outcome = answer["outcome"].as_str().unwrap();
            let right: &[&str] = match call {
                // Once it is owed, what fails defers it; tried again, it may be told.
                "token" | "publish" | "settle" if times > 1 => &["finding_deferred"],
                "token" | "publish" | "settle" => &["finding_published", "finding_deferred"],
                // Its answer was lost, and to the next try it is decided.
                "commit" => &["finding_published", "duplicate"],
                _ => &["finding_published"],
            };
            assert!(right.contains(&outcome), "{answer}");
        }
        Err(error) => {
            assert!(
                matches!(call, "touch" | "find" | "commit"),
                "{call}: {error}"
            );
            let kind = error["errorType"].as_str().unwrap();
            assert!(kind.starts_with("Retryable"), "{error}");
            // Lambda delivers it again.
            let again = function.invoke(&event_1).unwrap();
            let outcome = again["outcome"].as_str().unwrap();
            let right = ["finding_published", "duplicate"];
            assert!(right.contains(&outcome), "{again}");
        }
    }
    finding_arrived(&stack, &function, &proxy);
    let next = function.invoke(&event("e2", T2, false)).unwrap();
    let expected = if call == "find" {
        "finding_published"
    } else {
        "known"
    };
    assert_eq!(next["outcome"], expected, "{next}");
}

fn sweep(word: &'static str, fault: Fault, times: usize) {
    let stack = block_on(Stack::create());
    let (function, proxy) = start(&stack);
    // The finding is owed since SNS did not take it.
    proxy.plan(Some(Plan {
        word: "Action=Publish",
        fault: Fault::Error500,
        times: usize::MAX,
        process: function.process(),
    }));
    let answer = function.invoke(&event("e1", T1, false)).unwrap();
    assert_eq!(answer["outcome"], "finding_deferred");
    block_on(stack.age(60));
    proxy.plan(Some(Plan {
        word,
        fault,
        times,
        process: function.process(),
    }));
    let began = Instant::now();
    let swept = function.sweep();
    assert_eq!(swept["outcome"], "swept", "a sweep never fails");
    assert!(began.elapsed().as_secs() < 30);
    assert!(
        *proxy.happened.lock().unwrap() > 0,
        "the fault did not happen"
    );
    mended(&proxy, fault);
    finding_arrived(&stack, &function, &proxy);
}

/// The fault is over.
fn mended(proxy: &FaultProxy, fault: Fault) {
    proxy.plan(None);
    if fault == Fault::Refused {
        // Until somebody listens again.
        std::thread::sleep(std::time::Duration::from_millis(1500));
    }
}

/// In the end the finding was told, always with the same id, and is settled.
fn finding_arrived(stack: &Stack, function: &Function, proxy: &FaultProxy) {
    block_on(stack.age(120));
    function.sweep();
    let published = proxy.published.lock().unwrap();
    let ids: Vec<_> = published
        .iter()
        .map(|form| {
            let message = &form.iter().find(|(name, _)| name == "Message").unwrap().1;
            let message: Value = serde_json::from_str(message).unwrap();
            // In its plainest form, which follows a refusal, it is the one body.
            let body = match message["default"].as_str() {
                Some(body) => serde_json::from_str(body).unwrap(),
                None => message,
            };
            body["unmapped"]["pushwatch"]["id"].clone()
        })
        .collect();
    assert!(!ids.is_empty(), "the finding was never told");
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let findings = block_on(stack.findings());
    assert_eq!(findings.len(), 1);
    assert!(findings[0]["owed"].is_null(), "it stays owed");
}
