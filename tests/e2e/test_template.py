"""What moto passes over is checked in the template itself."""

import json
import re

import pytest

from servers import ROOT
from stack import source_template, translated


@pytest.fixture(scope="module")
def source():
    return source_template()


@pytest.fixture(scope="module")
def resources():
    return translated(source_template())["Resources"]


def of_type(resources, kind):
    return {name: one for name, one in resources.items() if one["Type"] == kind}


def rows(text):
    """The cells of a Markdown table's rows, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def code_of(module):
    """All files of a module that is a folder."""
    return "\n".join(file.read_text() for file in sorted((ROOT / "src" / module).rglob("*.rs")))


# For tests and odd networks; who needs them sets them on the function by hand.
NOT_IN_THE_TEMPLATE = {
    "TRUST_ROOTS", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_SNS"}


def test_every_documented_setting_is_a_variable_of_the_function(source):
    text = (ROOT / "docs" / "operations.md").read_text()
    table = text[text.index("## Settings"):text.index("## Tables")]
    first_column = " ".join(row[0] for row in rows(table))
    named = set(re.findall(r"`([A-Z][A-Z_]{4,})`", first_column))
    variables = source["Resources"]["Function"]["Properties"]["Environment"]["Variables"]
    assert set(variables) == named - NOT_IN_THE_TEMPLATE
    assert NOT_IN_THE_TEMPLATE <= named


def test_every_variable_is_one_that_the_code_reads(source):
    code = (ROOT / "src" / "config.rs").read_text()
    for variable in source["Resources"]["Function"]["Properties"]["Environment"]["Variables"]:
        assert f'"{variable}"' in code, variable


def test_keys_index_and_ttl_are_those_of_the_code(resources):
    code = code_of("store/dynamodb")
    tables = of_type(resources, "AWS::DynamoDB::Table")
    names = set()
    for table in tables.values():
        properties = table["Properties"]
        names |= {one["AttributeName"] for one in properties["AttributeDefinitions"]}
        names |= {one["IndexName"] for one in properties.get("GlobalSecondaryIndexes", [])}
        if "TimeToLiveSpecification" in properties:
            names.add(properties["TimeToLiveSpecification"]["AttributeName"])
    assert names == {"uploader", "findingId", "owed", "owedSince", "owed-index", "expiresAt"}
    for name in names - {"uploader"}:
        # As a whole word of a literal or an expression, not by chance in a comment.
        assert re.search(rf'("{name}"|[ (]{name}[ ,")])', re.sub(r"//.*", "", code)), name


def test_an_update_or_a_removal_keeps_the_tables(resources):
    for table in of_type(resources, "AWS::DynamoDB::Table").values():
        assert table["DeletionPolicy"] == table["UpdateReplacePolicy"] == "Retain"
        properties = table["Properties"]
        assert properties["DeletionProtectionEnabled"] is True
        assert properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is True
        assert properties["SSESpecification"]["SSEEnabled"] is True


def test_what_fails_is_kept_for_two_weeks(resources):
    for queue in of_type(resources, "AWS::SQS::Queue").values():
        assert queue["Properties"]["MessageRetentionPeriod"] == 1209600
    invoke = list(of_type(resources, "AWS::Lambda::EventInvokeConfig").values())
    assert len(invoke) == 1
    assert invoke[0]["Properties"]["MaximumRetryAttempts"] == 2
    destination = invoke[0]["Properties"]["DestinationConfig"]["OnFailure"]["Destination"]
    assert destination == {"Fn::GetAtt": ["FailureQueue", "Arn"]}
    push = resources["PushRule"]["Properties"]["Targets"][0]
    assert push["DeadLetterConfig"]["Arn"] == {"Fn::GetAtt": ["DeadLetterQueue", "Arn"]}


DRAINED = {"FailureQueue", "DeadLetterQueue"}


def test_what_fails_comes_again_every_five_minutes_for_a_day_and_is_parked(resources):
    queues = of_type(resources, "AWS::SQS::Queue")
    assert set(queues) == DRAINED | {"ParkedQueue"}
    for name in DRAINED:
        queue = queues[name]["Properties"]
        redrive = queue["RedrivePolicy"]
        assert redrive["deadLetterTargetArn"] == {"Fn::GetAtt": ["ParkedQueue", "Arn"]}
        assert redrive["maxReceiveCount"] * queue["VisibilityTimeout"] == 24 * 60 * 60
        # As AWS advises; less than the function's own it refuses.
        assert queue["VisibilityTimeout"] >= 6 * resources["Function"]["Properties"]["Timeout"]
    # From there only a person takes something.
    assert "RedrivePolicy" not in queues["ParkedQueue"]["Properties"]


def test_both_queues_and_no_other_are_drained_by_the_function(resources):
    sources = of_type(resources, "AWS::Lambda::EventSourceMapping")
    drained = set()
    for source in sources.values():
        properties = source["Properties"]
        assert properties["FunctionName"] == {"Ref": "Function"}
        assert properties["BatchSize"] == properties["ScalingConfig"]["MaximumConcurrency"] == 10
        assert properties["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert properties.get("Enabled", True)
        drained.add(properties["EventSourceArn"]["Fn::GetAtt"][0])
    assert drained == DRAINED and len(sources) == 2


def test_the_role_reads_the_drained_queues_and_writes_to_the_failure_queue_alone(resources):
    role = resources["FunctionRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    rights = {}
    for statement in with_conditions(role, set()):
        actions = statement.get("Action", [])
        for action in [actions] if isinstance(actions, str) else actions:
            if action.startswith("sqs:"):
                queues = statement["Resource"]
                queues = queues if isinstance(queues, list) else [queues]
                rights[action] = {one["Fn::GetAtt"][0] for one in queues}
    assert rights == {
        "sqs:SendMessage": {"FailureQueue"}, "sqs:ReceiveMessage": DRAINED,
        "sqs:DeleteMessage": DRAINED, "sqs:GetQueueAttributes": DRAINED}


def test_image_actions_reach_the_function_unless_they_are_switched_off(source):
    assert source["Conditions"]["HasImageActions"] == {"Fn::Equals": [{"Ref": "ImageActions"}, "yes"]}
    assert source["Parameters"]["ImageActions"]["AllowedValues"] == ["yes", "no"]
    for met, expected in (({"HasImageActions"}, True), (set(), False)):
        pattern = with_conditions(source["Resources"]["PushRule"], met)["Properties"]["EventPattern"]
        assert ("ECR Image Action" in pattern["detail-type"]) == expected
        # EventBridge takes `$or` with a single pattern for the name of a field.
        assert pattern["detail"]["$or"] == [
            {"eventSource": ["ecr.amazonaws.com", "ecr-public.amazonaws.com"], "eventName": ["PutImage"]},
            {"action-type": ["PUSH"], "result": ["SUCCESS"]}]
    alarms = of_type(source["Resources"], "AWS::CloudWatch::Alarm")
    conditional = {name for name, one in alarms.items() if one.get("Condition") == "HasImageActions"}
    assert conditional == {"BlindAlarm", "BlindDayAlarm"}


def test_topics_and_queues_refuse_what_is_not_over_tls(resources):
    covered = set()
    for kind, key in (("AWS::SNS::TopicPolicy", "Topics"), ("AWS::SQS::QueuePolicy", "Queues")):
        for policy in of_type(resources, kind).values():
            denies = [one for one in policy["Properties"]["PolicyDocument"]["Statement"]
                      if one["Effect"] == "Deny" and one["Principal"] == "*"
                      and one["Condition"] == {"Bool": {"aws:SecureTransport": False}}]
            assert denies
            covered |= {one["Ref"] for one in policy["Properties"][key]}
    assert covered == set(of_type(resources, "AWS::SNS::Topic")) | set(of_type(resources, "AWS::SQS::Queue"))


def test_e_mail_is_subscribed_only_when_an_address_is_given(resources):
    subscriptions = of_type(resources, "AWS::SNS::Subscription")
    assert {one["Condition"] for one in subscriptions.values()} == {
        "HasEmailAddress", "HasOperationsEmailAddress"}


# Resource, metric, dimension, statistic, threshold in periods of seconds.
ALARMS = """
ErrorsAlarm             AWS/Lambda Errors                             FunctionName Function         Sum         > 0      1x300
ThrottlesAlarm          AWS/Lambda Throttles                          FunctionName Function         Sum         > 0      3x300
FailureQueueAlarm       AWS/SQS    ApproximateAgeOfOldestMessage      QueueName    FailureQueue     Maximum     > 1800   1x300
DeadLetterQueueAlarm    AWS/SQS    ApproximateAgeOfOldestMessage      QueueName    DeadLetterQueue  Maximum     > 1800   1x300
ParkedQueueAlarm        AWS/SQS    ApproximateNumberOfMessagesVisible QueueName    ParkedQueue      Maximum     > 0      1x300
FindingsOwedAlarm       PushWatch  OldestOwedSeconds                  FunctionName Function         Maximum     > 300    1x60
SweepMissingAlarm       PushWatch  FindingsOwed                       FunctionName Function         SampleCount < 1      2x900
AsyncEventAgeAlarm      AWS/Lambda AsyncEventAge                      FunctionName Function         Maximum     > 600000 1x300
AsyncEventsDroppedAlarm AWS/Lambda AsyncEventsDropped                 FunctionName Function         Sum         > 0      1x300
ConfigurationFaultsAlarm PushWatch ConfigurationFaults               FunctionName Function         Sum         > 0      1x300
RefusedFindingsAlarm    PushWatch  RefusedFindings                    FunctionName Function         Sum         > 0      1x300
DeliveryAlarm           AWS/SNS    NumberOfNotificationsFailed        TopicName    FindingsTopic    Sum         > 0      1x300
UndeliveredAlarm        AWS/Events InvocationsFailedToBeSentToDlq     RuleName     PushRule         Sum         > 0      1x300
DestinationAlarm        AWS/Lambda DestinationDeliveryFailures        FunctionName Function         Sum         > 0      1x300
"""


def test_the_alarms_are_these(resources):
    expected = {line.split()[0]: line.split()[1:] for line in ALARMS.strip().splitlines()}
    alarms = of_type(resources, "AWS::CloudWatch::Alarm")
    assert set(alarms) == set(expected) | set(BLIND)
    signs = {"GreaterThanThreshold": ">", "LessThanThreshold": "<"}
    for name, alarm in alarms.items():
        one = alarm["Properties"]
        if name in BLIND:
            continue
        dimension = one["Dimensions"][0]
        value = dimension["Value"].get("Ref") or dimension["Value"]["Fn::GetAtt"][0]
        assert [
            one["Namespace"], one["MetricName"], dimension["Name"], value, one["Statistic"],
            signs[one["ComparisonOperator"]], str(one["Threshold"]),
            f"{one['EvaluationPeriods']}x{one['Period']}",
        ] == expected[name], name
        # Never to the findings, whose topic may be what is ill.
        operations = [{"Ref": "OperationsTopic"}]
        assert one["AlarmActions"] == one["OKActions"] == operations
        # Silence is told only where silence is what it looks for, and only once
        # there was something to hear.
        if name == "SweepMissingAlarm":
            assert (one["TreatMissingData"], one["InsufficientDataActions"]) == ("missing", operations)
        else:
            assert (one["TreatMissingData"], "InsufficientDataActions" in one) == ("notBreaching", False)


# Metric math: how many of how many periods of seconds.
BLIND = {"BlindAlarm": (2, 3, 3600), "BlindDayAlarm": (1, 1, 86400)}


def test_images_without_pushes_are_alarmed_by_the_hour_and_by_the_day(resources):
    for name, (alarming, periods, seconds) in BLIND.items():
        one = resources[name]["Properties"]
        assert (one["DatapointsToAlarm"], one["EvaluationPeriods"]) == (alarming, periods)
        assert (one["ComparisonOperator"], one["Threshold"]) == ("GreaterThanThreshold", 0)
        assert one["TreatMissingData"] == "notBreaching"
        assert one["AlarmActions"] == one["OKActions"] == [{"Ref": "OperationsTopic"}]
        (math,) = [query for query in one["Metrics"] if query.get("ReturnData", True)]
        assert math["Expression"] == "IF(actions > 0 AND FILL(pushes, 0) == 0, 1, 0)"
        metrics = {query["Id"]: query["MetricStat"] for query in one["Metrics"] if query is not math}
        assert {key: one["Metric"]["MetricName"] for key, one in metrics.items()} == {
            "actions": "ImageActions", "pushes": "Pushes"}
        for metric in metrics.values():
            assert (metric["Stat"], metric["Period"]) == ("Sum", seconds)
            assert metric["Metric"]["Dimensions"] == [{"Name": "FunctionName", "Value": {"Ref": "Function"}}]


def test_each_alarm_leads_to_its_paragraph_of_the_runbook(source):
    runbook = (ROOT / "docs" / "operations.md").read_text()
    runbook = runbook[runbook.index("## Runbook"):runbook.index("## Reconcile every week")]
    headings = re.findall(r"^### (.*)$", runbook, re.MULTILINE)
    alarms = of_type(source["Resources"], "AWS::CloudWatch::Alarm")
    assert headings == list(alarms), "in the order of the template"
    for name, alarm in alarms.items():
        description = alarm["Properties"]["AlarmDescription"]["Fn::Sub"]
        # An anchor is the heading in small letters.
        assert description.endswith(f" ${{RunbookUrl}}#{name.lower()}"), name
        assert len(description) < 700
        paragraph = runbook.split(f"### {name}\n")[1].split("\n### ")[0]
        assert len(paragraph) > 150, name
        assert "```" in paragraph or "](#" in paragraph or "`errorType`" in paragraph or "`sam deploy`" in paragraph, name


def test_alarms_and_dashboard_use_metrics_that_the_code_emits(resources):
    code = code_of("function")
    emitted = set(re.findall(r'metric\(\s*"(\w+)"', code)) | {"Findings"}
    alarms = of_type(resources, "AWS::CloudWatch::Alarm").values()
    used = {one["Properties"]["MetricName"] for one in alarms
            if one["Properties"].get("Namespace") == "PushWatch"}
    body = next(iter(of_type(resources, "AWS::CloudWatch::Dashboard").values()))["Properties"]["DashboardBody"]
    text = body["Fn::Sub"]
    json.loads(text)
    used |= set(re.findall(r'\["PushWatch", "(\w+)"', text))
    assert used <= emitted
    assert emitted == used | {"Findings"}, "every metric is shown"


def test_the_cost_table_counts_the_metrics_and_alarms(resources):
    metrics = len(set(re.findall(r'metric\(\s*"(\w+)"', code_of("function"))))
    reasons = (ROOT / "src" / "finding.rs").read_text().split("pub enum Reason {")[1].split("}")[0]
    metrics += len(re.findall(r"^    \w+,", reasons, re.MULTILINE))
    alarms = of_type(resources, "AWS::CloudWatch::Alarm").values()
    # One of metric math costs as many as it has metrics.
    paid = sum(len([one for one in alarm["Properties"].get("Metrics", [{"MetricStat": 1}])
                    if "MetricStat" in one]) for alarm in alarms)
    text = (ROOT / "docs" / "deployment.md").read_text()
    assert f"| metrics | at most {metrics} | {metrics * 0.3:.2f} | {metrics * 0.3:.2f} |" in text
    assert f"| alarms | {len(alarms)} on {paid} metrics | {paid * 0.1:.2f} | {paid * 0.1:.2f} |" in text
    table = text[text.index("## What it costs"):text.index("## Try it all")]
    for column in (2, 3):
        cost = {row[0].strip("*"): float(row[column].strip("*")) for row in rows(table)}
        without, dashboard, with_it = (
            cost.pop(one) for one in ("USD without the dashboard", "dashboard", "USD with it"))
        assert round(sum(cost.values()), 2) == without
        assert round(without + dashboard, 2) == with_it


def test_the_dashboard_and_its_address_are_there_only_if_wanted(source, resources):
    assert source["Conditions"]["HasDashboard"] == {"Fn::Equals": [{"Ref": "Dashboard"}, "yes"]}
    (dashboard,) = of_type(resources, "AWS::CloudWatch::Dashboard").values()
    assert dashboard["Condition"] == source["Outputs"]["DashboardUrl"]["Condition"] == "HasDashboard"
    # YAML takes a bare yes for true.
    assert source["Parameters"]["Dashboard"]["AllowedValues"] == ["yes", "no"]
    assert source["Parameters"]["Habits"]["AllowedValues"] == ["digest", "tell", "off"]


def test_no_least_level_drops_the_lines_that_carry_metrics(source):
    logging = source["Resources"]["Function"]["Properties"]["LoggingConfig"]
    assert logging["ApplicationLogLevel"] == "INFO"


def test_every_parameter_is_described_grouped_and_labelled(source):
    interface = source["Metadata"]["AWS::CloudFormation::Interface"]
    grouped = [name for group in interface["ParameterGroups"] for name in group["Parameters"]]
    parameters = source["Parameters"]
    assert sorted(grouped) == sorted(parameters) == sorted(interface["ParameterLabels"])
    text = (ROOT / "docs" / "deployment.md").read_text()
    table = text[text.index("## Parameters"):text.index("## What it costs")]
    assert [row[0].strip("`") for row in rows(table)] == grouped
    for name, described, default in rows(table):
        parameter = parameters[name.strip("`")]
        assert described == parameter["Description"]
        assert default == (f"`{parameter['Default']}`" if parameter["Default"] != "" else "empty")
    for name, parameter in parameters.items():
        limits = {"AllowedPattern", "AllowedValues", "MinValue", "MaxLength"}
        assert limits & set(parameter), f"{name} takes anything"


def test_the_sweep_runs_every_minute(source):
    assert source["Parameters"]["SweepSchedule"]["Default"] == "rate(1 minute)"
    rule = source["Resources"]["SweepRule"]["Properties"]
    assert rule["ScheduleExpression"] == {"Ref": "SweepSchedule"}
    assert rule.get("State", "ENABLED") == "ENABLED"


@pytest.mark.parametrize("name, value, good", [
    ("EmailAddress", "", True),
    ("EmailAddress", "mary@example.com", True),
    ("EmailAddress", "mary", False),
    ("EmailAddress", "mary@example", False),
    ("EmailAddress", "a@example.com, b@example.com", False),
    ("LearningUntil", "2026-01-31T00:00:00Z", True),
    ("LearningUntil", "2026-01-31T00:00:00+01:00", True),
    ("LearningUntil", "2026-01-31", False),
    ("LearningUntil", "31.1.2026", False),
    ("LearningUntil", "2026-13-01T00:00:00Z", False),
    ("LearningUntil", "2026-02-30T00:00:00Z", False),
    ("LearningUntil", "2026-04-31T00:00:00Z", False),
    ("LearningUntil", "2026-02-28T23:59:59Z", True),
    ("TrustedUploaders", "arn:aws:iam::*:role/ci-* arn:aws:iam::*:user/**", True),
    ("TrustedUploaders", "arn:aws:iam::*:role/[a]", False),
    ("SweepSchedule", "rate(1 minute)", True),
    ("SweepSchedule", "rate(4 minutes)", True),
    # A finding may wait for a whole interval, and is alarmed after five minutes.
    ("SweepSchedule", "rate(5 minutes)", False),
    ("SweepSchedule", "rate(10 minutes)", False),
    ("SweepSchedule", "rate(1 hour)", False),
    ("SweepSchedule", "cron(0 * * * ? *)", False),
    ("SweepSchedule", "often", False),
    ("AbsenceDays", "0", True),
    ("AbsenceDays", "90", True),
    ("AbsenceDays", "90.5", False),
    ("AbsenceDays", "-1", False),
    ("HabitDays", "0", True),
    ("HabitDays", "14", True),
    ("HabitDays", "two", False),
    ("ReservedConcurrency", "10", True),
    ("ReservedConcurrency", "00", False),
    ("RunbookUrl", "docs/operations.md", True),
    ("RunbookUrl", "https://wiki.example.com/pushwatch/operations", True),
    ("RunbookUrl", "https://wiki.example.com/operations#runbook", False),
    ("RunbookUrl", "http://wiki.example.com", False),
    ("RunbookUrl", "wiki", False),
    ("OperationsEmailAddress", "ops@example.com", True),
    ("OperationsEmailAddress", "ops", False),
    ("KmsKeyArn", "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab", True),
    ("KmsKeyArn", "alias/mine", False),
])
def test_a_parameter_that_can_not_work_is_refused(source, name, value, good):
    pattern = source["Parameters"][name]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, value)) == good


def test_no_suppression_is_without_a_reason(source):
    for name, resource in source["Resources"].items():
        for skip in resource.get("Metadata", {}).get("checkov", {}).get("skip", []):
            assert len(skip["comment"]) > 20, name


def with_conditions(value, met):
    """The template's value where these conditions are met and no others."""
    if isinstance(value, dict):
        if set(value) == {"Fn::If"}:
            condition, then, otherwise = value["Fn::If"]
            return with_conditions(then if condition in met else otherwise, met)
        return {name: with_conditions(one, met) for name, one in value.items()}
    if isinstance(value, list):
        return [with_conditions(one, met) for one in value]
    return value


def test_a_customers_key_covers_everything(resources):
    key, none = {"Ref": "KmsKeyArn"}, {"Ref": "AWS::NoValue"}
    keyed = with_conditions(resources, {"HasKmsKey"})
    plain = with_conditions(resources, set())
    places = [
        ("UploadersTable", ["SSESpecification", "KMSMasterKeyId"]),
        ("FindingsTable", ["SSESpecification", "KMSMasterKeyId"]),
        ("FindingsTopic", ["KmsMasterKeyId"]), ("OperationsTopic", ["KmsMasterKeyId"]),
        ("FailureQueue", ["KmsMasterKeyId"]), ("DeadLetterQueue", ["KmsMasterKeyId"]),
        ("ParkedQueue", ["KmsMasterKeyId"]),
        ("FunctionLogGroup", ["KmsKeyId"]), ("Function", ["KmsKeyArn"]),
    ]
    for name, path in places:
        with_key, without = keyed[name]["Properties"], plain[name]["Properties"]
        for step in path:
            with_key, without = with_key[step], without[step]
        assert with_key == key, name
        assert without == ("alias/aws/sns" if name == "FindingsTopic" else none), name
    for queue in of_type(resources, "AWS::SQS::Queue"):
        assert keyed[queue]["Properties"]["SqsManagedSseEnabled"] is False
        assert plain[queue]["Properties"]["SqsManagedSseEnabled"] is True
    statements = keyed["FunctionRole"]["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
    assert statements[-1]["Resource"] == key and "Condition" in statements[-1]
