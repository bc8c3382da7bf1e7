"""PushWatch on this machine, to play with: the stack deployed into moto, the
function in cargo-lambda's emulator, swept every minute, and on the terminal the
e-mails that people would get. What a second terminal needs is in a file of this
run's own, so that several runs stay apart."""

import datetime
import http.client
import json
import subprocess
import time
import uuid

from servers import REGION, ROOT, Emulator, Moto, Quiet, aws_variables, free_port, serve
from stack import deploy


def main():
    subprocess.run(["cargo", "build", "--locked", "--features", "aws", "--bin", "pushwatch"], cwd=ROOT, check=True)
    moto = Moto()
    port = free_port()
    file = ROOT / "target" / f"local-{port}.env"
    emulator = None
    try:
        stack = deploy(moto.url, {})
        complete(stack)
        inbox, arn = stack.queue("inbox")
        topic = stack.outputs["FindingsTopicArn"]
        stack.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
        emulator = Emulator(stack, moto.url, port)
        emulator.invoke("sweep")
        stub = f"http://127.0.0.1:{lambda_and_cloudtrail(port, moto.port).server_port}"
        variables = {
            **aws_variables(moto.url),
            "AWS_ENDPOINT_URL_LAMBDA": stub, "AWS_ENDPOINT_URL_CLOUDTRAIL": stub,
            "PUSHWATCH_STACK": "pushwatch", "INVOKE_PORT": port,
            "PATH": f"{ROOT}/.venv/bin:{ROOT}/target/debug:$PATH",
        }
        file.write_text("".join(f'export {name}="{value}"\n' for name, value in variables.items()))
        print(
            "PushWatch runs. In a second terminal:\n\n"
            f"  source {file.relative_to(ROOT)}\n"
            "  cargo lambda invoke pushwatch-lambda --invoke-port $INVOKE_PORT \\\n"
            "    --data-file events/iam-user.json\n"
            "  pushwatch uploaders list\n"
            "  pushwatch findings list --open\n"
            "  pushwatch explain --stack pushwatch events/iam-user.json\n"
            "  pushwatch reconcile --account 111122223333   # two pushes that never arrived\n"
            "  pushwatch findings answer ID --reason 'seen'\n"
            "  pushwatch status\n"
            "  pushwatch doctor --send-test                 # moto has neither alarms nor metrics\n"
            "  pushwatch investigate events/iam-user.json events/ --stack pushwatch\n\n"
            "Its mail appears here; Ctrl-C ends it.\n", flush=True)
        show_mail(stack, emulator, inbox)
    except KeyboardInterrupt:
        pass
    finally:
        file.unlink(missing_ok=True)
        if emulator:
            emulator.stop()
        moto.stop()


def complete(stack):
    """What moto's CloudFormation leaves out of the stack, and a trail, so that the doctor
    finds well what is well on AWS."""
    for table in [stack.outputs["UploadersTable"], stack.outputs["FindingsTable"]]:
        stack.client("dynamodb").update_continuous_backups(
            TableName=table, PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True})
    stack.client("dynamodb").update_time_to_live(
        TableName=stack.outputs["FindingsTable"],
        TimeToLiveSpecification={"Enabled": True, "AttributeName": "expiresAt"})
    sqs = stack.client("sqs")
    queue = {
        name: sqs.get_queue_attributes(QueueUrl=stack.outputs[name], AttributeNames=["QueueArn"])
        ["Attributes"]["QueueArn"] for name in ["FailureQueueUrl", "DeadLetterQueueUrl"]}
    stack.client("lambda").put_function_event_invoke_config(
        FunctionName=stack.outputs["FunctionName"], MaximumRetryAttempts=2,
        DestinationConfig={"OnFailure": {"Destination": queue["FailureQueueUrl"]}})
    sqs.set_queue_attributes(QueueUrl=stack.outputs["DeadLetterQueueUrl"], Attributes={
        "Policy": allowing("events", "sqs:SendMessage", queue["DeadLetterQueueUrl"])})
    operations = stack.outputs["OperationsTopicArn"]
    stack.client("sns").set_topic_attributes(
        TopicArn=operations, AttributeName="Policy",
        AttributeValue=allowing("cloudwatch", "sns:Publish", operations))
    trail = stack.client("cloudtrail")
    trail.create_trail(Name="trail", S3BucketName="code", IsMultiRegionTrail=True)
    trail.start_logging(Name="trail")


def allowing(service, action, resource):
    """A policy that lets a service act."""
    return json.dumps({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Service": f"{service}.amazonaws.com"},
        "Action": action, "Resource": resource}]})


def lambda_and_cloudtrail(emulator, moto):
    """What moto lacks: Lambda's Invoke, which goes to the emulator, and CloudTrail's event
    history, which holds two pushes of an hour ago. All else goes on to moto."""
    time_of_push = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
    events = []
    for sample in ["github-oidc", "sso-user"]:
        record = json.loads((ROOT / "events" / f"{sample}.json").read_text())["detail"]
        record |= {"eventID": str(uuid.uuid4()), "eventTime": f"{time_of_push:%Y-%m-%dT%H:%M:%SZ}"}
        events.append({
            "EventId": record["eventID"], "EventTime": int(time_of_push.timestamp()),
            "CloudTrailEvent": json.dumps(record)})

    class Handler(Quiet):
        def do_POST(self):
            body = self.body()
            if self.headers.get("x-amz-target", "").endswith(".LookupEvents"):
                self.answer(200, [], json.dumps({"Events": events}).encode())
            elif self.path.endswith("/invocations"):
                self.forward(emulator, "/2015-03-31/functions/pushwatch-lambda/invocations", body)
            else:
                self.forward(moto, self.path, body)

        def do_GET(self):
            self.forward(moto, self.path, b"")

        def forward(self, port, path, body):
            connection = http.client.HTTPConnection("127.0.0.1", port)
            connection.request(self.command, path, body, dict(self.headers))
            response = connection.getresponse()
            self.answer(response.status, [
                (name, value) for name, value in response.getheaders()
                if name.lower().startswith(("content-type", "x-am"))], response.read())

    return serve(Handler)


def show_mail(stack, emulator, inbox):
    """Shows what arrives, and sweeps every minute, for ever."""
    names = [
        "--table", stack.outputs["UploadersTable"], "--findings-table", stack.outputs["FindingsTable"],
        "--region", REGION,
    ]
    swept = time.monotonic()
    while True:
        for message in stack.receive(inbox, whole=True):
            mail = subprocess.run(
                [ROOT / "target/debug/pushwatch", "render", "--format", "email", "-", *names],
                input=message, check=True, capture_output=True, text=True).stdout
            print(mail, "-" * 79, sep="\n", flush=True)
        if time.monotonic() - swept > 60:
            emulator.invoke("sweep")
            swept = time.monotonic()
        time.sleep(1)


main()
