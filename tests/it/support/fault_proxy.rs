//! A proxy between the function and moto that breaks chosen calls on the wire.

use std::io::{BufRead, BufReader, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::moto::moto;

/// What goes wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nobody listens for a while.
    Refused,
    /// The connection ends before the server has seen the call.
    ResetBefore,
    /// The server acts, and the connection ends before the answer.
    ResetAfter,
    Error500,
    /// The server acts, and the answer says that it failed.
    Error500After,
    Throttled503,
    /// The write meets a transaction.
    Conflict,
    NoAnswer,
    /// The process is stopped, its connection dies meanwhile, and it goes on.
    Freeze,
    Garbage,
    /// The server acts, and the answer comes a byte at a time.
    SlowBody,
}

impl Fault {
    /// Whether the server acts all the same.
    pub fn acts(self) -> bool {
        matches!(
            self,
            Self::ResetAfter | Self::Error500After | Self::SlowBody
        )
    }
}

pub const FAULTS: [Fault; 11] = [
    Fault::Refused,
    Fault::ResetBefore,
    Fault::ResetAfter,
    Fault::Error500,
    Fault::Error500After,
    Fault::Throttled503,
    Fault::Conflict,
    Fault::NoAnswer,
    Fault::Freeze,
    Fault::Garbage,
    Fault::SlowBody,
];

/// Which calls are broken, how, and how often.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// A word of the request that tells the call.
    pub word: &'static str,
    pub fault: Fault,
    pub times: usize,
    /// The function's process.
    pub process: u32,
}

/// Says of each request whether and how it is broken.
pub type Chance = Box<dyn FnMut(&str) -> Option<Fault> + Send>;

pub struct FaultProxy {
    pub port: u16,
    plan: Mutex<Option<Plan>>,
    chance: Mutex<Option<Chance>>,
    /// The listener is to be closed for a second.
    refuse: AtomicBool,
    /// How often the plan's fault has happened.
    pub happened: Mutex<usize>,
    /// Bodies of the publish requests that SNS took.
    pub published: Mutex<Vec<Vec<(String, String)>>>,
}

impl FaultProxy {
    pub fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Arc::new(Self {
            port: listener.local_addr().unwrap().port(),
            plan: Mutex::default(),
            chance: Mutex::default(),
            refuse: AtomicBool::default(),
            happened: Mutex::default(),
            published: Mutex::default(),
        });
        let this = Arc::clone(&proxy);
        std::thread::spawn(move || this.accept(listener));
        proxy
    }

    fn accept(self: Arc<Self>, mut listener: TcpListener) {
        loop {
            listener.set_nonblocking(true).unwrap();
            match listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false).unwrap();
                    let this = Arc::clone(&self);
                    std::thread::spawn(move || this.connection(stream));
                }
                Err(_) => std::thread::sleep(Duration::from_millis(2)),
            }
            if self.refuse.swap(false, Ordering::SeqCst) {
                drop(listener);
                std::thread::sleep(Duration::from_secs(1));
                listener = TcpListener::bind(("127.0.0.1", self.port)).unwrap();
            }
        }
    }

    pub fn plan(&self, plan: Option<Plan>) {
        *self.happened.lock().unwrap() = 0;
        *self.plan.lock().unwrap() = plan;
    }

    /// Breaks calls by chance, whatever they are.
    pub fn leave_to(&self, chance: Chance) {
        *self.chance.lock().unwrap() = Some(chance);
    }

    /// The fault for this request, if it has one, and the process that it befalls.
    fn fault(&self, request: &Message) -> Option<(Fault, u32)> {
        if let Some(chance) = &mut *self.chance.lock().unwrap() {
            return chance(&request.text()).map(|fault| (fault, 0));
        }
        let plan = (*self.plan.lock().unwrap())?;
        let mut happened = self.happened.lock().unwrap();
        if !request.text().contains(plan.word) || *happened >= plan.times {
            return None;
        }
        *happened += 1;
        Some((plan.fault, plan.process))
    }

    fn connection(&self, mut stream: TcpStream) {
        let mut requests = BufReader::new(stream.try_clone().unwrap());
        while let Some(request) = Message::read(&mut requests) {
            let fault = self.fault(&request);
            let acts = fault.is_none_or(|(fault, _)| fault.acts());
            let answer = acts.then(|| self.forward(&request));
            let Some((fault, process)) = fault else {
                let _ = stream.write_all(&answer.unwrap());
                continue;
            };
            match fault {
                Fault::Refused => {
                    self.refuse.store(true, Ordering::SeqCst);
                    let _ = stream.shutdown(Shutdown::Both);
                    return;
                }
                Fault::ResetBefore | Fault::ResetAfter => {
                    let _ = stream.shutdown(Shutdown::Both);
                    return;
                }
                Fault::Error500 | Fault::Error500After => {
                    respond(&mut stream, 500, "InternalServerError");
                }
                Fault::Throttled503 => respond(&mut stream, 503, "ThrottlingException"),
                // A transaction says it in another way than a single write.
                Fault::Conflict if request.text().contains("TransactWriteItems") => answer_with(
                    &mut stream,
                    400,
                    &json!({
                        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
                        "Message": "Transaction cancelled",
                        "CancellationReasons": [{"Code": "TransactionConflict"}, {"Code": "None"}],
                    }),
                ),
                Fault::Conflict => respond(&mut stream, 400, "TransactionConflictException"),
                Fault::NoAnswer => {
                    std::thread::sleep(Duration::from_secs(8));
                    return;
                }
                Fault::Freeze => {
                    signal("-STOP", process);
                    std::thread::sleep(Duration::from_millis(1500));
                    signal("-CONT", process);
                    // Half open: what comes on it is never answered.
                    std::thread::sleep(Duration::from_secs(8));
                    return;
                }
                Fault::Garbage => {
                    let _ = stream
                        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n\xff\x00garbage");
                }
                Fault::SlowBody => {
                    for byte in answer.unwrap() {
                        if stream.write_all(&[byte]).is_err() {
                            return;
                        }
                        std::thread::sleep(Duration::from_millis(20));
                    }
                }
            }
        }
    }

    fn forward(&self, request: &Message) -> Vec<u8> {
        let mut server = TcpStream::connect(("127.0.0.1", moto().port)).unwrap();
        let head = request.head.replace("\r\nconnection:", "\r\nx-connection:");
        let (line, headers) = head.split_once("\r\n").unwrap();
        let mut sent = format!("{line}\r\nconnection: close\r\n{headers}").into_bytes();
        sent.extend(&request.body);
        server.write_all(&sent).unwrap();
        // Not to the end of the connection, which moto keeps open for a while.
        let answer = Message::read(&mut BufReader::new(server)).unwrap();
        if answer.head.starts_with("HTTP/1.1 200") && request.text().contains("Action=Publish") {
            let form = form_urlencoded::parse(&request.body).into_owned().collect();
            self.published.lock().unwrap().push(form);
        }
        // The connection to the function stays open.
        let kept: Vec<_> = answer
            .head
            .trim_end()
            .lines()
            .filter(|line| !line.to_ascii_lowercase().starts_with("connection:"))
            .collect();
        let mut passed = format!("{}\r\n\r\n", kept.join("\r\n")).into_bytes();
        passed.extend(answer.body);
        passed
    }
}

/// A request or an answer: a head, and a body of the length that it says.
struct Message {
    head: String,
    body: Vec<u8>,
}

impl Message {
    fn read(stream: &mut impl BufRead) -> Option<Self> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read_until(b'\n', &mut head).ok()? == 0 {
                return None;
            }
        }
        let head = String::from_utf8(head).unwrap();
        let length = head
            .lines()
            .find_map(|line| {
                line.to_ascii_lowercase()
                    .strip_prefix("content-length:")
                    .map(str::to_owned)
            })
            .map_or(0, |length| length.trim().parse().unwrap());
        let mut body = vec![0; length];
        stream.read_exact(&mut body).ok()?;
        Some(Self { head, body })
    }

    fn text(&self) -> String {
        format!("{}{}", self.head, String::from_utf8_lossy(&self.body))
    }
}

fn respond(stream: &mut TcpStream, status: u16, code: &str) {
    let kind = format!("com.amazonaws.dynamodb.v20120810#{code}");
    answer_with(stream, status, &json!({"__type": kind, "message": "no"}));
}

fn answer_with(stream: &mut TcpStream, status: u16, body: &Value) {
    let json = body.to_string();
    let _ = write!(
        stream,
        "HTTP/1.1 {status} X\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\n\r\n{json}",
        json.len()
    );
}

fn signal(signal: &str, process: u32) {
    let _ = Command::new("kill")
        .args([signal, &process.to_string()])
        .status();
}
