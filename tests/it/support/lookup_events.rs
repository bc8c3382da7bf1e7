//! Stubs of CloudTrail's `LookupEvents`, which moto lacks. One answers what it is told to,
//! in turn, with records as strings, as the real one does; it answers for STS too, so that
//! its caller can be of any account. The other holds records, and finds, orders and pages
//! them as the real one is documented to.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tiny_http::{Response, Server};

pub enum Answer {
    Page(Value),
    /// A status and an error's type.
    Error(u16, &'static str),
    /// None, ever.
    Hang,
}

impl Answer {
    pub fn page(records: &[Value], next: Option<&str>) -> Self {
        let events: Vec<_> = records
            .iter()
            .map(|record| {
                let time: jiff::Timestamp = record["eventTime"].as_str().unwrap().parse().unwrap();
                json!({
                    "EventId": record["eventID"],
                    "EventName": record["eventName"],
                    "ReadOnly": "false",
                    "EventTime": time.as_second(),
                    "EventSource": record["eventSource"],
                    "Username": record["userIdentity"]["userName"],
                    "Resources": [],
                    "CloudTrailEvent": record.to_string()
                })
            })
            .collect();
        Self::Page(json!({"Events": events, "NextToken": next}))
    }
}

pub struct CloudTrail {
    port: u16,
    asked: Arc<Mutex<Vec<(Instant, Value)>>>,
}

impl CloudTrail {
    pub fn start(answers: Vec<Answer>) -> Self {
        Self::start_of("111122223333", answers)
    }

    /// With a caller of this account.
    pub fn start_of(account: &'static str, answers: Vec<Answer>) -> Self {
        let server = Server::http("127.0.0.1:0").unwrap();
        let port = server.server_addr().to_ip().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        std::thread::spawn(move || {
            let mut answers = answers.into_iter();
            for mut request in server.incoming_requests() {
                let mut body = String::new();
                request.as_reader().read_to_string(&mut body).unwrap();
                if body.contains("Action=GetCallerIdentity") {
                    let _ = request.respond(Response::from_string(caller(account)));
                    continue;
                }
                let mut body: Value = serde_json::from_str(&body).unwrap();
                let header = |name: &str| {
                    let headers = request.headers().iter();
                    let mut found = headers.filter(|header| header.field.as_str() == name);
                    found.next().map(|header| header.value.to_string())
                };
                let target = header("x-amz-target").unwrap_or_default();
                assert!(target.ends_with(".LookupEvents"), "{target}");
                // AWS4-HMAC-SHA256 Credential=KEY/DAY/REGION/cloudtrail/aws4_request, …
                let signature = header("authorization").unwrap();
                body["region"] = json!(signature.split('/').nth(2).unwrap());
                seen.lock().unwrap().push((Instant::now(), body));
                let (status, answer) = match answers.next() {
                    Some(Answer::Hang) => {
                        std::mem::forget(request);
                        continue;
                    }
                    Some(Answer::Page(page)) => (200, page),
                    Some(Answer::Error(status, code)) => {
                        (status, json!({"__type": code, "message": "no"}))
                    }
                    None => (500, json!({"__type": "InternalError"})),
                };
                let response = Response::from_string(answer.to_string()).with_status_code(status);
                let _ = request.respond(response);
            }
        });
        Self { port, asked }
    }

    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The requests' bodies, each with the region that it was signed for.
    pub fn asked(&self) -> Vec<Value> {
        let asked = self.asked.lock().unwrap();
        asked.iter().map(|(_, body)| body.clone()).collect()
    }

    /// The shortest time between two requests of one region.
    pub fn least_pause(&self) -> Duration {
        let asked = self.asked.lock().unwrap();
        let pauses = asked
            .windows(2)
            .filter(|pair| pair[0].1["region"] == pair[1].1["region"]);
        pauses.map(|pair| pair[1].0 - pair[0].0).min().unwrap()
    }
}

fn caller(account: &str) -> String {
    format!(
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
         <GetCallerIdentityResult><Arn>arn:aws:iam::{account}:user/test</Arn>\
         <UserId>AIDAEXAMPLE</UserId><Account>{account}</Account></GetCallerIdentityResult>\
         </GetCallerIdentityResponse>"
    )
}

/// Records, looked up as in the event history: by region, one attribute and times, newest
/// first, in pages.
pub struct EventHistory {
    pub records: Vec<Value>,
    /// Events a page, at most.
    pub page: usize,
    /// The numbers of the calls that are throttled, from 0 on.
    pub throttled: Vec<usize>,
    /// Attributes whose events never end.
    pub endless: Vec<&'static str>,
    calls: Mutex<usize>,
}

impl Default for EventHistory {
    fn default() -> Self {
        Self::of(Vec::new())
    }
}

impl EventHistory {
    pub fn of(records: Vec<Value>) -> Self {
        Self {
            records,
            page: 50,
            throttled: Vec::new(),
            endless: Vec::new(),
            calls: Mutex::default(),
        }
    }

    /// A status and an answer.
    pub fn answer(&self, region: &str, asked: &Value) -> (u16, Value) {
        let number = {
            let mut calls = self.calls.lock().unwrap();
            *calls += 1;
            *calls - 1
        };
        if self.throttled.contains(&number) {
            return (
                400,
                json!({"__type": "ThrottlingException", "message": "Rate exceeded"}),
            );
        }
        let attributes = asked["LookupAttributes"].as_array().unwrap();
        let [attribute] = attributes.as_slice() else {
            return (
                400,
                json!({"__type": "InvalidLookupAttributesException", "message": "one"}),
            );
        };
        let key = attribute["AttributeKey"].as_str().unwrap();
        let value = attribute["AttributeValue"].as_str().unwrap();
        let seconds = |name: &str| asked[name].as_f64();
        let (from, until) = (seconds("StartTime"), seconds("EndTime"));
        if from.zip(until).is_some_and(|(from, until)| from > until) {
            return (
                400,
                json!({"__type": "InvalidTimeRangeException", "message": "no"}),
            );
        }
        // A token belongs to what was asked for with it.
        let question = format!("{region}/{key}/{value}/{from:?}/{until:?}");
        let first = match asked["NextToken"].as_str() {
            None => 0,
            Some(token) => match token.rsplit_once('#') {
                Some((of, first)) if of == question => first.parse().unwrap(),
                _ => {
                    return (
                        400,
                        json!({"__type": "InvalidNextTokenException", "message": "no"}),
                    );
                }
            },
        };
        let most = usize::try_from(asked["MaxResults"].as_u64().unwrap_or(50)).unwrap();
        assert!(most <= 50);
        let most = most.min(self.page);
        if self.endless.contains(&key) {
            let records: Vec<_> = (0..most)
                .map(|number| filler(region, value, until, first + number))
                .collect();
            let next = format!("{question}#{}", first + most);
            return (200, page_of(&records, Some(&next)));
        }
        let now = jiff::Timestamp::now();
        let mut found: Vec<_> = self
            .records
            .iter()
            .filter(|record| now.duration_since(time_of(record)).as_hours() < 90 * 24)
            .filter(|record| record["awsRegion"] == region && names(record, key).contains(&value))
            .filter(|record| {
                let time = seconds_of(record);
                from.is_none_or(|from| time >= from) && until.is_none_or(|until| time <= until)
            })
            .cloned()
            .collect();
        found.sort_by(|a, b| seconds_of(b).total_cmp(&seconds_of(a)));
        let last = (first + most).min(found.len());
        let next = (last < found.len()).then(|| format!("{question}#{last}"));
        (200, page_of(&found[first..last], next.as_deref()))
    }
}

fn page_of(records: &[Value], next: Option<&str>) -> Value {
    match Answer::page(records, next) {
        Answer::Page(page) => page,
        _ => unreachable!(),
    }
}

fn time_of(record: &Value) -> jiff::Timestamp {
    record["eventTime"].as_str().unwrap().parse().unwrap()
}

#[allow(clippy::cast_precision_loss)] // seconds of our time
fn seconds_of(record: &Value) -> f64 {
    time_of(record).as_second() as f64
}

/// What a record is found by.
fn names<'a>(record: &'a Value, key: &str) -> Vec<&'a str> {
    let identity = &record["userIdentity"];
    let response = &record["responseElements"];
    match key {
        "EventId" => record["eventID"].as_str().into_iter().collect(),
        "EventName" => record["eventName"].as_str().into_iter().collect(),
        "AccessKeyId" => identity["accessKeyId"].as_str().into_iter().collect(),
        "Username" => {
            let session = identity["arn"]
                .as_str()
                .and_then(|arn| arn.rsplit('/').next());
            let root = (identity["type"] == "Root").then_some("root");
            let name = identity["userName"].as_str().or(root).or(session);
            name.into_iter().collect()
        }
        "ResourceName" => {
            let resources = record["resources"].as_array().into_iter().flatten();
            let resources = resources.filter_map(|resource| resource["ARN"].as_str());
            let keys =
                ["credentials", "accessKey"].map(|name| response[name]["accessKeyId"].as_str());
            resources.chain(keys.into_iter().flatten()).collect()
        }
        other => panic!("{other}"),
    }
}

/// A call of a busy account, a second before the one before it.
fn filler(region: &str, user: &str, until: Option<f64>, number: usize) -> Value {
    #[allow(clippy::cast_possible_truncation)] // seconds of our time
    let last = until.map_or(1_790_000_000, |until| until as i64);
    let time = jiff::Timestamp::from_second(last - i64::try_from(number).unwrap()).unwrap();
    json!({
        "eventID": format!("{user}-{number}"),
        "eventTime": time.to_string(),
        "eventSource": "s3.amazonaws.com",
        "eventName": "ListBuckets",
        "awsRegion": region,
        "sourceIPAddress": "192.0.2.77",
        "userIdentity": {
            "type": "IAMUser",
            "principalId": "AIDASOMEBODYELSE",
            "arn": "arn:aws:iam::111122223333:user/other/busy",
            "accountId": "111122223333",
            "accessKeyId": "AKIAIOSFODNN7OTHER00",
            "userName": user
        }
    })
}
