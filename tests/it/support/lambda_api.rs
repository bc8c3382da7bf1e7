//! A stub of Lambda's `Invoke`, which moto can't answer without containers: the built
//! function handles each event, and its answer or error is passed on as Lambda does.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tiny_http::{Header, Response, Server};

use super::lambda::Function;

pub struct LambdaApi {
    port: u16,
    /// The ids of the events that it was invoked with.
    pub invoked: Arc<Mutex<Vec<String>>>,
}

/// What it does with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invocation {
    Handled,
    /// The function fails on it.
    Fails,
    /// The caller may not invoke it.
    Denied,
    /// It never answers.
    Hangs,
}

impl LambdaApi {
    /// In front of a function; `how` says what becomes of an event, by its id.
    pub fn before(function: Function, how: impl Fn(&str) -> Invocation + Send + 'static) -> Self {
        let server = Server::http("127.0.0.1:0").unwrap();
        let port = server.server_addr().to_ip().unwrap().port();
        let invoked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&invoked);
        std::thread::spawn(move || {
            for mut request in server.incoming_requests() {
                let url = request.url().to_owned();
                assert_eq!(url, "/2015-03-31/functions/the-function/invocations");
                let mut body = String::new();
                request.as_reader().read_to_string(&mut body).unwrap();
                let event: Value = serde_json::from_str(&body).unwrap();
                let id = event["eventID"]
                    .as_str()
                    .or(event["detail"]["eventID"].as_str());
                let id = id.unwrap().to_owned();
                let how = how(&id);
                noted.lock().unwrap().push(id);
                let failed = Header::from_bytes("X-Amz-Function-Error", "Unhandled").unwrap();
                let response = match how {
                    Invocation::Handled => match function.invoke_text(body) {
                        Ok(answer) => Response::from_string(answer.to_string()),
                        Err(error) => Response::from_string(error.to_string()).with_header(failed),
                    },
                    Invocation::Fails => {
                        let error = json!({"errorType": "RetryableStore", "errorMessage": "down"});
                        Response::from_string(error.to_string()).with_header(failed)
                    }
                    Invocation::Denied => {
                        let code = Header::from_bytes("X-Amzn-Errortype", "AccessDeniedException");
                        Response::from_string(r#"{"Message":"no"}"#)
                            .with_status_code(403)
                            .with_header(code.unwrap())
                    }
                    Invocation::Hangs => {
                        std::mem::forget(request);
                        continue;
                    }
                };
                let _ = request.respond(response);
            }
        });
        Self { port, invoked }
    }

    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Which events came since it was asked last.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.invoked.lock().unwrap())
    }
}
