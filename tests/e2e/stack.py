"""The template, built, translated and deployed into moto."""

import ast
import io
import json
import os
import re
import zipfile

import boto3
from samtranslator.public.translator import ManagedPolicyLoader
from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

from servers import REGION, ROOT

# The translator asks for one.
os.environ.setdefault("AWS_DEFAULT_REGION", REGION)

BUILD = ROOT / ".aws-sam" / "build"


def source_template():
    """The template as people read it."""
    return yaml_parse((ROOT / "template.yaml").read_text())


def translated(template, code="s3://code/function.zip"):
    """Plain CloudFormation of the SAM template, with the code there."""
    template["Resources"]["Function"]["Properties"]["CodeUri"] = code
    return transformed(template)


def transformed(template):
    """Plain CloudFormation: what AWS makes of a SAM template."""

    class NoPolicies(ManagedPolicyLoader):
        def __init__(self):
            pass

        def load(self):
            return {}

    parameters = {name: str(one.get("Default", "")) for name, one in template.get("Parameters", {}).items()}
    return transform(template, {**parameters, "AWS::Region": REGION}, NoPolicies())


def client_of(url):
    """Makes clients of moto there."""
    return lambda name: boto3.client(
        name, endpoint_url=url, region_name=REGION,
        aws_access_key_id="test", aws_secret_access_key="test")


def deploy(url, parameters):
    """The stack of the built template; without a build, its tables and topic alone."""
    client = client_of(url)
    archive = io.BytesIO()
    bootstrap, template = BUILD / "Function" / "bootstrap", BUILD / "template.yaml"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as code:
        code.writestr("bootstrap", bootstrap.read_bytes() if bootstrap.exists() else b"")
    if not template.exists():
        template = ROOT / "template.yaml"
    client("s3").create_bucket(
        Bucket="code", CreateBucketConfiguration={"LocationConstraint": REGION})
    client("s3").put_object(Bucket="code", Key="function.zip", Body=archive.getvalue())
    template = translated(yaml_parse(template.read_text()))
    client("cloudformation").create_stack(
        StackName="pushwatch", TemplateBody=json.dumps(template), Capabilities=["CAPABILITY_IAM"],
        Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
    )
    return Stack(url)


class Stack:
    """A deployed stack, and clients for what is in it."""

    def __init__(self, url):
        self.client = client_of(url)
        described = self.client("cloudformation").describe_stacks(StackName="pushwatch")["Stacks"][0]
        assert described["StackStatus"] == "CREATE_COMPLETE", described
        self.outputs = {one["OutputKey"]: one["OutputValue"] for one in described["Outputs"]}

    def function(self):
        """The deployed function's configuration."""
        return self.client("lambda").get_function_configuration(
            FunctionName=self.outputs["FunctionName"])

    def function_arn(self):
        """Its ARN, without the version that moto appends."""
        return self.function()["FunctionArn"].removesuffix(":$LATEST")

    def environment(self):
        """What it gets."""
        configuration = self.function()
        variables = configuration["Environment"]["Variables"]
        return {name: str(value) for name, value in variables.items()}

    def statements(self):
        """What the deployed role allows."""
        iam = self.client("iam")
        role = iam.list_roles()["Roles"][0]["RoleName"]
        assert iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"] == []
        policy = iam.get_role_policy(RoleName=role, PolicyName="pushwatch")["PolicyDocument"]
        # moto keeps a policy of a template as Python's text of it, and the
        # statement that a condition takes out as None.
        return [one for one in ast.literal_eval(policy)["Statement"] if one]

    def rule(self):
        """The name of the deployed rule for pushes."""
        for rule in self.client("events").list_rules()["Rules"]:
            if "EventPattern" in rule:
                return rule["Name"]
        raise AssertionError("no rule has a pattern")

    def items(self, table):
        """A table's items, as plain values."""
        resource = boto3.resource(
            "dynamodb", endpoint_url=self.client("dynamodb").meta.endpoint_url, region_name=REGION,
            aws_access_key_id="test", aws_secret_access_key="test")
        return resource.Table(self.outputs[table]).scan()["Items"]

    def queue(self, name):
        """A new queue: its address and its ARN."""
        sqs = self.client("sqs")
        url = sqs.create_queue(QueueName=name)["QueueUrl"]
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return url, attributes["Attributes"]["QueueArn"]

    def receive(self, url, whole=False):
        """All messages of a queue, as JSON, or as the texts that they are."""
        received = []
        while True:
            answer = self.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10)
            messages = answer.get("Messages", [])
            if not messages:
                return received
            for message in messages:
                body = message["Body"]
                received.append(body if whole else json.loads(body))
                self.client("sqs").delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])


def samples():
    """The sample events, each with its line in the folder's README."""
    lines = (ROOT / "events" / "README.md").read_text().splitlines()
    for path in sorted((ROOT / "events").glob("*.json")):
        line = next(line for line in lines if re.search(rf"`{re.escape(path.name)}`", line))
        yield path.name, json.loads(path.read_text()), line
