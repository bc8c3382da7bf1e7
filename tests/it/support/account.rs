//! An AWS account as an investigation sees it: CloudTrail's event history, Inspector, tasks
//! of ECS and functions of Lambda are stubs, all else is moto's.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tiny_http::{Header, Method, Request, Response, Server};

use super::lookup_events::EventHistory;
use super::moto::moto;

/// What is in the account, and what its caller may not do.
#[derive(Default)]
pub struct Account {
    pub history: EventHistory,
    /// Rights that are missing: `ecr:DescribeImages`, or `ecs` for all of a service.
    pub denied: Vec<&'static str>,
    /// What Inspector answers where an image runs, by the end of its id; none where enhanced
    /// scanning is off.
    pub inspector: Option<BTreeMap<String, Value>>,
    /// What refers to an image. Without it moto is asked, which lacks the call.
    pub referrers: Option<Value>,
    /// The containers of each running task, by cluster. Without it moto is asked.
    pub tasks: Option<BTreeMap<String, Vec<Value>>>,
    /// Functions that are images: their names, and the image that each runs.
    pub functions: Vec<(&'static str, String)>,
}

/// A call, as it was asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    pub at: Instant,
    /// `ecr:DescribeImages`
    pub right: String,
    pub region: String,
    pub body: Value,
}

/// The account, served.
pub struct Served {
    port: u16,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Account {
    pub fn serve(self) -> Served {
        let server = Arc::new(Server::http("127.0.0.1:0").unwrap());
        let port = server.server_addr().to_ip().unwrap().port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let account = Arc::new(self);
        // Both regions ask at once.
        for _ in 0..4 {
            let (server, account) = (Arc::clone(&server), Arc::clone(&account));
            let seen = Arc::clone(&asked);
            std::thread::spawn(move || {
                for request in server.incoming_requests() {
                    account.answer(request, &seen);
                }
            });
        }
        Served { port, asked }
    }

    fn answer(&self, mut request: Request, seen: &Mutex<Vec<Asked>>) {
        let mut text = String::new();
        request.as_reader().read_to_string(&mut text).unwrap();
        let scope = header(&request, "authorization").unwrap();
        // AWS4-HMAC-SHA256 Credential=KEY/DAY/REGION/SERVICE/aws4_request, …
        let mut scope = scope.split('/').skip(2).map(str::to_owned);
        let (region, service) = (scope.next().unwrap(), scope.next().unwrap());
        let operation = operation(&request, &text);
        let right = format!("{service}:{operation}");
        let body: Value = serde_json::from_str(&text).unwrap_or_default();
        let at = Instant::now();
        seen.lock().unwrap().push(Asked {
            at,
            right: right.clone(),
            region: region.clone(),
            body: body.clone(),
        });
        if self
            .denied
            .iter()
            .any(|denied| *denied == right || *denied == service)
        {
            let message = format!(
                "User: arn:aws:iam::111122223333:user/reader is not authorized to perform: \
                 {right} on resource: * because no identity-based policy allows the {right} action"
            );
            let denied = json!({"__type": "AccessDeniedException", "message": message});
            respond(request, 400, &denied);
            return;
        }
        let answer = match right.as_str() {
            "cloudtrail:LookupEvents" => Some(self.history.answer(&region, &body)),
            "ecr:GetRegistryScanningConfiguration" => {
                let kind = self.inspector.as_ref().map_or("BASIC", |_| "ENHANCED");
                let set = json!({"scanType": kind, "rules": []});
                Some((
                    200,
                    json!({"registryId": "111122223333", "scanningConfiguration": set}),
                ))
            }
            "inspector2:GetClustersForImage" => {
                let id = body["filter"]["resourceId"].as_str().unwrap();
                let known = self.inspector.iter().flatten();
                let mut known = known.filter(|(end, _)| id.ends_with(end.as_str()));
                let clusters = known
                    .next()
                    .map_or(json!([]), |(_, clusters)| clusters.clone());
                Some((200, json!({"cluster": clusters})))
            }
            "ecr:ListImageReferrers" => self
                .referrers
                .as_ref()
                .map(|referrers| (200, json!({"referrers": referrers}))),
            "ecs:ListClusters" => self.tasks.as_ref().map(|tasks| {
                let arns: Vec<_> = tasks.keys().map(|name| cluster_arn(name)).collect();
                (200, json!({"clusterArns": arns}))
            }),
            "ecs:ListTasks" => self
                .tasks
                .as_ref()
                .map(|tasks| (200, list_tasks(tasks, &body))),
            "ecs:DescribeTasks" => self
                .tasks
                .as_ref()
                .map(|tasks| (200, describe_tasks(tasks, &body))),
            "lambda:ListFunctions" => Some((200, self.list_functions())),
            "lambda:GetFunction" => Some((200, self.function(request.url()))),
            _ => None,
        };
        match answer {
            Some((status, answer)) => respond(request, status, &answer),
            None => forward(request, &text),
        }
    }

    fn list_functions(&self) -> Value {
        let functions = self.functions.iter().map(|(name, _)| {
            json!({
                "FunctionName": name,
                "FunctionArn": function_arn(name),
                "PackageType": "Image",
                "Environment": {"Variables": {"TOKEN": "hunter2"}}
            })
        });
        let zip = json!({
            "FunctionName": "zip",
            "FunctionArn": function_arn("zip"),
            "PackageType": "Zip"
        });
        let functions: Vec<_> = functions.chain([zip]).collect();
        json!({"Functions": functions})
    }

    fn function(&self, url: &str) -> Value {
        let url = url.replace("%3A", ":").replace("%24", "$");
        let mut functions = self.functions.iter();
        let (name, image) = functions.find(|(name, _)| url.contains(name)).unwrap();
        json!({
            "Configuration": {
                "FunctionName": name,
                "FunctionArn": function_arn(name),
                "Environment": {"Variables": {"TOKEN": "hunter2"}}
            },
            "Code": {
                "RepositoryType": "ECR",
                "ImageUri": image.split('@').next().unwrap(),
                "ResolvedImageUri": image
            }
        })
    }
}

impl Served {
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// The lookups: region, attribute and value of each.
    pub fn lookups(&self) -> Vec<(String, String, String)> {
        let asked = self.asked().into_iter();
        let lookups = asked.filter(|asked| asked.right == "cloudtrail:LookupEvents");
        lookups
            .map(|asked| {
                let attribute = &asked.body["LookupAttributes"][0];
                let text = |name: &str| attribute[name].as_str().unwrap().to_owned();
                (asked.region, text("AttributeKey"), text("AttributeValue"))
            })
            .collect()
    }

    /// The shortest time between two lookups in a region.
    pub fn least_pause(&self, region: &str) -> Duration {
        let asked = self.asked();
        let at: Vec<_> = asked
            .iter()
            .filter(|asked| asked.right == "cloudtrail:LookupEvents" && asked.region == region)
            .map(|asked| asked.at)
            .collect();
        at.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap()
    }
}

pub fn cluster_arn(name: &str) -> String {
    format!("arn:aws:ecs:eu-central-1:111122223333:cluster/{name}")
}

pub fn task_arn(cluster: &str, number: usize) -> String {
    format!("arn:aws:ecs:eu-central-1:111122223333:task/{cluster}/{number:032}")
}

fn function_arn(name: &str) -> String {
    format!("arn:aws:lambda:eu-central-1:111122223333:function:{name}:$LATEST")
}

fn list_tasks(tasks: &BTreeMap<String, Vec<Value>>, body: &Value) -> Value {
    let cluster = body["cluster"]
        .as_str()
        .unwrap()
        .rsplit('/')
        .next()
        .unwrap();
    let first: usize = body["nextToken"]
        .as_str()
        .map_or(0, |token| token.parse().unwrap());
    let most = usize::try_from(body["maxResults"].as_u64().unwrap_or(100)).unwrap();
    assert!(most <= 100);
    let count = tasks[cluster].len();
    let last = (first + most).min(count);
    let arns: Vec<_> = (first..last)
        .map(|number| task_arn(cluster, number))
        .collect();
    let next = (last < count).then(|| last.to_string());
    json!({"taskArns": arns, "nextToken": next})
}

fn describe_tasks(tasks: &BTreeMap<String, Vec<Value>>, body: &Value) -> Value {
    let asked = body["tasks"].as_array().unwrap();
    assert!((1..=100).contains(&asked.len()));
    let described = asked.iter().map(|arn| {
        let mut parts = arn.as_str().unwrap().rsplit('/');
        let number: usize = parts.next().unwrap().parse().unwrap();
        let cluster = parts.next().unwrap();
        json!({
            "taskArn": arn,
            "clusterArn": cluster_arn(cluster),
            "lastStatus": "RUNNING",
            "containers": [tasks[cluster][number]]
        })
    });
    json!({"tasks": described.collect::<Vec<_>>(), "failures": []})
}

fn operation(request: &Request, body: &str) -> String {
    if let Some(target) = header(request, "x-amz-target") {
        return target.rsplit('.').next().unwrap().to_owned();
    }
    let action = form_urlencoded::parse(body.as_bytes()).find(|(name, _)| name == "Action");
    if let Some((_, action)) = action {
        return action.into_owned();
    }
    let path = request.url().split('?').next().unwrap();
    match path {
        "/cluster/get" => "GetClustersForImage",
        _ if path.trim_end_matches('/').ends_with("/functions") => "ListFunctions",
        _ if path.contains("/functions/") => "GetFunction",
        _ => path,
    }
    .to_owned()
}

fn header(request: &Request, name: &str) -> Option<String> {
    let mut headers = request.headers().iter();
    let found = headers.find(|header| header.field.as_str().as_str().eq_ignore_ascii_case(name));
    found.map(|header| header.value.to_string())
}

fn respond(request: Request, status: u16, answer: &Value) {
    let kind = Header::from_bytes("content-type", "application/x-amz-json-1.1").unwrap();
    let error = answer["__type"].as_str().unwrap_or_default().to_owned();
    let mut response = Response::from_string(answer.to_string()).with_status_code(status);
    response.add_header(kind);
    if !error.is_empty() {
        // Where a service is asked by paths, the error is named here.
        response.add_header(Header::from_bytes("x-amzn-errortype", error).unwrap());
    }
    let _ = request.respond(response);
}

/// To moto.
fn forward(request: Request, body: &str) {
    let url = format!("{}{}", moto().address(), request.url());
    assert_eq!(*request.method(), Method::Post, "{url}");
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .into();
    let mut forwarded = agent.post(&url);
    for name in [
        "authorization",
        "x-amz-target",
        "content-type",
        "x-amz-date",
    ] {
        if let Some(value) = header(&request, name) {
            forwarded = forwarded.header(name, value);
        }
    }
    let mut answer = forwarded.send(body).unwrap();
    let status = answer.status().as_u16();
    let text = answer.body_mut().read_to_string().unwrap();
    let mut response = Response::from_string(text).with_status_code(status);
    for (name, value) in answer.headers() {
        if name.as_str().starts_with("x-amz") {
            let kept = Header::from_bytes(name.as_str(), value.as_bytes()).unwrap();
            response.add_header(kept);
        }
    }
    let _ = request.respond(response);
}
