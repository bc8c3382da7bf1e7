"""The whole stack on this machine: the deployed rule decides which events reach
the function, and subscribers get what it tells."""

import json
import subprocess

import pytest

from servers import REGION, ROOT, Function, Moto, proxy
from stack import BUILD, deploy, samples


@pytest.fixture(scope="module")
def moto():
    server = Moto()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def stack(moto):
    return deploy(moto.url, {"Architecture": "x86_64", "AbsenceDays": "30"})


@pytest.fixture(scope="module")
def passed(stack):
    """Names of the samples that the deployed rule passes, and what arrives."""
    events = stack.client("events")
    url, arn = stack.queue("bus")
    for rule in events.list_rules()["Rules"]:
        targets = events.list_targets_by_rule(Rule=rule["Name"])["Targets"]
        assert [target["Arn"] for target in targets] == [stack.function_arn()]
        # moto can't hand anything to a Lambda target: a queue takes its place.
        events.remove_targets(Rule=rule["Name"], Ids=[target["Id"] for target in targets])
    events.put_targets(Rule=stack.rule(), Targets=[{"Id": "bus", "Arn": arn}])
    arrived = {}
    for name, sample, _ in samples():
        events.put_events(Entries=[{
            "Source": sample["source"], "DetailType": sample["detail-type"],
            "Detail": json.dumps(sample["detail"]), "Time": sample["time"],
        }])
        for event in stack.receive(url):
            arrived[name] = event
    return arrived


@pytest.fixture(scope="module")
def told(moto, stack, passed):
    """What the function answers to what the rule passed, what subscribers get,
    and what was called for it."""
    url, arn = stack.queue("subscriber")
    stack.client("sns").subscribe(
        TopicArn=stack.outputs["FindingsTopicArn"], Protocol="sqs", Endpoint=arn)
    calls = []
    server = proxy(moto.port, calls)
    variables = {**stack.environment(), "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}"}
    function = Function(BUILD / "Function" / "bootstrap", variables)
    answers = {name: function.invoke(event) for name, event in passed.items()}
    sweep = next(sample for name, sample, _ in samples() if name == "sweep.json")
    swept = function.invoke(sweep)
    # What the budget left lies there for 45 seconds; let them pass in the table.
    owed = [one for one in stack.items("FindingsTable") if "owed" in one]
    table = stack.client("dynamodb")
    for finding in owed:
        table.update_item(
            TableName=stack.outputs["FindingsTable"], Key={"findingId": {"S": finding["findingId"]}},
            UpdateExpression="SET owedSince = :then, leaseUntil = :zero",
            ExpressionAttributeValues={":then": {"S": "2026-01-01T00:00:00Z"}, ":zero": {"N": "0"}})
    swept_later = function.invoke(sweep)
    function.stop()
    log = function.log()
    messages = [
        json.loads(one["Message"])["unmapped"]["pushwatch"] for one in stack.receive(url)]
    return {"answers": answers, "swept": swept, "swept_later": swept_later,
            "owed": owed, "log": log, "messages": messages, "calls": calls}


def test_the_rule_passes_the_pushes_and_image_actions_and_nothing_else(passed):
    for name, _, line in samples():
        is_push = "ignored" not in line and "not a push" not in line
        assert (name in passed) == (is_push or name == "ignored-image-action.json"), line


def test_the_rule_passes_no_image_action_but_of_a_stored_image(stack, passed):
    url, arn = stack.queue("image-actions")
    stack.client("events").put_targets(Rule=stack.rule(), Targets=[{"Id": "bus", "Arn": arn}])
    image_action = next(sample for name, sample, _ in samples() if name == "ignored-image-action.json")
    for change in ({"action-type": "DELETE"}, {"result": "FAILURE"}, {}):
        detail = {**image_action["detail"], **change}
        stack.client("events").put_events(Entries=[{
            "Source": image_action["source"], "DetailType": image_action["detail-type"],
            "Detail": json.dumps(detail)}])
    assert [event["detail"] for event in stack.receive(url)] == [image_action["detail"]]


def test_both_queues_drain_into_the_function(stack):
    mappings = stack.client("lambda").list_event_source_mappings()["EventSourceMappings"]
    sqs = stack.client("sqs")
    for output in ("FailureQueueUrl", "DeadLetterQueueUrl"):
        attributes = sqs.get_queue_attributes(
            QueueUrl=stack.outputs[output], AttributeNames=["All"])["Attributes"]
        (mapping,) = [one for one in mappings if one["EventSourceArn"] == attributes["QueueArn"]]
        assert mapping["FunctionArn"].removesuffix(":$LATEST") == stack.function_arn()
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        parked = sqs.get_queue_attributes(
            QueueUrl=stack.outputs["ParkedQueueUrl"], AttributeNames=["QueueArn"])["Attributes"]
        assert json.loads(attributes["RedrivePolicy"]) == {
            "deadLetterTargetArn": parked["QueueArn"], "maxReceiveCount": 288}
        assert attributes["VisibilityTimeout"] == "300"


def test_each_push_is_answered(told):
    outcomes = {name: answer["outcome"] for name, answer in told["answers"].items()}
    assert outcomes["ignored-image-action.json"] == "ignored"
    # One event in two envelopes: whichever comes second is the duplicate.
    assert outcomes["iam-user.json"] == "duplicate"
    assert outcomes["role-session-two.json"] == "known"
    assert outcomes["buildx-platform.json"] == "known"
    told_or_owed = [one for one in outcomes.values() if one in ("finding_published", "finding_deferred")]
    assert len(told_or_owed) == 21


def test_three_and_the_critical_one_are_told_at_once_and_the_rest_in_a_list(told):
    assert told["swept"]["published"] == 0
    assert told["swept_later"]["published"] == len(told["owed"]) == 17
    assert told["swept_later"]["messages"] == 1
    singles = [one for one in told["messages"] if "kind" not in one]
    lists = [one for one in told["messages"] if one.get("kind") == "rollup"]
    assert (len(singles), len(lists)) == (4, 1)
    # Two of the minute's five are kept for critical findings.
    assert [one["severity"] for one in singles].count("critical") == 1
    assert lists[0]["severity"] == "high"
    findings = singles + lists[0]["findings"]
    assert len({finding["id"] for finding in findings}) == 21
    reasons = sorted({finding["reason"] for finding in findings})
    assert reasons == ["attempted_upload", "new_uploader", "unidentified_uploader"]


def test_both_tables_hold_what_was_decided(stack, told):
    uploaders = stack.items("UploadersTable")
    assert len(uploaders) == 20
    assert {one["standing"] for one in uploaders} == {"new", "attempted"}
    items = {one["findingId"]: one for one in stack.items("FindingsTable")}
    budget, lease = items.pop("#budget"), items.pop("#sweep")
    assert "t5" in budget and "leaseUntil" not in lease, "the sweep gave its lease back"
    findings = list(items.values())
    assert len(findings) == 21
    assert all("owed" not in one and one["messageId"] for one in findings)


def test_the_settings_reach_the_function(stack):
    variables = stack.environment()
    assert variables["ABSENCE_DAYS"] == "30"
    assert variables["UPLOADERS_TABLE"] == stack.outputs["UploadersTable"]
    # What is not set is empty, and the function starts with it.
    assert variables["TRUSTED_UPLOADERS"] == variables["LEARNING_UNTIL"] == ""
    assert not any("ENDPOINT" in variable or variable == "TRUST_ROOTS" for variable in variables)


def test_the_role_may_do_what_was_seen_and_nothing_else(stack, told):
    allowed = set()
    for statement in stack.statements():
        actions, resources = statement["Action"], statement["Resource"]
        assert resources != "*", statement
        for action in [actions] if isinstance(actions, str) else actions:
            assert "*" not in action, statement
            for resource in [resources] if isinstance(resources, str) else resources:
                allowed.add((action, resource))

    arn = "arn:aws:dynamodb:eu-central-1:123456789012:table/"
    tables = {stack.outputs[one]: arn + stack.outputs[one] for one in ("UploadersTable", "FindingsTable")}
    seen = set()
    for operation, request in told["calls"]:
        if operation == "Publish":
            seen.add(("sns:Publish", request["TopicArn"]))
        elif operation == "TransactWriteItems":
            for item in request["TransactItems"]:
                [(write, of)] = item.items()
                seen.add((f"dynamodb:{write}Item", tables[of["TableName"]]))
        else:
            index = f"/index/{request['IndexName']}" if "IndexName" in request else ""
            seen.add((f"dynamodb:{operation}", tables[request["TableName"]] + index))
    # Lambda itself, with this role: failed events and what they come out of, and the log.
    failures, dead_letters = (
        stack.client("sqs").get_queue_attributes(
            QueueUrl=stack.outputs[queue], AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        for queue in ("FailureQueueUrl", "DeadLetterQueueUrl"))
    groups = stack.client("logs").describe_log_groups()["logGroups"]
    log = next(group["arn"] for group in groups if "FunctionLogGroup" in group["logGroupName"])
    # AWS's ARN of a log group ends in `:*`; moto's attribute of it does not.
    log = log.removesuffix(":*")
    lambdas_own = {
        ("sqs:SendMessage", failures),
        *((f"sqs:{action}", queue) for queue in (failures, dead_letters)
          for action in ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes")),
        ("logs:CreateLogStream", log), ("logs:PutLogEvents", log),
    }
    assert allowed == seen | lambdas_own


def test_the_command_line_finds_the_tables_by_the_stack_s_name(moto, stack, told):
    variables = {
        "AWS_ENDPOINT_URL": moto.url, "AWS_REGION": REGION, "PUSHWATCH_STACK": "pushwatch",
        "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
    }

    def pushwatch(*words):
        return subprocess.run(
            [ROOT / "target/debug/pushwatch", "uploaders", *words], env=variables,
            check=True, capture_output=True, text=True).stdout

    uploader = "arn:aws:iam::111122223333:user/test"
    shown = pushwatch("show", uploader)
    assert "The last finding, published" in shown and "[HIGH]" in shown
    pushwatch("trust", uploader, "--reason", "ticket 42")
    records = {one["uploader"]: one for one in stack.items("UploadersTable")}
    assert records[uploader]["standing"] == "trusted"
    listed = [json.loads(line)["uploader"] for line in pushwatch("list", "--json").splitlines()]
    assert sorted(listed) == sorted(records)


def test_the_log_carries_the_metrics_that_the_alarms_watch(told):
    emitted = {}
    for line in told["log"]:
        for directive in line["_aws"]["CloudWatchMetrics"]:
            assert directive["Namespace"] == "PushWatch"
            for metric in directive["Metrics"]:
                assert metric["Name"] in line
                emitted.setdefault(metric["Name"], directive["Dimensions"])
    assert emitted["FindingsOwed"] == emitted["OldestOwedSeconds"] == [["FunctionName"]]
    assert emitted["Pushes"] == [["FunctionName"]]
    assert emitted["Findings"] == [["FunctionName", "Reason"]]
