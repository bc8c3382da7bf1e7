//! The built function, run by a Runtime API of the test's own, with a proxy
//! between it and AWS that counts its calls.

use std::process::{Child, Command, Stdio};
use std::str::FromStr as _;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use tiny_http::{Header, Response, Server};

use crate::support::moto::{REGION, Stack, moto};

/// What a handler is told: the answer, or the error.
pub type Invoked = Result<Value, Value>;

/// The function that is tested: this build's, or that of `PUSHWATCH_LAMBDA`.
fn binary() -> String {
    let own = || env!("CARGO_BIN_EXE_pushwatch-lambda").to_owned();
    std::env::var("PUSHWATCH_LAMBDA").unwrap_or_else(|_| own())
}

/// The calls of a push that is reported at once.
pub const TOLD: [&str; 5] = [
    "UpdateItem",
    "TransactWriteItems",
    "UpdateItem",
    "Publish",
    "UpdateItem",
];

/// How often it is asked whether a process still runs.
const POLL: Duration = Duration::from_millis(20);
/// Longer than the function has for any event.
const MOST: Duration = Duration::from_secs(40);

/// The function's process, a Runtime API and a proxy.
pub struct Function {
    child: Child,
    api: Arc<Server>,
    events: Sender<String>,
    results: Mutex<Receiver<Invoked>>,
    pub proxy: Arc<Proxy>,
    /// How long the function has for an event.
    seconds: Arc<AtomicU64>,
    stderr: Arc<Mutex<String>>,
    stdout: Arc<Mutex<String>>,
}

impl Function {
    /// Starts the function on the stack, with more settings.
    pub fn start(stack: &Stack, settings: &[(&str, &str)]) -> Self {
        let proxy = Proxy::start();
        let (events, next_event) = channel::<String>();
        let (result, results) = channel();
        let seconds = Arc::new(AtomicU64::new(30));
        let api = runtime_api(next_event, result, Arc::clone(&seconds));
        let api_address = api.server_addr().to_string();
        let endpoint = proxy.address();
        let mut child = Command::new(binary())
            .env_clear()
            .envs([
                ("AWS_LAMBDA_RUNTIME_API", api_address.as_str()),
                ("AWS_LAMBDA_FUNCTION_NAME", "pushwatch"),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
                ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
                ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/pushwatch"),
                ("AWS_LAMBDA_LOG_STREAM_NAME", "stream"),
                ("AWS_REGION", REGION),
                ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
                ("AWS_SECRET_ACCESS_KEY", "secret"),
                ("AWS_ENDPOINT_URL", endpoint.as_str()),
                ("UPLOADERS_TABLE", stack.uploaders.as_str()),
                ("FINDINGS_TABLE", stack.findings.as_str()),
                ("FINDINGS_TOPIC_ARN", stack.topic_arn.as_str()),
            ])
            .envs(settings.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = collect(child.stdout.take().unwrap());
        let stderr = collect(child.stderr.take().unwrap());
        Self {
            child,
            api,
            events,
            results: Mutex::new(results),
            proxy,
            seconds,
            stderr,
            stdout,
        }
    }

    /// Hands over an event and waits for the answer.
    pub fn invoke(&self, event: &Value) -> Invoked {
        self.invoke_text(event.to_string())
    }

    pub fn invoke_text(&self, event: String) -> Invoked {
        self.proxy.calls.lock().unwrap().clear();
        self.events.send(event).unwrap();
        self.results
            .lock()
            .unwrap()
            .recv_timeout(Duration::from_secs(30))
            .expect("the function answers")
    }

    /// Hands over an event; waits until the process is gone. One that answers
    /// first, since a busy machine made it give up on a call, is killed then.
    pub fn invoke_until_killed(&mut self, event: &Value) {
        self.events.send(event.to_string()).unwrap();
        let answered = |results: &Receiver<Invoked>| {
            let answer = results.recv_timeout(Duration::from_millis(20));
            answer.is_ok()
        };
        while self.child.try_wait().unwrap().is_none() {
            if answered(self.results.get_mut().unwrap()) {
                let _ = self.child.kill();
            }
        }
        let _ = self.child.wait();
    }

    /// Hands over an event, and kills the process after this time, if it is given one, or
    /// when it has answered. None if it was killed before.
    pub fn invoke_and_kill(
        &mut self,
        event: String,
        kill_after: Option<Duration>,
    ) -> Option<Invoked> {
        self.events.send(event).unwrap();
        let began = Instant::now();
        let time_left = |until: Duration| until.saturating_sub(began.elapsed());
        loop {
            let poll = kill_after.map_or(POLL, |after| time_left(after).min(POLL));
            let mut answer = self.results.get_mut().unwrap().recv_timeout(poll).ok();
            let is_over = |after: Duration| answer.is_some() || time_left(after).is_zero();
            if kill_after.is_some_and(is_over) {
                self.child.kill().unwrap();
                self.child.wait().unwrap();
                // It may have come meanwhile.
                let results = self.results.get_mut().unwrap();
                answer = answer.or_else(|| results.try_recv().ok());
                return answer;
            }
            if answer.is_some() {
                return answer;
            }
            assert!(!time_left(MOST).is_zero(), "the function answers");
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "the function ended: {ended:?}");
        }
    }

    /// Has the process killed when the AWS call of this number (from 0) was
    /// answered, before the answer reaches it.
    pub fn kill_after(&self, call: usize) {
        self.proxy.kill(self.child.id(), call);
    }

    /// How long the function has for each event from now on.
    pub fn give_seconds(&self, seconds: u64) {
        self.seconds.store(seconds, Ordering::SeqCst);
    }

    pub fn sweep(&self) -> Value {
        self.invoke(&scheduled()).unwrap()
    }

    pub fn sweep_until_killed(&mut self) {
        self.invoke_until_killed(&scheduled());
    }

    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// The calls of the last event.
    pub fn calls(&self) -> Vec<String> {
        self.proxy.calls.lock().unwrap().clone()
    }

    /// Waits for the end of a function that does not start.
    pub fn exit(&mut self) -> (Option<i32>, String) {
        let code = self.child.wait().unwrap().code();
        std::thread::sleep(Duration::from_millis(100));
        (code, self.stderr.lock().unwrap().clone())
    }

    /// What it logged, a line each.
    pub fn log(&self) -> Vec<Value> {
        std::thread::sleep(Duration::from_millis(100));
        let text = self.stdout.lock().unwrap().clone();
        text.lines()
            .map(|line| Value::from_str(line).unwrap())
            .collect()
    }

    /// The most memory it has had, in kB.
    pub fn peak_memory(&self) -> u64 {
        self.memory("VmHWM")
    }

    /// What the system says of the memory of the process under this name, in kB.
    pub fn memory(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.api.unblock();
        self.proxy.server.unblock();
    }
}

pub fn scheduled() -> Value {
    serde_json::json!({"detail-type": "Scheduled Event", "source": "aws.events", "detail": {}})
}

fn collect(mut stream: impl std::io::Read + Send + 'static) -> Arc<Mutex<String>> {
    let text = Arc::new(Mutex::new(String::new()));
    let collected = Arc::clone(&text);
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            let piece = String::from_utf8_lossy(&buffer[..length]);
            collected.lock().unwrap().push_str(&piece);
        }
    });
    text
}

/// Serves the Runtime API.
fn runtime_api(
    events: Receiver<String>,
    results: Sender<Invoked>,
    seconds: Arc<AtomicU64>,
) -> Arc<Server> {
    let server = Arc::new(Server::http("127.0.0.1:0").unwrap());
    let serving = Arc::clone(&server);
    std::thread::spawn(move || {
        for mut request in serving.incoming_requests() {
            if request.url().ends_with("/invocation/next") {
                let Ok(event) = events.recv() else { return };
                let now = SystemTime::now()
                    .duration_since(SystemTime::UNIX_EPOCH)
                    .unwrap();
                let seconds = Duration::from_secs(seconds.load(Ordering::SeqCst));
                let deadline = (now + seconds).as_millis().to_string();
                let mut response = Response::from_string(event);
                for (name, value) in [
                    (
                        "Lambda-Runtime-Aws-Request-Id",
                        "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
                    ),
                    ("Lambda-Runtime-Deadline-Ms", deadline.as_str()),
                    (
                        "Lambda-Runtime-Invoked-Function-Arn",
                        "arn:aws:lambda:eu-central-1:111122223333:function:pushwatch",
                    ),
                ] {
                    response.add_header(header(name, value));
                }
                let _ = request.respond(response);
                continue;
            }
            let mut body = String::new();
            request.as_reader().read_to_string(&mut body).unwrap();
            let body = Value::from_str(&body).unwrap_or_default();
            let invoked = if request.url().ends_with("/response") {
                Ok(body)
            } else {
                Err(body)
            };
            let _ = request.respond(Response::empty(202));
            let _ = results.send(invoked);
        }
    });
    server
}

fn header(name: &str, value: &str) -> Header {
    Header::from_bytes(name, value).unwrap()
}

/// Passes calls on to moto, and notes them.
pub struct Proxy {
    server: Server,
    /// `UpdateItem`, `Publish`, …
    pub calls: Mutex<Vec<String>>,
    /// The messages that SNS took: form fields of the requests.
    pub published: Mutex<Vec<Vec<(String, String)>>>,
    /// While it is set, every Publish fails.
    pub sns_is_down: AtomicBool,
    /// While it is set, a Publish with a message structure is refused.
    pub sns_refuses_structure: AtomicBool,
    /// How long SNS takes to accept a message.
    pub sns_seconds: AtomicU64,
    /// How often it was asked to.
    pub asked_to_publish: AtomicUsize,
    /// While it is set, no call is answered.
    pub hang: AtomicBool,
    /// Requests that have this word in them fail.
    failing: Mutex<Option<&'static str>>,
    killed: Mutex<Option<(u32, usize)>>,
    seen: AtomicUsize,
}

impl Proxy {
    pub fn start() -> Arc<Self> {
        let proxy = Arc::new(Self {
            server: Server::http("127.0.0.1:0").unwrap(),
            calls: Mutex::default(),
            published: Mutex::default(),
            sns_is_down: AtomicBool::default(),
            sns_refuses_structure: AtomicBool::default(),
            sns_seconds: AtomicU64::default(),
            asked_to_publish: AtomicUsize::default(),
            hang: AtomicBool::default(),
            failing: Mutex::default(),
            killed: Mutex::default(),
            seen: AtomicUsize::default(),
        });
        let this = Arc::clone(&proxy);
        std::thread::spawn(move || {
            for request in this.server.incoming_requests() {
                this.pass(request);
            }
        });
        proxy
    }

    pub fn fail_requests_with(&self, word: Option<&'static str>) {
        *self.failing.lock().unwrap() = word;
    }

    pub fn address(&self) -> String {
        format!("http://{}", self.server.server_addr())
    }

    fn kill(&self, process: u32, call: usize) {
        self.seen.store(0, Ordering::SeqCst);
        *self.killed.lock().unwrap() = Some((process, call));
    }

    fn pass(&self, mut request: tiny_http::Request) {
        let mut body = Vec::new();
        request.as_reader().read_to_end(&mut body).unwrap();
        let form = form(&body);
        let call = name(&request, &form);
        // A busy machine may answer too late, and the SDK ask again: that is one call.
        let asks_again = request.headers().iter().any(|header| {
            header.field.equiv("amz-sdk-request") && !header.value.as_str().contains("attempt=1")
        });
        if let Some(call) = call.as_ref().filter(|_| !asks_again) {
            self.calls.lock().unwrap().push(call.clone());
        }
        if call.is_some() && self.hang.load(Ordering::SeqCst) {
            // Answered when nobody waits any more.
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_secs(8));
                drop(request);
            });
            return;
        }
        let failing = *self.failing.lock().unwrap();
        if failing.is_some_and(|word| String::from_utf8_lossy(&body).contains(word)) {
            let _ = request.respond(Response::from_string("{}").with_status_code(500));
            return;
        }
        let is_publish = call.as_deref() == Some("Publish");
        if is_publish {
            self.asked_to_publish.fetch_add(1, Ordering::SeqCst);
            let seconds = self.sns_seconds.load(Ordering::SeqCst);
            std::thread::sleep(Duration::from_secs(seconds));
        }
        let structured = form.iter().any(|(name, _)| name == "MessageStructure");
        if is_publish && self.sns_is_down.load(Ordering::SeqCst) {
            let _ = request.respond(error("InternalError", 500));
            return;
        }
        if is_publish && structured && self.sns_refuses_structure.load(Ordering::SeqCst) {
            let _ = request.respond(error("InvalidParameter", 400));
            return;
        }

        let url = format!("http://127.0.0.1:{}{}", moto().port, request.url());
        let method = request.method().to_string();
        let mut forward = ureq::http::Request::builder()
            .method(method.as_str())
            .uri(url);
        for header in request.headers() {
            let name = header.field.as_str().as_str();
            if !name.eq_ignore_ascii_case("content-length") {
                forward = forward.header(name, header.value.as_str());
            }
        }
        let (status, headers, body) = forward_to_moto(forward.body(body).unwrap());

        if is_publish && status == 200 {
            self.published.lock().unwrap().push(form);
        }
        if call.is_some() {
            let number = self.seen.fetch_add(1, Ordering::SeqCst);
            let killed = *self.killed.lock().unwrap();
            if let Some((process, at)) = killed
                && number == at
            {
                let kill = Command::new("kill")
                    .args(["-9", &process.to_string()])
                    .status();
                assert!(kill.unwrap().success());
                return;
            }
        }
        let mut response = Response::from_data(body).with_status_code(status);
        for (name, value) in headers {
            response.add_header(header(&name, &value));
        }
        let _ = request.respond(response);
    }

    /// Subjects and bodies that SNS took: (subject, message).
    pub fn messages(&self) -> Vec<(String, String)> {
        let published = self.published.lock().unwrap();
        let field = |form: &[(String, String)], name: &str| {
            form.iter()
                .find(|(field, _)| field == name)
                .map_or_else(String::new, |(_, value)| value.clone())
        };
        published
            .iter()
            .map(|form| (field(form, "Subject"), field(form, "Message")))
            .collect()
    }

    /// Our own JSON in the machine bodies (`default`) that SNS took.
    pub fn bodies(&self) -> Vec<Value> {
        let messages = self.messages();
        let bodies = messages.iter().map(|(_, message)| {
            let message = Value::from_str(message).unwrap();
            let mut body = Value::from_str(message["default"].as_str().unwrap()).unwrap();
            body["unmapped"]["pushwatch"].take()
        });
        bodies.collect()
    }
}

/// The operation: DynamoDB names it in a header, SNS in the form.
fn name(request: &tiny_http::Request, form: &[(String, String)]) -> Option<String> {
    let target = request
        .headers()
        .iter()
        .find(|header| header.field.equiv("x-amz-target"))
        .and_then(|header| header.value.as_str().rsplit('.').next().map(str::to_owned));
    target.or_else(|| {
        let action = form.iter().find(|(name, _)| name == "Action");
        action.map(|(_, value)| value.clone())
    })
}

fn form(body: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(body).into_owned().collect()
}

fn error(code: &str, status: u16) -> Response<std::io::Cursor<Vec<u8>>> {
    let body = format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>"
    );
    Response::from_string(body).with_status_code(status)
}

/// Makes the call: status, headers and body. One at a time: a transaction that fails
/// puts moto's tables back as they were when it began, whatever came meanwhile.
pub fn forward_to_moto(
    request: ureq::http::Request<Vec<u8>>,
) -> (u16, Vec<(String, String)>, Vec<u8>) {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock();
    let began = Instant::now();
    let config = ureq::Agent::config_builder().http_status_as_error(false);
    let agent = ureq::Agent::new_with_config(config.build());
    let mut answer = agent.run(request).unwrap();
    let body = answer
        .body_mut()
        .with_config()
        .limit(u64::MAX)
        .read_to_vec()
        .unwrap();
    // As long as a write of DynamoDB.
    std::thread::sleep(Duration::from_millis(5).saturating_sub(began.elapsed()));
    let ours = |name: &str| !matches!(name, "content-length" | "connection" | "date" | "server");
    let headers = answer
        .headers()
        .iter()
        .filter(|(name, _)| ours(name.as_str()))
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    (answer.status().as_u16(), headers, body)
}
