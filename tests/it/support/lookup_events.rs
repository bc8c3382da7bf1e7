//! A stub of CloudTrail's `LookupEvents`, which moto lacks: it answers what it
//! is told to, in turn, with records as strings, as the real one does. It answers
//! for STS too, so that its caller can be of any account.

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
                    "EventName": "PutImage",
                    "ReadOnly": "false",
                    "EventTime": time.as_second(),
                    "EventSource": "ecr.amazonaws.com",
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
