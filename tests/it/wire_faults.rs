//! Each call of the built function, broken on the wire in each way, once and for
//! as long as the event lasts: the answer is right and comes in time, the finding
//! arrives in the end, and the next event works.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use serde_json::{Value, json};

use crate::support::block_on;
use crate::support::events::{envelope, iam_user, record};
use crate::support::fault_proxy::{FAULTS, Fault, FaultProxy, Plan};
use crate::support::lambda::Function;
use crate::support::moto::Stack;

/// How many cases of a test run at once: they wait more than they work.
const AT_ONCE: usize = 6;

/// Runs a case with each fault, once and throughout.
fn each_fault(case: impl Fn(Fault, usize) + Sync) {
    let cases: Vec<_> = FAULTS
        .into_iter()
        .flat_map(|fault| [(fault, "once", 1), (fault, "throughout", usize::MAX)])
        .collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut failed = Vec::new();
        while let Some(&(fault, often, times)) = cases.get(next.fetch_add(1, Ordering::SeqCst)) {
            if catch_unwind(AssertUnwindSafe(|| case(fault, times))).is_err() {
                failed.push(format!("{fault:?} {often}"));
            }
        }
        failed
    };
    let failed: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(work)).collect();
        let failed = workers.into_iter().map(|worker| worker.join().unwrap());
        failed.flatten().collect()
    });
    assert!(
        failed.is_empty(),
        "failed with {failed:?}; see the panics above"
    );
}

/// A test of each call, which a word of its request tells.
macro_rules! calls {
    ($breaks:ident; $($name:ident: $word:literal),+ $(,)?) => {
        $(#[test]
        #[ignore = "needs moto"]
        fn $name() {
            super::each_fault(|fault, times| super::$breaks(stringify!($name), $word, fault, times));
        })+
    };
}

mod of_a_push {
    calls![
        push;
        touch: "BETWEEN :cutoff",
        find: "GetItem",
        commit: "TransactWriteItems",
        token: "#budget",
        publish: "Action=Publish",
        settle: "publishedAt",
    ];
}

mod of_a_sweep {
    calls![
        sweep;
        list: "owed-index",
        lease: "leaseHolder = :holder, ",
        publish: "Action=Publish",
        settle: "publishedAt",
    ];
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
fn start(stack: &Stack) -> (Function, Arc<FaultProxy>) {
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

fn sweep(_: &str, word: &'static str, fault: Fault, times: usize) {
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
