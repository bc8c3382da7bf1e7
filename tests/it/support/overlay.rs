//! AWS as moto plays it, with answers of the test's own laid over it: for services that
//! moto lacks, and for states that nothing on this machine comes into. They are shaped as
//! AWS's documents say.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tiny_http::{Header, Response, Server};

use super::lambda::forward_to_moto;
use super::moto::moto;

/// An answer: its status, its headers, its body.
pub type Answer = (u16, Vec<(&'static str, &'static str)>, Vec<u8>);
/// What answers a request, by its body; none leaves it to moto.
type Answering = Box<dyn Fn(&str) -> Option<Answer> + Send + Sync>;

pub struct Overlay {
    port: u16,
    answers: Arc<Mutex<HashMap<&'static str, Arc<Answering>>>>,
    asked: Arc<Mutex<Vec<String>>>,
    /// How often an answer was laid over.
    pub laid: AtomicUsize,
}

impl Overlay {
    pub fn start() -> Self {
        let server = Server::http("127.0.0.1:0").unwrap();
        let overlay = Self {
            port: server.server_addr().to_ip().unwrap().port(),
            answers: Arc::default(),
            asked: Arc::default(),
            laid: AtomicUsize::default(),
        };
        let (answers, asked) = (Arc::clone(&overlay.answers), Arc::clone(&overlay.asked));
        std::thread::spawn(move || {
            for mut request in server.incoming_requests() {
                let (answers, asked) = (Arc::clone(&answers), Arc::clone(&asked));
                std::thread::spawn(move || {
                    let mut body = Vec::new();
                    request.as_reader().read_to_end(&mut body).unwrap();
                    let text = String::from_utf8_lossy(&body).into_owned();
                    let operation = operation(&request, &text);
                    asked.lock().unwrap().push(operation.clone());
                    let answering = answers.lock().unwrap().get(operation.as_str()).cloned();
                    let answer = answering.and_then(|answering| answering(&text));
                    let (status, headers, body) = match answer {
                        Some((status, headers, body)) => {
                            let text = |text: &str| text.to_owned();
                            let headers = headers.into_iter();
                            let headers = headers.map(|(name, value)| (text(name), text(value)));
                            (status, headers.collect(), body)
                        }
                        None => forward_to_moto(to_moto(&request, body)),
                    };
                    let mut response = Response::from_data(body).with_status_code(status);
                    for (name, value) in headers {
                        let header = Header::from_bytes(name.as_str(), value.as_str());
                        response.add_header(header.unwrap());
                    }
                    let _ = request.respond(response);
                });
            }
        });
        overlay
    }

    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Answers an operation from now on.
    pub fn answer(&self, operation: &'static str, answer: Answer) {
        self.answer_by(operation, move |_| Some(answer.clone()));
    }

    /// Answers an operation by its request, where there is an answer to it.
    pub fn answer_by(
        &self,
        operation: &'static str,
        answering: impl Fn(&str) -> Option<Answer> + Send + Sync + 'static,
    ) {
        let answering: Answering = Box::new(answering);
        self.laid.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock().unwrap();
        answers.insert(operation, Arc::new(answering));
    }

    /// Leaves all to moto again.
    pub fn clear(&self) {
        self.answers.lock().unwrap().clear();
    }

    /// The operations that were asked for.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn to_moto(request: &tiny_http::Request, body: Vec<u8>) -> ureq::http::Request<Vec<u8>> {
    let mut forward = ureq::http::Request::builder()
        .method(request.method().to_string().as_str())
        .uri(format!("http://127.0.0.1:{}{}", moto().port, request.url()));
    for header in request.headers() {
        let name = header.field.as_str().as_str();
        if !name.eq_ignore_ascii_case("content-length") {
            forward = forward.header(name, header.value.as_str());
        }
    }
    forward.body(body).unwrap()
}

/// The operation: in a header, in the path, in the form, or, for Lambda, what method and
/// path stand for.
fn operation(request: &tiny_http::Request, body: &str) -> String {
    let mut headers = request.headers().iter();
    if let Some(target) = headers.find(|header| header.field.equiv("x-amz-target")) {
        return target.value.as_str().rsplit('.').next().unwrap().to_owned();
    }
    let path = request.url().split('?').next().unwrap();
    let last = path.trim_end_matches('/').rsplit('/').next().unwrap();
    if path.contains("/operation/") {
        return last.to_owned();
    }
    let of_lambda = match last {
        "configuration" => "GetFunctionConfiguration",
        "policy" => "GetPolicy",
        "concurrency" => "GetFunctionConcurrency",
        "event-invoke-config" => "GetFunctionEventInvokeConfig",
        "event-source-mappings" => "ListEventSourceMappings",
        "invocations" => "Invoke",
        _ => {
            let form = form_urlencoded::parse(body.as_bytes());
            let mut actions = form.filter(|(name, _)| name == "Action");
            return actions
                .next()
                .map_or_else(String::new, |(_, action)| action.into_owned());
        }
    };
    of_lambda.to_owned()
}

pub fn json(status: u16, body: &Value) -> Answer {
    let headers = vec![("content-type", "application/x-amz-json-1.1")];
    (status, headers, body.to_string().into_bytes())
}

pub fn xml(status: u16, body: &str) -> Answer {
    (
        status,
        vec![("content-type", "text/xml")],
        body.as_bytes().to_vec(),
    )
}

/// As CloudWatch answers. A text that begins with `@` is a time, in seconds.
pub fn cbor(status: u16, body: &Value) -> Answer {
    let headers = vec![
        ("content-type", "application/cbor"),
        ("smithy-protocol", "rpc-v2-cbor"),
    ];
    let mut bytes = Vec::new();
    encode(&mut bytes, body);
    (status, headers, bytes)
}

fn encode(bytes: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => bytes.push(0xf6),
        Value::Bool(value) => bytes.push(if *value { 0xf5 } else { 0xf4 }),
        Value::Number(number) => match number.as_u64() {
            Some(number) => head(bytes, 0, number),
            None => float(bytes, number.as_f64().unwrap()),
        },
        Value::String(text) => {
            if let Some(seconds) = text.strip_prefix('@') {
                bytes.push(0xc1);
                float(bytes, seconds.parse().unwrap());
            } else {
                head(bytes, 3, text.len() as u64);
                bytes.extend_from_slice(text.as_bytes());
            }
        }
        Value::Array(values) => {
            head(bytes, 4, values.len() as u64);
            for value in values {
                encode(bytes, value);
            }
        }
        Value::Object(fields) => {
            head(bytes, 5, fields.len() as u64);
            for (name, value) in fields {
                encode(bytes, &Value::from(name.as_str()));
                encode(bytes, value);
            }
        }
    }
}

/// The head of an item: its major type, and a length or number of eight bytes.
fn head(bytes: &mut Vec<u8>, major: u8, number: u64) {
    bytes.push(major << 5 | 0x1b);
    bytes.extend_from_slice(&number.to_be_bytes());
}

fn float(bytes: &mut Vec<u8>, number: f64) {
    bytes.push(0xfb);
    bytes.extend_from_slice(&number.to_be_bytes());
}
