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


def test_every_setting_of_the_readme_is_a_variable_of_the_function(source):
    readme = (ROOT / "README.md").read_text()
    table = readme[readme.index("### Settings"):readme.index("**Tables.**")]
    named = set(re.findall(r"`([A-Z][A-Z_]{4,})`", table)) - {"SSL_CERT_FILE"}
    variables = source["Resources"]["Function"]["Properties"]["Environment"]["Variables"]
    assert set(variables) == named


def test_every_variable_is_one_that_the_code_reads(source):
    code = (ROOT / "src" / "config.rs").read_text()
    for variable in source["Resources"]["Function"]["Properties"]["Environment"]["Variables"]:
        assert f'"{variable}"' in code, variable


def test_keys_index_and_ttl_are_those_of_the_code(resources):
    code = (ROOT / "src" / "store" / "dynamodb.rs").read_text()
    tables = of_type(resources, "AWS::DynamoDB::Table")
    names = set()
    for table in tables.values():
        properties = table["Properties"]
        names |= {one["AttributeName"] for one in properties["AttributeDefinitions"]}
        names |= {one["IndexName"] for one in properties.get("GlobalSecondaryIndexes", [])}
        if "TimeToLiveSpecification" in properties:
            names.add(properties["TimeToLiveSpecification"]["AttributeName"])
    assert names == {"uploader", "findingId", "owed", "owedSince", "owed-index", "expiresAt"}
    for name in names:
        assert name in code, name


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
    destination = invoke[0]["Properties"]["DestinationConfig"]["OnFailure"]["Destination"]
    assert destination == {"Fn::GetAtt": ["FailureQueue", "Arn"]}
    for rule in of_type(resources, "AWS::Events::Rule").values():
        for target in rule["Properties"]["Targets"]:
            assert target["DeadLetterConfig"]["Arn"] == {"Fn::GetAtt": ["DeadLetterQueue", "Arn"]}


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


def test_every_alarm_goes_to_the_operations_topic_and_never_to_the_findings(resources):
    alarms = of_type(resources, "AWS::CloudWatch::Alarm")
    metrics = {one["Properties"]["MetricName"] for one in alarms.values()}
    assert metrics >= {"Errors", "Throttles", "ApproximateNumberOfMessagesVisible", "OldestOwedSeconds",
                       "AsyncEventAge", "AsyncEventsDropped"}
    for alarm in alarms.values():
        assert alarm["Properties"]["AlarmActions"] == [{"Ref": "OperationsTopic"}]


def test_alarms_and_dashboard_use_metrics_that_the_code_emits(resources):
    code = (ROOT / "src" / "function.rs").read_text()
    emitted = set(re.findall(r'metric\(\s*"(\w+)"', code)) | {"Findings"}
    used = {one["Properties"]["MetricName"] for one in of_type(resources, "AWS::CloudWatch::Alarm").values()
            if one["Properties"]["Namespace"] == "PushWatch"}
    body = next(iter(of_type(resources, "AWS::CloudWatch::Dashboard").values()))["Properties"]["DashboardBody"]
    text = body["Fn::Sub"]
    json.loads(text)
    used |= set(re.findall(r'\["PushWatch", "(\w+)"', text))
    assert used <= emitted
    assert emitted == used | {"Findings"}, "every metric is shown"


def test_every_parameter_is_described_grouped_and_labelled(source):
    interface = source["Metadata"]["AWS::CloudFormation::Interface"]
    grouped = [name for group in interface["ParameterGroups"] for name in group["Parameters"]]
    parameters = source["Parameters"]
    assert sorted(grouped) == sorted(parameters) == sorted(interface["ParameterLabels"])
    readme = (ROOT / "README.md").read_text()
    for name, parameter in parameters.items():
        assert parameter["Description"], name
        assert f"`{name}`" in readme, f"{name} is not in the README"
        limits = {"AllowedPattern", "AllowedValues", "MinValue", "MaxLength"}
        assert limits & set(parameter), f"{name} takes anything"


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
    ("TrustedUploaders", "arn:aws:iam::*:role/ci-* arn:aws:iam::*:user/**", True),
    ("TrustedUploaders", "arn:aws:iam::*:role/[a]", False),
    ("SweepSchedule", "rate(1 minute)", True),
    ("SweepSchedule", "rate(5 minutes)", True),
    ("SweepSchedule", "rate(1 hour)", False),
    ("SweepSchedule", "often", False),
    ("KmsKeyArn", "arn:aws:kms:eu-central-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab", True),
    ("KmsKeyArn", "alias/mine", False),
    ("EndpointUrl", "https://dynamodb.example.com", True),
    ("EndpointUrl", "dynamodb.example.com", False),
])
def test_a_parameter_that_can_not_work_is_refused(source, name, value, good):
    pattern = source["Parameters"][name]["AllowedPattern"]
    assert bool(re.fullmatch(pattern, value)) == good


def test_no_suppression_is_without_a_reason(source):
    for name, resource in source["Resources"].items():
        for skip in resource.get("Metadata", {}).get("checkov", {}).get("skip", []):
            assert len(skip["comment"]) > 20, name
