//! An outage of DynamoDB, and what it leaves in the failure queue: it drains by itself.
//!
//! The built function handles batches from the queue, by a limit of functions at once.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::support::deployment::push;
use crate::support::failure_queue::FailureQueue;
use crate::support::lambda::Function;
use crate::support::moto::Stack;
use crate::support::{block_on, setting};

/// How long DynamoDB is down.
const OUTAGE: Duration = Duration::from_secs(5);
/// The hours of the outage, in which the pushes happened.
const HOURS: i64 = 3;
/// Every push of the outage is by one of these.
const UPLOADERS: usize = 40;

/// Drains the queue by one function, until it is empty; how many batches that were.
fn drain(queue: &FailureQueue, function: &Function) -> usize {
    let mut batches = 0;
    while !queue.is_empty() {
        let batch = queue.receive();
        if batch.is_empty() {
            std::thread::sleep(Duration::from_millis(20));
            continue;
        }
        let answer = function.invoke(&json!({ "Records": batch })).unwrap();
        queue.delete(&batch, Some(&answer));
        batches += 1;
    }
    batches
}

/// First and last seen, and how many pushes.
type Seen = (Timestamp, Timestamp, u64);

/// The pushes of the outage in the failure queue, in an order of chance, and what must be
/// known in the end.
fn outage(pushes: usize, until: Timestamp) -> (FailureQueue, BTreeMap<String, Seen>) {
    let mut expected = BTreeMap::<String, Seen>::new();
    let length = SignedDuration::from_hours(HOURS).as_secs();
    let mut events: Vec<_> = (0..pushes)
        .map(|number| {
            let before =
                length * i64::try_from(pushes - number).unwrap() / i64::try_from(pushes).unwrap();
            let time = until - SignedDuration::from_secs(before);
            let name = format!("user-{}", number % UPLOADERS);
            let key = format!("arn:aws:iam::111122223333:user/{name}");
            let (first, last, count) = expected.entry(key).or_insert((time, time, 0));
            *first = time.min(*first);
            *last = time.max(*last);
            *count += 1;
            let event = push(&format!("event-{number}"), &time.to_string(), &name);
            (number, event)
        })
        .collect();
    // A prime steps through all of them.
    events.sort_by_key(|(number, _)| number * 7_919 % 104_729);
    let queue = FailureQueue::default();
    for (number, event) in &events {
        queue.send(format!("message-{number}"), event);
    }
    (queue, expected)
}

#[test]
#[ignore = "needs moto"]
fn what_an_outage_leaves_behind_is_reported_and_remembered_without_a_hand() {
    let stack = block_on(Stack::create());
    let functions: Vec<_> = (0..setting("OUTAGE_FUNCTIONS", 3))
        .map(|_| Function::start(&stack, &[]))
        .collect();
    let until = Timestamp::from_second(Timestamp::now().as_second()).unwrap();
    let pushes = setting("OUTAGE_PUSHES", 240);
    let (queue, expected) = outage(pushes, until);

    let began = Instant::now();
    for function in &functions {
        function.proxy.fail_requests_with(Some("uploaders"));
    }
    let batches: usize = std::thread::scope(|scope| {
        let pollers: Vec<_> = functions
            .iter()
            .map(|function| scope.spawn(|| drain(&queue, function)))
            .collect();
        std::thread::sleep(OUTAGE);
        for function in &functions {
            function.proxy.fail_requests_with(None);
        }
        pollers
            .into_iter()
            .map(|poller| poller.join().unwrap())
            .sum()
    });
    let minutes = began.elapsed().as_secs() / 60 + 1;
    println!(
        "{pushes} pushes in {batches} batches, {:?}",
        began.elapsed()
    );
    assert!(batches > pushes / 10, "some came back");
    assert_eq!(queue.parked(), 0);

    // All is remembered, and the times exactly. A push is counted again if the answer to
    // its write is lost, as it may be on a busy machine.
    let known = block_on(stack.uploaders());
    let known: BTreeMap<String, Seen> = known
        .iter()
        .map(|record| {
            let time = |name: &str| record[name].as_str().unwrap().parse().unwrap();
            (
                record["uploader"].as_str().unwrap().to_owned(),
                (
                    time("firstSeen"),
                    time("lastSeen"),
                    record["pushes"].as_u64().unwrap(),
                ),
            )
        })
        .collect();
    for (key, (first_seen, last_seen, pushes)) in &expected {
        let (first, last, count) = &known[key];
        assert_eq!((first, last), (first_seen, last_seen), "{key}");
        assert!(count >= pushes, "{key}: {count}");
    }
    let counted: u64 = known.values().map(|(_, _, count)| count).sum();
    println!("{counted} counted");
    assert_eq!(known.len(), expected.len());

    // At the budget's rate: three a minute of those that are not critical.
    let at_once: usize = functions
        .iter()
        .map(|function| function.proxy.published.lock().unwrap().len())
        .sum();
    let most = usize::try_from(3 * (minutes + 1)).unwrap();
    assert!(
        (1..=most).contains(&at_once),
        "{at_once} in {minutes} minutes"
    );

    // The sweeps report the rest: everybody once, and late.
    for _ in 0..20 {
        block_on(stack.age(60));
        if functions[0].sweep()["owed"] == 0 {
            break;
        }
    }
    let findings = block_on(stack.findings());
    assert_eq!(findings.len(), UPLOADERS);
    for finding in &findings {
        assert!(finding["owed"].is_null(), "{finding}");
        assert!(finding["publishedAt"].is_string(), "{finding}");
        let body: Value = serde_json::from_str(finding["body"].as_str().unwrap()).unwrap();
        let event_time: Timestamp = body["push"]["eventTime"].as_str().unwrap().parse().unwrap();
        let is_late = until.duration_since(event_time) >= SignedDuration::from_mins(15);
        assert!(!is_late || body["delaySeconds"].is_number(), "{body}");
    }
}
