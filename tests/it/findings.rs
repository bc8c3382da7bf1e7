//! `pushwatch findings`, and the answers that trust and revocation give.

use serde_json::{Value, json};

use crate::support::block_on;
use crate::support::cli::{Laptop, Ran, pushwatch_on_terminal, succeeded};
use crate::support::deployment::{Deployment, outcome, push};
use crate::support::events::{CI_ROLE, TEST_USER, envelope, record, role_session};
use crate::support::lambda::Function;
use crate::support::moto::{REGION, create_stack};
use crate::support::overlay::{Overlay, xml};

const T1: &str = "2026-01-01T00:00:00Z";
const T2: &str = "2026-01-02T00:00:00Z";

/// A deployment that told of three: a role, and two users.
fn told() -> (Deployment, Function) {
    let laptop = Deployment::new();
    let function = Function::start(&laptop.stack, &[]);
    let role = envelope(&record("1", T1, &role_session("ci/build", "i-0abc")));
    for event in [role, push("2", T1, "test"), push("3", T2, "ada")] {
        assert_eq!(outcome(&function, &event), "finding_published");
    }
    (laptop, function)
}

/// The finding of an event.
fn stored(laptop: &Deployment, event: &str) -> Value {
    let all = block_on(laptop.stack.findings());
    let found = all.into_iter().find(|finding| finding["eventId"] == event);
    found.unwrap()
}

fn id(laptop: &Deployment, event: &str) -> String {
    stored(laptop, event)["findingId"]
        .as_str()
        .unwrap()
        .to_owned()
}

/// The last words of the lines of the table, and what stands below it.
fn listed(ran: &Ran) -> (Vec<&str>, &str) {
    let ids = ran.out.lines().skip(1);
    let ids = ids.map(|line| line.split_whitespace().last().unwrap());
    (ids.collect(), ran.err.trim_end())
}

#[test]
#[ignore = "needs moto"]
fn list_shows_the_newest_first_and_filters() {
    let (laptop, function) = told();
    assert_eq!(outcome(&function, &push("4", T2, "ada")), "known");
    succeeded(laptop.run(&["uploaders", "revoke", CI_ROLE]));
    let again = envelope(&record("5", T2, &role_session("ci/build", "i-0abc")));
    assert_eq!(outcome(&function, &again), "finding_published");
    block_on(async {
        // The first two were decided long ago.
        for (event, decided) in [("1", T1), ("2", T2)] {
            let item: std::collections::HashMap<_, _> =
                serde_dynamo::to_item(with(stored_now(&laptop, event).await, decided)).unwrap();
            laptop.stack.put(&laptop.stack.findings, item).await;
        }
    });
    let list = |args: &[&str]| {
        let ran = succeeded(laptop.run(&[&["findings", "list"], args].concat()));
        let (ids, said) = listed(&ran);
        let ids: Vec<_> = ids.into_iter().map(str::to_owned).collect();
        (ids, said.to_owned())
    };
    let ids = ["1", "2", "3", "5"].map(|event| id(&laptop, event));
    let (all, said) = list(&[]);
    assert_eq!(said, "4 of 4 findings");
    assert_eq!(all[2..], [ids[1].clone(), ids[0].clone()]);
    // That of the role is answered by its revocation, the later one is not.
    let (open, said) = list(&["--open"]);
    assert_eq!(said, "3 of 4 findings");
    assert!(
        !open.contains(&ids[0]) && open.contains(&ids[3]),
        "{open:?}"
    );
    assert_eq!(list(&["--since", "1h"]).0.len(), 2);
    assert_eq!(list(&["--since", T2]).0.len(), 3);
    assert_eq!(list(&["--severity", "critical"]).0, [ids[3].clone()]);
    let (none, said) = list(&["--severity", "critical", "--since", "2099-01-01"]);
    assert!(none.is_empty());
    assert_eq!(said, "There is no such finding.");

    let ran = succeeded(laptop.run(&["findings", "list", "--json", "--severity", "critical"]));
    let finding: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(finding["findingId"], ids[3]);
    assert_eq!(finding["uploader"], CI_ROLE);
    assert_eq!(finding["body"]["reason"], "revoked_uploader");
    assert!(finding["publishedAt"].is_string() && finding["messageId"].is_string());
    assert_eq!(finding["answeredBy"], Value::Null);
    assert_eq!(ran.err, "");
}

async fn stored_now(laptop: &Deployment, event: &str) -> Value {
    let all = laptop.stack.findings().await;
    all.into_iter()
        .find(|finding| finding["eventId"] == event)
        .unwrap()
}

fn with(mut finding: Value, decided: &str) -> Value {
    finding["decidedAt"] = json!(decided);
    finding
}

#[test]
#[ignore = "needs moto"]
fn a_learned_uploader_and_what_is_answered_are_not_open() {
    let laptop = Deployment::new();
    let function = Function::start(&laptop.stack, &[("LEARNING_UNTIL", "2026-06-01T00:00:00Z")]);
    assert_eq!(outcome(&function, &push("1", T1, "test")), "learned");
    let ran = succeeded(laptop.run(&["findings", "list"]));
    assert!(ran.out.contains("for the digest"), "{}", ran.out);
    let ran = succeeded(laptop.run(&["findings", "list", "--open"]));
    assert_eq!(listed(&ran).1, "There is no such finding.");
}

#[test]
#[ignore = "needs moto"]
fn show_says_what_became_of_a_finding() {
    let (laptop, _function) = told();
    let id = id(&laptop, "2");
    let ran = succeeded(laptop.run(&["findings", "show", &id]));
    let lines: Vec<_> = ran.out.lines().collect();
    assert_eq!(lines[0], id);
    assert_eq!(lines[1], "  reason    new_uploader (high)");
    assert_eq!(lines[2], format!("  uploader  {TEST_USER}"));
    assert_eq!(lines[3], "  event     2");
    assert!(
        lines[5].starts_with("  state     published 20"),
        "{}",
        lines[5]
    );
    assert!(lines[5].contains(", message "), "{}", lines[5]);
    assert_eq!(lines[6], "  answered  by nobody");
    assert!(
        ran.out.contains("Subject: [HIGH] New ECR uploader test"),
        "{}",
        ran.out
    );
    // The beginning of an id is enough, if no other begins so.
    let short = succeeded(laptop.run(&["findings", "show", &id[..18], "--json"]));
    let shown: Value = serde_json::from_str(&short.out).unwrap();
    assert_eq!(shown["findingId"], id);
    assert_eq!(shown["body"]["uploader"]["key"], TEST_USER);
    // uploaders show says it too.
    let reason = "asked Mary";
    succeeded(laptop.run(&["findings", "answer", &id, "--reason", reason]));
    let ran = succeeded(laptop.run(&["uploaders", "show", TEST_USER]));
    assert!(
        ran.out.contains("; answered 20") && ran.out.contains(": asked Mary:"),
        "{}",
        ran.out
    );
}

#[test]
#[ignore = "needs moto"]
fn an_answer_is_kept_and_given_once() {
    let (laptop, function) = told();
    let before = stored(&laptop, "2");
    let id = id(&laptop, "2");
    let answer = |reason: &str| laptop.run(&["findings", "answer", &id, "--reason", reason]);
    let ran = succeeded(answer("asked Mary: a migration"));
    assert_eq!(ran.err, format!("Answered finding {id}.\n"));
    let mut answered = stored(&laptop, "2");
    assert_eq!(answered["answerReason"], "asked Mary: a migration");
    assert!(
        answered["answeredBy"]
            .as_str()
            .unwrap()
            .starts_with("arn:aws:")
    );
    assert!(answered["answeredAt"].as_str().unwrap().ends_with('Z'));
    let by = answered["answeredBy"].as_str().unwrap().to_owned();

    let ran = answer("me too");
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("is answered already, 20"), "{}", ran.err);
    assert!(
        ran.err
            .contains(&format!("by {by}: asked Mary: a migration; that stays")),
        "{}",
        ran.err
    );
    assert_eq!(ran.err.lines().count(), 1);
    // Nothing else of it is another one, and a sweep leaves it so.
    function.sweep();
    assert_eq!(
        stored(&laptop, "2")["answerReason"],
        "asked Mary: a migration"
    );
    let fields = answered.as_object_mut().unwrap();
    fields.retain(|name, _| !name.starts_with("answer"));
    assert_eq!(answered, before);
}

#[test]
#[ignore = "needs moto"]
fn what_is_owed_and_answered_is_published_all_the_same() {
    let laptop = Deployment::new();
    let function = Function::start(&laptop.stack, &[]);
    let down = &function.proxy.sns_is_down;
    down.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(
        outcome(&function, &push("1", T1, "test")),
        "finding_deferred"
    );
    let id = id(&laptop, "1");
    let shown = succeeded(laptop.run(&["findings", "show", &id])).out;
    assert!(shown.contains("  state     still owed since 20"), "{shown}");
    let ran = succeeded(laptop.run(&["findings", "answer", &id, "--reason", "x"]));
    assert!(
        ran.err
            .contains("It is still owed, and published all the same."),
        "{}",
        ran.err
    );
    let listed = succeeded(laptop.run(&["findings", "list"])).out;
    assert!(listed.contains("answered, owed"), "{listed}");
    down.store(false, std::sync::atomic::Ordering::SeqCst);
    block_on(laptop.stack.age(3600));
    function.sweep();
    let stored = stored(&laptop, "1");
    assert!(
        stored["publishedAt"].is_string() && stored["owed"].is_null(),
        "{stored}"
    );
    assert_eq!(stored["answerReason"], "x");
}

#[test]
#[ignore = "needs moto"]
fn trust_and_revocation_answer_the_findings_about_their_uploader() {
    let (laptop, _function) = told();
    let id = id(&laptop, "3");
    succeeded(laptop.run(&["findings", "answer", &id, "--reason", "mine"]));
    let users = "arn:aws:iam::*:user/**";
    let trust = ["uploaders", "trust", users, "--reason", "the team", "--yes"];
    let ran = succeeded(laptop.run(&trust));
    // What was answered before stays so.
    assert!(ran.err.contains("Answered 1 open finding."), "{}", ran.err);
    assert_eq!(stored(&laptop, "3")["answerReason"], "mine");
    let answered = stored(&laptop, "2");
    assert_eq!(
        answered["answerReason"],
        "the uploader was trusted: the team"
    );
    assert_eq!(
        answered["answeredBy"],
        laptop.uploader(TEST_USER)["trustedBy"]
    );
    assert_eq!(stored(&laptop, "1")["answeredBy"], Value::Null);
    succeeded(laptop.run(&["uploaders", "revoke", CI_ROLE]));
    assert_eq!(
        stored(&laptop, "1")["answerReason"],
        "the uploader was revoked"
    );
}

/// moto does not find a stack by what is in it: the answer is laid over, as AWS's documents
/// have it.
#[test]
#[ignore = "needs moto"]
fn the_command_of_a_finding_answers_it_in_the_table_of_the_same_stack() {
    let (laptop, function) = told();
    let overlay = Overlay::start();
    let findings = laptop.stack.findings.clone();
    let asked_for = format!("PhysicalResourceId={}", laptop.stack.uploaders);
    overlay.answer_by("DescribeStackResources", move |request| {
        let members = [("FindingsTable", findings.as_str()), ("Function", "f")];
        let members = members.map(|(logical, physical)| {
            format!(
                "<member><LogicalResourceId>{logical}</LogicalResourceId>\
                 <PhysicalResourceId>{physical}</PhysicalResourceId></member>"
            )
        });
        let body = format!(
            "<DescribeStackResourcesResponse xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\">\
             <DescribeStackResourcesResult><StackResources>{}</StackResources>\
             </DescribeStackResourcesResult></DescribeStackResourcesResponse>",
            members.concat()
        );
        request.contains(&asked_for).then(|| xml(200, &body))
    });
    let email = &function.proxy.messages()[1].1;
    let email: Value = serde_json::from_str(email).unwrap();
    let mut lines = email["email"].as_str().unwrap().lines();
    let command = lines.find(|line| line.contains("pushwatch uploaders trust"));
    let words = shlex::split(command.unwrap()).unwrap();
    let words: Vec<_> = words.iter().map(String::as_str).collect();
    let person = Laptop::on(&overlay.address());
    let ran = succeeded(person.run_bare(&words[1..], &[]));
    assert!(ran.err.contains("Answered 1 open finding."), "{}", ran.err);
    assert_eq!(
        stored(&laptop, "2")["answerReason"],
        "the uploader was trusted: why"
    );
}

#[test]
#[ignore = "needs moto"]
fn trust_succeeds_where_findings_can_not_be_answered_and_says_so() {
    let (laptop, _function) = told();
    let trust = |more: &[&str]| {
        let trust = [
            "uploaders",
            "trust",
            TEST_USER,
            "--reason",
            "x",
            "--region",
            REGION,
        ];
        laptop.run_bare(&[&trust, more].concat(), &[])
    };
    let ran = succeeded(trust(&["--table", &laptop.stack.uploaders]));
    let said: Vec<_> = ran.err.lines().collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[1].contains("--findings-table NAME"), "{said:?}");
    let ran = succeeded(trust(&[
        "--table",
        &laptop.stack.uploaders,
        "--findings-table",
        "gone",
    ]));
    let said: Vec<_> = ran.err.lines().collect();
    assert_eq!(said.len(), 2, "{said:?}");
    assert!(said[1].starts_with("Open findings are not answered: DynamoDB Scan on table gone"));
    assert_eq!(laptop.uploader(TEST_USER)["standing"], "trusted");
    assert_eq!(stored(&laptop, "2")["answeredBy"], Value::Null);
}

/// A service that refuses every call.
fn refusing() -> String {
    let server = tiny_http::Server::http("127.0.0.1:0").unwrap();
    let address = format!("http://{}", server.server_addr());
    std::thread::spawn(move || {
        for request in server.incoming_requests() {
            let call = request
                .headers()
                .iter()
                .find(|header| header.field.equiv("x-amz-target"));
            let call = call
                .unwrap()
                .value
                .as_str()
                .rsplit('.')
                .next()
                .unwrap()
                .to_owned();
            let message = format!(
                "User: arn:aws:iam::111122223333:user/test is not authorized to perform: \
                 dynamodb:{call} on resource: x"
            );
            let body = json!({"__type": "AccessDeniedException", "message": message});
            let answer = tiny_http::Response::from_string(body.to_string()).with_status_code(400);
            let _ = request.respond(answer);
        }
    });
    address
}

#[test]
fn a_right_that_is_missing_is_named() {
    let laptop = Laptop::on(&refusing());
    let tables = ["--table", "u", "--findings-table", "f", "--region", REGION];
    for (command, right) in [
        (&["findings", "list"][..], "dynamodb:Scan"),
        (
            &["findings", "show", "8d37456e-2f2f-5793-8adc-98d29ab29843"],
            "dynamodb:GetItem",
        ),
        (
            &["explain", "8d37456e-2f2f-5793-8adc-98d29ab29843"],
            "dynamodb:Scan",
        ),
    ] {
        let ran = laptop.run_bare(&[command, &tables].concat(), &[]);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""));
        let error = ran.err.lines().last().unwrap();
        let words = format!("the right {right} is missing");
        assert!(error.contains(&words), "{}", ran.err);
    }
}

#[test]
#[ignore = "needs moto"]
fn a_stack_names_its_findings() {
    let (laptop, _function) = told();
    let name = &laptop.stack.findings;
    let template = json!({
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {
            "UploadersTable": {"Value": laptop.stack.uploaders},
            "FindingsTable": {"Value": laptop.stack.findings}
        }
    });
    create_stack(name, &template.to_string());
    let list = ["findings", "list", "--region", REGION];
    let by_option = succeeded(laptop.run_bare(&[&list[..], &["--stack", name]].concat(), &[]));
    let by_variable = succeeded(laptop.run_bare(&list, &[("PUSHWATCH_STACK", name)]));
    assert_eq!(by_option.out, by_variable.out);
    assert_eq!(by_option.out.lines().count(), 4);
    let tables = [
        ("UPLOADERS_TABLE", laptop.stack.uploaders.as_str()),
        ("FINDINGS_TABLE", name.as_str()),
    ];
    let by_tables = succeeded(laptop.run_bare(&list, &tables));
    assert_eq!(by_tables.out, by_option.out);
    // On a narrow terminal the id stands below.
    let environment = [
        ("AWS_ENDPOINT_URL", laptop.endpoint.as_str()),
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("PUSHWATCH_STACK", name),
    ];
    let narrow = pushwatch_on_terminal(laptop.folder.path(), &list, &environment, "", 60);
    let id = format!("  {}\n", id(&laptop, "2"));
    assert!(narrow.out.contains(&id), "{}", narrow.out);
}

#[test]
#[ignore = "needs moto"]
fn a_mistake_is_one_line_that_says_what_to_do() {
    let (laptop, _function) = told();
    let unknown = "3607e37b-38de-4320-a029-7ca8ab667ffc";
    let tables = |args: &[&str]| laptop.run(args);
    let bare = |args: &[&str]| laptop.run_bare(args, &[("AWS_REGION", REGION)]);
    create_stack(
        "findings-of-another",
        r#"{"Resources":{"T":{"Type":"AWS::SNS::Topic"}}}"#,
    );
    let uploaders = &laptop.stack.uploaders;
    for (ran, words) in [
        (
            tables(&["findings", "show", unknown]),
            "no finding has the id",
        ),
        (
            tables(&["findings", "show", "#budget"]),
            "no finding has the id #budget",
        ),
        (tables(&["findings", "show", ""]), "the ID is empty"),
        (
            tables(&["findings", "answer", unknown, "--reason", "x"]),
            "`pushwatch findings list`",
        ),
        (
            tables(&["findings", "list", "--since", "soon"]),
            "--since: `soon` is no time",
        ),
        (
            bare(&["findings", "list"]),
            "whose findings? Give --stack NAME",
        ),
        (
            bare(&["findings", "list", "--table", uploaders]),
            "--findings-table NAME",
        ),
        (
            bare(&["findings", "list", "--stack", "gone"]),
            "check the stack's name, its region",
        ),
        (
            bare(&["findings", "list", "--stack", "findings-of-another"]),
            "is it a stack of PushWatch?",
        ),
        (
            bare(&[
                "findings",
                "list",
                "--table",
                "t",
                "--findings-table",
                "gone",
            ]),
            "check the table's name, its region",
        ),
        (
            bare(&["findings", "list", "--stack", "x", "--region", "mars"]),
            "can't be a region",
        ),
        (
            Laptop::new().run_bare(
                &["findings", "list", "--stack", "x"],
                &[("AWS_REGION", REGION), ("AWS_ACCESS_KEY_ID", "")],
            ),
            "no AWS credentials are found",
        ),
    ] {
        assert_eq!(ran.code, 2, "{}", ran.err);
        assert!(ran.err.contains(words), "{words}: {}", ran.err);
        assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
        assert_eq!(ran.out, "");
    }
    let ran = tables(&["findings", "answer", unknown, "--reason", " "]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("say why"), "{}", ran.err);
}

#[test]
#[ignore = "needs moto"]
fn the_beginning_of_an_id_stands_for_one_finding() {
    let (laptop, _function) = told();
    let put = |id: &str| {
        let mut finding = stored(&laptop, "2");
        finding["findingId"] = json!(id);
        let item: std::collections::HashMap<_, _> = serde_dynamo::to_item(finding).unwrap();
        block_on(laptop.stack.put(&laptop.stack.findings, item));
    };
    put("zz-1");
    put("zz-2");
    let ran = laptop.run(&["findings", "answer", "zz", "--reason", "x"]);
    let said = "  zz-1\n  zz-2\nerror: zz stands for 2 findings, named above; give the id of one\n";
    assert_eq!((ran.code, ran.err.as_str()), (2, said));
    succeeded(laptop.run(&["findings", "answer", "zz-1", "--reason", "x"]));
}

#[test]
#[ignore = "needs moto"]
fn what_is_shown_is_clean_and_a_damaged_finding_is_named() {
    let (laptop, _function) = told();
    let mut hostile = stored(&laptop, "2");
    hostile["findingId"] = json!("x\u{1b}[31m\n1");
    hostile["reason"] = json!("new\u{1b}]0;x\u{7} www.evil.com");
    // As somebody may have written it: on several lines.
    let body: Value = serde_json::from_str(hostile["body"].as_str().unwrap()).unwrap();
    hostile["body"] = json!(serde_json::to_string_pretty(&body).unwrap());
    hostile["answeredBy"] = json!("eve\u{202e}\n");
    hostile["answeredAt"] = json!(T1);
    hostile["answerReason"] = json!("\u{1b}[2Jall is well");
    hostile["messageId"] = json!("m\n1");
    let damaged = json!({"findingId": "half", "uploader": "u"});
    block_on(async {
        for item in [&hostile, &damaged] {
            let item: std::collections::HashMap<_, _> = serde_dynamo::to_item(item).unwrap();
            laptop.stack.put(&laptop.stack.findings, item).await;
        }
    });
    let list = laptop.run(&["findings", "list"]);
    assert_eq!(list.code, 2);
    assert!(list.err.contains("item half is damaged"), "{}", list.err);
    assert!(list.err.contains("4 of 4 findings"), "{}", list.err);
    let show = succeeded(laptop.run(&["findings", "show", "x\u{1b}"]));
    assert!(show.out.contains("all is well"), "{}", show.out);
    let json = laptop.run(&["findings", "list", "--json"]);
    for line in json.out.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(line["body"].is_object(), "{line}");
    }
    for shown in [&list.out, &show.out] {
        assert!(!shown.contains("www."), "{shown}");
    }
    let again = laptop.run(&["findings", "answer", "x\u{1b}", "--reason", "y"]);
    for text in [&list.out, &list.err, &show.out, &json.out, &again.err] {
        let is_hostile = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert!(!text.contains(is_hostile), "{text:?}");
    }
    assert_eq!(list.out.lines().count(), 5);
    assert_eq!(again.err.lines().count(), 1);
}

#[test]
#[ignore = "needs moto"]
fn list_shows_whose_trust_ends_soon() {
    let laptop = Deployment::new();
    let key = |name: &str| format!("arn:aws:iam::111122223333:user/{name}");
    for (name, until) in [("later", "20d"), ("soon", "2d"), ("far", "60d")] {
        let trust = [
            "uploaders",
            "trust",
            &key(name),
            "--reason",
            "x",
            "--until",
            until,
        ];
        succeeded(laptop.run(&trust));
    }
    succeeded(laptop.run(&["uploaders", "trust", &key("ever"), "--reason", "x"]));
    let list = |args: &[&str]| {
        let args = [&["uploaders", "list", "--until-within", "30d"], args].concat();
        succeeded(laptop.run(&args))
    };
    let ran = list(&[]);
    let (keys, said) = listed(&ran);
    assert_eq!(keys, [key("soon"), key("later")]);
    assert_eq!(said, "2 of 4 uploaders");
    assert!(ran.out.starts_with("TRUSTED UNTIL "), "{}", ran.out);
    assert_eq!(
        listed(&list(&["--account", "999999999999"])).1,
        "There is no such uploader."
    );
    assert_eq!(listed(&list(&["--limit", "1"])).0, [key("soon")]);
    let ran = laptop.run(&["uploaders", "list", "--until-within", "soon"]);
    assert!(
        ran.err.contains("--until-within: `soon` is no time"),
        "{}",
        ran.err
    );
}
