//! An outage of DynamoDB, and what it leaves in the failure queue: it drains by itself.
//!
//! The built function handles batches from a queue whose poller behaves as Lambda's does:
//! at most ten messages a batch, a time in which a message that was received is not seen,
//! a receive count, partial failures, and a limit of functions at once. The five minutes
//! of the template are longer than any function runs: here a message is not seen while it
//! is handled, and for half a second after it failed.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::support::block_on;
use crate::support::deployment::push;
use crate::support::lambda::Function;
use crate::support::moto::Stack;

/// After which a message that failed is seen again.
const VISIBILITY: Duration = Duration::from_millis(500);
/// After so many times a message is parked, as in the template.
const MOST_RECEIVES: u32 = 288;
/// How long DynamoDB is down.
const OUTAGE: Duration = Duration::from_secs(5);
/// The hours of the outage, in which the pushes happened.
const HOURS: i64 = 3;
/// Every push of the outage is by one of these.
const UPLOADERS: usize = 40;

/// How many, as `make soak` says, or few.
fn setting(name: &str, otherwise: usize) -> usize {
    std::env::var(name).map_or(otherwise, |count| count.parse().unwrap())
}

struct Message {
    id: String,
    body: String,
    receives: u32,
    seen_from: Instant,
}

#[derive(Default)]
struct Queue {
    messages: Mutex<Vec<Message>>,
    parked: Mutex<Vec<Message>>,
}

impl Queue {
    fn is_empty(&self) -> bool {
        self.messages.lock().unwrap().is_empty()
    }

    /// At most ten messages, which are not seen while they are handled.
    fn receive(&self) -> Vec<Value> {
        let now = Instant::now();
        let mut messages = self.messages.lock().unwrap();
        let is_seen = |message: &Message| message.seen_from <= now;
        let spent = messages.extract_if(.., |message| {
            is_seen(message) && message.receives == MOST_RECEIVES
        });
        self.parked.lock().unwrap().extend(spent);
        let seen = messages.iter_mut().filter(|message| is_seen(message));
        seen.take(10)
            .map(|message| {
                message.receives += 1;
                message.seen_from = now + Duration::from_mins(5);
                json!({
                    "messageId": message.id,
                    "receiptHandle": message.id,
                    "body": message.body,
                    "attributes": {"ApproximateReceiveCount": message.receives.to_string()},
                    "messageAttributes": {},
                    "eventSource": "aws:sqs",
                    "eventSourceARN": "arn:aws:sqs:eu-central-1:111122223333:failures",
                    "awsRegion": "eu-central-1"
                })
            })
            .collect()
    }

    /// Deletes the messages of a batch but for those that the answer names.
    fn delete(&self, batch: &[Value], answer: &Value) {
        let failures = answer["batchItemFailures"].as_array().unwrap();
        let ids = |values: &[Value], name: &str| -> Vec<String> {
            let ids = values.iter().map(|value| value[name].as_str().unwrap());
            ids.map(str::to_owned).collect()
        };
        let failed = ids(failures, "itemIdentifier");
        let received = ids(batch, "messageId");
        let mut messages = self.messages.lock().unwrap();
        messages.retain(|message| !received.contains(&message.id) || failed.contains(&message.id));
        for message in messages.iter_mut().filter(|one| failed.contains(&one.id)) {
            message.seen_from = Instant::now() + VISIBILITY;
        }
    }

    /// Drains it by one function, until it is empty; how many batches that were.
    fn drain(&self, function: &Function) -> usize {
        let mut batches = 0;
        while !self.is_empty() {
            let batch = self.receive();
            if batch.is_empty() {
                std::thread::sleep(Duration::from_millis(20));
                continue;
            }
            let answer = function.invoke(&json!({ "Records": batch })).unwrap();
            self.delete(&batch, &answer);
            batches += 1;
        }
        batches
    }
}

/// First and last seen, and how many pushes.
type Seen = (Timestamp, Timestamp, u64);

/// The pushes of the outage as Lambda's failure records, in an order of chance, and what
/// must be known in the end.
fn outage(pushes: usize, until: Timestamp) -> (Vec<Message>, BTreeMap<String, Seen>) {
    let mut expected = BTreeMap::<String, Seen>::new();
    let length = SignedDuration::from_hours(HOURS).as_secs();
    let mut messages: Vec<_> = (0..pushes)
        .map(|number| {
            let before =
                length * i64::try_from(pushes - number).unwrap() / i64::try_from(pushes).unwrap();
            let time = until - SignedDuration::from_secs(before);
            let name = format!("user-{}", number % UPLOADERS);
            let event = push(&format!("event-{number}"), &time.to_string(), &name);
            let key = format!("arn:aws:iam::111122223333:user/{name}");
            let (first, last, count) = expected.entry(key).or_insert((time, time, 0));
            *first = time.min(*first);
            *last = time.max(*last);
            *count += 1;
            Message {
                id: format!("message-{number}"),
                body: json!({
                    "version": "1.0",
                    "requestContext": {"requestId": "r", "condition": "RetriesExhausted"},
                    "requestPayload": event,
                    "responsePayload": {"errorType": "RetryableStore"}
                })
                .to_string(),
                receives: 0,
                seen_from: Instant::now(),
            }
        })
        .collect();
    // A prime steps through all of them.
    messages.sort_by_cached_key(|message| {
        let number: usize = message.id["message-".len()..].parse().unwrap();
        number * 7_919 % 104_729
    });
    (messages, expected)
}

#[test]
#[ignore = "needs moto"]
fn what_an_outage_leaves_behind_is_reported_and_remembered_without_a_hand() {
    let stack = block_on(Stack::create());
    let functions: Vec<_> = (0..setting("SOAK_FUNCTIONS", 3))
        .map(|_| Function::start(&stack, &[]))
        .collect();
    let until = Timestamp::from_second(Timestamp::now().as_second()).unwrap();
    let (messages, expected) = outage(setting("SOAK_PUSHES", 240), until);
    let pushes = messages.len();
    let queue = Queue {
        messages: Mutex::new(messages),
        ..Queue::default()
    };

    let began = Instant::now();
    for function in &functions {
        function.proxy.fail_requests_with(Some("uploaders"));
    }
    let batches: usize = std::thread::scope(|scope| {
        let pollers: Vec<_> = functions
            .iter()
            .map(|function| scope.spawn(|| queue.drain(function)))
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
    assert!(queue.parked.lock().unwrap().is_empty());

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
